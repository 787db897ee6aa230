"""Realtime: a WebSocket between a caller and a runner; the gateway carries messages, unread (PROTOCOL 6)."""

from __future__ import annotations

import asyncio

import msgspec

from penstock.errors import InvalidInput, RequestError
from penstock.fleet.interface import SessionChannel
from penstock.gateway.call import Call
from penstock.gateway.submitting import find_target, new_request
from penstock.wire.frames import SessionClose, SessionMessage


async def realtime(call: Call) -> None:
    """Accept the socket, find a slot, and carry messages until either side is done.

    The handshake succeeds before there is a slot (PROTOCOL 6.1); a caller that has to wait is told so in a control
    message, which clients pass over.
    """
    target = find_target(call, call.path, want="session")
    request = new_request(call, target, _parameters(call))
    message = await call.receive()
    if message["type"] != "websocket.connect":
        return
    await call.send({"type": "websocket.accept", "headers": [(b"x-fal-request-id", request.id.encode())]})
    told: list[int] = []

    def waiting(position: int) -> None:
        if not told or told[-1] != position:
            told.append(position)
            notices.put_nowait(position)

    notices: asyncio.Queue[int] = asyncio.Queue()
    opening = asyncio.ensure_future(call.rooms.fleet.open_session(request, waiting))
    inbox = _Inbox(call)
    try:
        channel = await _opened(call, opening, notices, inbox)
        if channel is None:
            return
    except RequestError as error:
        await _say(call, "x-fal-error", error=error.error_type or error.code, reason=str(error))
        await call.send({"type": "websocket.close", "code": 1013, "reason": str(error)[:120]})
        inbox.stop()
        return
    await _carry(call, channel, inbox)


class _Inbox:
    """What the caller sends, read ahead by at most one message while its session has no slot yet."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._next: asyncio.Future[dict[str, object]] | None = None

    def next(self) -> asyncio.Future[dict[str, object]]:
        if self._next is None:
            self._next = asyncio.ensure_future(self._call.receive())  # type: ignore[arg-type]
        return self._next

    def taken(self) -> None:
        self._next = None

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()


async def _opened(
    call: Call, opening: asyncio.Future[SessionChannel], notices: asyncio.Queue[int], inbox: _Inbox
) -> SessionChannel | None:
    """Wait for the slot, telling the caller its place; None if the caller leaves first."""
    while not opening.done():
        notice = asyncio.ensure_future(notices.get())
        message = inbox.next()
        watched: set[asyncio.Future[object]] = {opening, notice}  # type: ignore[arg-type]
        if not message.done():
            watched.add(message)  # type: ignore[arg-type]
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if notice.done():
            await _say(call, "x-fal-message", action="queued", position=notice.result())
        notice.cancel()
        if message.done() and message.result()["type"] == "websocket.disconnect":
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            return None
    return opening.result()


async def _carry(call: Call, channel: SessionChannel, inbox: _Inbox) -> None:
    limit = call.rooms.settings.session_max_message
    outward = asyncio.ensure_future(_to_caller(call, channel))
    code, reason = 1001, ""
    try:
        while not outward.done():
            coming = inbox.next()
            await asyncio.wait(
                {coming, outward},  # type: ignore[type-var]
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not coming.done():
                break
            inbox.taken()
            message = coming.result()
            if message["type"] == "websocket.disconnect":
                code = int(str(message.get("code") or 1005))
                break
            text = message.get("text")
            data = text.encode() if isinstance(text, str) else message.get("bytes")
            if not isinstance(data, bytes) or len(data) > limit:
                size = len(data) if isinstance(data, bytes) else 0
                why = f"a message of {size} bytes; at most {limit} are taken (setting session_max_message)"
                await _say(call, "x-fal-error", error="MESSAGE_TOO_LARGE", reason=why)
                continue
            await channel.send(SessionMessage(channel.request_id, data, isinstance(text, str)))
    finally:
        await channel.close(code, reason)
        inbox.stop()
        outward.cancel()
        await asyncio.gather(outward, return_exceptions=True)


async def _to_caller(call: Call, channel: SessionChannel) -> None:
    async for frame in channel.received():
        if isinstance(frame, SessionClose):
            await call.send({"type": "websocket.close", "code": frame.code, "reason": frame.reason[:120]})
        elif frame.text:
            await call.send({"type": "websocket.send", "text": frame.data.decode("utf-8", "replace")})
        else:
            await call.send({"type": "websocket.send", "bytes": frame.data})


async def _say(call: Call, kind: str, **members: object) -> None:
    """A control message: always JSON text (PROTOCOL 6.4)."""
    await call.send({"type": "websocket.send", "text": msgspec.json.encode({"type": kind, **members}).decode()})


def _parameters(call: Call) -> bytes:
    """What the runner must know of the connection, as the input of its request."""
    given = call.query.get("max_buffering")
    if given is None:
        return b"{}"
    if not (given.isdigit() and 1 <= int(given) <= 60):
        raise InvalidInput.field(["query", "max_buffering"], f"{given!r} is not a number from 1 to 60")
    return msgspec.json.encode({"max_buffering": int(given)})
