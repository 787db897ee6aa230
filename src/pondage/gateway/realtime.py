"""Realtime: a WebSocket between a caller and a runner; the gateway carries messages, unread (PROTOCOL 6)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from pondage.errors import InvalidInput, NotFound, RequestError, TooMany
from pondage.fleet.interface import SessionChannel
from pondage.gateway.call import Call
from pondage.gateway.connections.messages import Socket, content, socket_of
from pondage.gateway.http_over_websocket import serve_bodies
from pondage.gateway.submitting import Target, cancels_on_leave, find_target, new_request
from pondage.queue.interface import NewRequest
from pondage.wire.frames import SessionClose

TOKEN_PROTOCOL = "pondage.token."  # noqa: S105 - how a subprotocol begins that carries a token
"""A page cannot set headers on a WebSocket: it offers its token as a subprotocol."""


async def realtime(call: Call) -> None:
    """Accept the socket, find a slot, and carry messages until either side is done.

    The handshake succeeds before there is a slot (PROTOCOL 6.1); a caller that has to wait is told so in a control
    message, which clients pass over.
    """
    target = _target(call)
    with _counted(call):
        await _served(call, target)


@contextlib.contextmanager
def _counted(call: Call) -> Iterator[None]:
    """One more of the caller's.

    Raises:
        TooMany: it has enough of them.
    """
    key, most = call.caller.key_id, call.rooms.settings.max_sessions_per_key
    open_ones = call.rooms.sessions
    if key and open_ones[key] >= most:
        raise TooMany(f"this key has {most} sessions, and may have no more (setting max_sessions_per_key)")
    open_ones[key] += 1
    try:
        yield
    finally:
        open_ones[key] -= 1
        if not open_ones[key]:
            del open_ones[key]


async def _served(call: Call, target: Target) -> None:
    if target.mode != "session":
        cancels = cancels_on_leave(call, target.on_disconnect)
        if await accept(call):
            await serve_bodies(call, target, cancels=cancels)
        return
    request = new_request(call, target, _parameters(call))
    if not await accept(call, request.id):
        return
    held = _EarlyMessages(call, request)
    try:
        await _session(call, request, held)
    finally:
        held.let_go()


async def _session(call: Call, request: NewRequest, held: _EarlyMessages) -> None:
    socket = socket_of(call.scope, call.send)
    try:
        channel = await _opened(call, socket, request, held)
    except RequestError as error:
        await _say(call, "x-fal-error", error=error.error_type or error.code, reason=error.told)
        if error.error_type == "client_cancelled":
            code, reason = 1001, error.error_type  # as of a session that was cancelled while it ran
        else:
            code, reason = 1013, error.told
        await call.send({"type": "websocket.close", "code": code, "reason": reason[:120]})
        return
    if channel is not None:
        await _carry(call, socket, channel, held)


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


_LOOK = 1.0
"""Seconds after which a session that waits, and is not read, looks for room and for its caller."""


class _EarlyMessages:
    """What the caller sends while its session has no slot yet: the oldest go where it is too much. Where all that is
    held for callers is too much, its next ones wait in its socket."""

    def __init__(self, call: Call, request: NewRequest) -> None:
        settings = call.rooms.settings
        self._most = msgspec.json.decode(request.input).get("max_buffering", settings.session_buffer)
        self._most_bytes = settings.session_buffer_bytes
        self._bytes = 0
        self._messages: deque[dict[str, Any]] = deque()
        self._budget = call.budget
        self._key = call.budget_key

    def __bool__(self) -> bool:
        return bool(self._messages)

    def add(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        self._bytes += _size(message)
        self._budget.add(self._key, _size(message))
        while len(self._messages) > self._most or (self._bytes > self._most_bytes and len(self._messages) > 1):
            self.take()

    def take(self) -> dict[str, Any]:
        message = self._messages.popleft()
        self._bytes -= _size(message)
        self._budget.give(self._key, _size(message))
        return message

    @property
    def full(self) -> bool:
        return self._budget.full(self._key)

    def let_go(self) -> None:
        self._budget.give(self._key, self._bytes)
        self._bytes = 0
        self._messages.clear()


def _size(message: dict[str, Any]) -> int:
    return len(message.get("bytes") or message.get("text") or "")


async def _opened(call: Call, socket: Socket, request: NewRequest, held: _EarlyMessages) -> SessionChannel | None:
    """Wait for the slot, telling the caller its place; None if the caller leaves first."""
    places: asyncio.Queue[int] = asyncio.Queue()
    opening = asyncio.ensure_future(call.rooms.fleet.open_session(request, places.put_nowait))
    coming: asyncio.Future[Any] | None = asyncio.ensure_future(call.receive())
    told: int | None = None
    channel: SessionChannel | None = None
    try:
        while not opening.done():
            place = asyncio.ensure_future(places.get())
            try:
                watched = [opening, place] if coming is None else [opening, coming, place]
                await asyncio.wait(watched, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
                if place.done() and place.result() != told:
                    told = place.result()
                    await _say(call, "x-fal-message", action="queued", position=told)
            finally:
                place.cancel()
            if coming is not None and coming.done():
                if coming.result()["type"] == "websocket.disconnect":
                    return None
                held.add(coming.result())
                coming = None
            if socket.disconnected:
                return None
            if coming is None and not held.full:
                coming = asyncio.ensure_future(call.receive())
        channel = opening.result()
        return channel
    finally:
        if coming is not None:
            coming.cancel()
            if coming.done() and not coming.cancelled():
                held.add(coming.result())
        if channel is None:
            opening.cancel()
            (late,) = await asyncio.gather(opening, return_exceptions=True)
            if not isinstance(late, BaseException):
                await late.close(1001)


async def _carry(call: Call, socket: Socket, channel: SessionChannel, held: _EarlyMessages) -> None:
    """Join the caller's socket and the channel, and wait until either side is done."""
    ended: asyncio.Future[SessionClose] = asyncio.get_running_loop().create_future()
    into = _ToRunner(call, socket, channel)
    code, reason = 1001, ""
    leaving: asyncio.Future[Any] | None = None
    try:
        while held:
            message = held.take()
            if message["type"] == "websocket.disconnect":
                code = int(message.get("code") or 1005)
                return
            if not into.take(*content(message)):
                await channel.drained()
        # In one turn: a socket that has room again before it knows whom to tell would leave results lying.
        channel.connect(socket.put, ended.set_result)
        socket.carry(into.take, channel.go_on)
        leaving = asyncio.ensure_future(socket.until_end(call.receive))
        await asyncio.wait([leaving, ended], return_when=asyncio.FIRST_COMPLETED)
        if not leaving.done() and not socket.close_sent:
            close = ended.result()
            await socket.sent()
            with contextlib.suppress(OSError):  # the caller has left meanwhile
                await call.send({"type": "websocket.close", "code": close.code, "reason": close.reason[:120]})
        # This comes as well after a close of ours.
        code = int((await leaving).get("code") or 1005)
    finally:
        await channel.close(code, reason)
        into.stop()
        if leaving is not None:
            leaving.cancel()


class _ToRunner:
    """From the caller's socket into the channel."""

    def __init__(self, call: Call, socket: Socket, channel: SessionChannel) -> None:
        self._limit = call.rooms.settings.session_max_message
        self._socket = socket
        self._channel = channel
        self._waiting: asyncio.Task[None] | None = None

    def take(self, data: bytes, text: bool) -> bool:
        """A message of the caller; False: it is taken, and the socket is told when there is room for more."""
        if len(data) > self._limit:
            why = f"a message of {len(data)} bytes; at most {self._limit} are taken (setting session_max_message)"
            self._socket.put(_control("x-fal-error", error="MESSAGE_TOO_LARGE", reason=why), True)
            return True
        if self._channel.send(data, text):
            return True
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._go_on())
        return False

    def stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    async def _go_on(self) -> None:
        await self._channel.drained()
        self._waiting = None
        self._socket.resume()


async def _say(call: Call, kind: str, **members: object) -> None:
    await call.send({"type": "websocket.send", "text": _control(kind, **members).decode()})


def _control(kind: str, **members: object) -> bytes:
    """A control message: always JSON text (PROTOCOL 6.4)."""
    return msgspec.json.encode({"type": kind, **members})


def _parameters(call: Call) -> bytes:
    """What the runner must know of the connection, as the input of its request."""
    given = call.query.get("max_buffering")
    if given is None:
        return b"{}"
    if not (given.isascii() and given.isdigit() and len(given) < 3 and 1 <= int(given) <= 60):
        raise InvalidInput.field(["query", "max_buffering"], f"{given!r} is not a number from 1 to 60")
    return msgspec.json.encode({"max_buffering": int(given)})
