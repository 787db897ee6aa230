"""Realtime: a WebSocket between a caller and a runner; the gateway carries messages, unread (PROTOCOL 6)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

import msgspec

from penstock.errors import InvalidInput, NotFound, RequestError
from penstock.fleet.interface import SessionChannel
from penstock.gateway.call import Call
from penstock.gateway.http_over_websocket import serve_bodies
from penstock.gateway.submitting import Target, find_target, new_request
from penstock.queue.interface import NewRequest
from penstock.wire.frames import SessionClose, SessionMessage

log = logging.getLogger("penstock.gateway")

TOKEN_PROTOCOL = "penstock.token."  # noqa: S105 - how a subprotocol begins that carries a token
"""A page cannot set headers on a WebSocket: it offers its token as a subprotocol."""


async def realtime(call: Call) -> None:
    """Accept the socket, find a slot, and carry messages until either side is done.

    The handshake succeeds before there is a slot (PROTOCOL 6.1); a caller that has to wait is told so in a control
    message, which clients pass over.
    """
    target = _target(call)
    if target.mode != "session":
        if await accept(call):
            await serve_bodies(call, target)
        return
    request = new_request(call, target, _parameters(call))
    if not await accept(call, request.id):
        return
    held = _Held(call, request)
    try:
        channel = await _opened(call, request, held)
    except RequestError as error:
        await _say(call, "x-fal-error", error=error.error_type or error.code, reason=str(error))
        if error.error_type == "client_cancelled":
            code, reason = 1001, error.error_type  # as of a session that was cancelled while it ran
        else:
            code, reason = 1013, str(error)
        await call.send({"type": "websocket.close", "code": code, "reason": reason[:120]})
        return
    if channel is not None:
        await _carry(call, channel, held)


def _target(call: Call) -> Target:
    """A realtime endpoint; where there is none, any other is served as HTTP over the socket (PROTOCOL 5.4)."""
    host = call.headers.get("host", "")
    if host.startswith("ws."):
        return find_target(call, call.path, want="call")
    try:
        return find_target(call, call.path, want="session")
    except NotFound as none:
        try:
            return find_target(call, call.path, want="call")
        except NotFound:
            raise none from None


async def accept(call: Call, request_id: str = "") -> bool:
    """Finish the handshake; False if the caller has left already.

    A browser wants one of the subprotocols that it offered. The one with a token is named only if there is no other.
    """
    if (await call.receive())["type"] != "websocket.connect":
        return False
    offered: list[str] = call.scope.get("subprotocols") or []
    plain = [name for name in offered if not name.startswith(TOKEN_PROTOCOL)]
    headers = [(b"x-fal-request-id", request_id.encode())] if request_id else []
    chosen = next(iter(plain or offered), None)
    await call.send({"type": "websocket.accept", "headers": headers, "subprotocol": chosen})
    return True


class _Held:
    """What the caller sends while its session has no slot yet: the oldest go where it is too much."""

    def __init__(self, call: Call, request: NewRequest) -> None:
        settings = call.rooms.settings
        self._most = msgspec.json.decode(request.input).get("max_buffering", settings.session_buffer)
        self._most_bytes = settings.session_buffer_bytes
        self._bytes = 0
        self._messages: deque[dict[str, Any]] = deque()

    def __bool__(self) -> bool:
        return bool(self._messages)

    def add(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        self._bytes += _size(message)
        while len(self._messages) > self._most or (self._bytes > self._most_bytes and len(self._messages) > 1):
            self.take()

    def take(self) -> dict[str, Any]:
        message = self._messages.popleft()
        self._bytes -= _size(message)
        return message


def _size(message: dict[str, Any]) -> int:
    return len(message.get("bytes") or message.get("text") or "")


async def _opened(call: Call, request: NewRequest, held: _Held) -> SessionChannel | None:
    """Wait for the slot, telling the caller its place; None if the caller leaves first."""
    places: asyncio.Queue[int] = asyncio.Queue()
    opening = asyncio.ensure_future(call.rooms.fleet.open_session(request, places.put_nowait))
    coming: asyncio.Future[Any] = asyncio.ensure_future(call.receive())
    told: int | None = None
    channel: SessionChannel | None = None
    try:
        while not opening.done():
            place = asyncio.ensure_future(places.get())
            try:
                await asyncio.wait([opening, coming, place], return_when=asyncio.FIRST_COMPLETED)
                if place.done() and place.result() != told:
                    told = place.result()
                    await _say(call, "x-fal-message", action="queued", position=told)
            finally:
                place.cancel()
            if coming.done():
                if coming.result()["type"] == "websocket.disconnect":
                    return None
                held.add(coming.result())
                coming = asyncio.ensure_future(call.receive())
        channel = opening.result()
        return channel
    finally:
        coming.cancel()
        if coming.done() and not coming.cancelled():
            held.add(coming.result())
        if channel is None:
            opening.cancel()
            (late,) = await asyncio.gather(opening, return_exceptions=True)
            if not isinstance(late, BaseException):
                await late.close(1001)


async def _carry(call: Call, channel: SessionChannel, held: _Held) -> None:
    limit = call.rooms.settings.session_max_message
    outward = asyncio.ensure_future(_to_caller(call, channel))
    code, reason = 1001, ""
    try:
        while True:
            message = held.take() if held else await call.receive()
            if message["type"] == "websocket.disconnect":
                # This comes as well after a close of ours.
                code = int(message.get("code") or 1005)
                return
            text = message.get("text")
            data = text.encode() if text is not None else message["bytes"]
            if len(data) > limit:
                why = f"a message of {len(data)} bytes; at most {limit} are taken (setting session_max_message)"
                await _say(call, "x-fal-error", error="MESSAGE_TOO_LARGE", reason=why)
            else:
                await channel.send(SessionMessage(channel.request_id, data, text is not None))
    finally:
        await channel.close(code, reason)
        outward.cancel()
        await asyncio.gather(outward, return_exceptions=True)


async def _to_caller(call: Call, channel: SessionChannel) -> None:
    """Results, as fast as the caller's socket takes them."""
    try:
        async for frame in channel.received():
            if isinstance(frame, SessionClose):
                await call.send({"type": "websocket.close", "code": frame.code, "reason": frame.reason[:120]})
            elif frame.text:
                await call.send({"type": "websocket.send", "text": frame.data.decode("utf-8", "replace")})
            else:
                await call.send({"type": "websocket.send", "bytes": frame.data})
    except OSError:
        return  # the caller has left, which the other direction hears
    except Exception as error:
        log.error("session %s: %s", channel.request_id, error, exc_info=error)
        await call.send({"type": "websocket.close", "code": 1011, "reason": "Internal Server Error"})


async def _say(call: Call, kind: str, **members: object) -> None:
    """A control message: always JSON text (PROTOCOL 6.4)."""
    await call.send({"type": "websocket.send", "text": msgspec.json.encode({"type": kind, **members}).decode()})


def _parameters(call: Call) -> bytes:
    """What the runner must know of the connection, as the input of its request."""
    given = call.query.get("max_buffering")
    if given is None:
        return b"{}"
    if not (given.isascii() and given.isdigit() and len(given) < 3 and 1 <= int(given) <= 60):
        raise InvalidInput.field(["query", "max_buffering"], f"{given!r} is not a number from 1 to 60")
    return msgspec.json.encode({"max_buffering": int(given)})
