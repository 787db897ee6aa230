"""The messages of a session, between a caller's WebSocket and whoever takes them.

`CallerSocket` carries them the short way; `PlainSocket` over ASGI, where connections are the library's own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

EXTENSION = "pondage.socket"
"""Under this name among a scope's extensions lies its `CallerSocket`."""

_MOST_UNSENT = 64 * 1024
"""Bytes that wait to be sent over plain ASGI before there is no room for more."""

Take: TypeAlias = Callable[[bytes, bool], bool]
"""Takes a message and whether it is text; False: it is taken, and there is no room for more just now."""
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]


class Socket(Protocol):
    """A caller's WebSocket, as a session uses it."""

    @property
    def disconnected(self) -> bool: ...

    @property
    def close_sent(self) -> bool: ...

    def carry(self, take: Take, room: Callable[[], None]) -> None:
        """From now on messages go to `take` as they come.

        Args:
            take: gets a message. After it said False nothing more is read until `resume`.
            room: is called when the socket takes messages again, after `put` said False.
        """
        ...

    async def until_end(self, receive: Receive) -> Any:
        """Wait for the event that tells the end, while messages are carried."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def put(self, data: bytes, text: bool) -> bool:
        """Send a message; False: it is on its way, and there is no room for more just now."""
        ...

    async def sent(self) -> None:
        """All that was put has left."""
        ...


def content(event: Any) -> tuple[bytes, bool]:
    """What an event of the kind `websocket.receive` holds, and whether it is text."""
    text = event.get("text")
    return (text.encode(), True) if text is not None else (event["bytes"], False)


def socket_of(scope: Any, send: Send) -> Socket:
    """The socket of a connection."""
    found: Socket | None = scope.get("extensions", {}).get(EXTENSION)
    return PlainSocket(send) if found is None else found


class PlainSocket:
    """A `Socket` over the events of ASGI."""

    close_sent = False
    """A close goes by `send`, after all that was put."""

    def __init__(self, send: Send) -> None:
        self.disconnected = False
        self._send = send
        self._take: Take = lambda data, text: True
        self._room: Callable[[], None] = lambda: None
        self._reads = asyncio.Event()
        self._reads.set()
        self._unsent = asyncio.Queue[tuple[bytes, bool]]()
        self._size = 0
        self._full = False
        self._sending: asyncio.Task[None] | None = None

    def carry(self, take: Take, room: Callable[[], None]) -> None:
        self._take, self._room = take, room

    async def until_end(self, receive: Receive) -> Any:
        while (event := await receive())["type"] == "websocket.receive":
            if not self._take(*content(event)):
                self._reads.clear()
            await self._reads.wait()
        self.disconnected = True
        return event

    def resume(self) -> None:
        self._reads.set()

    def put(self, data: bytes, text: bool) -> bool:
        if self.disconnected:
            return True
        self._unsent.put_nowait((data, text))
        self._size += len(data)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send_all())
        self._full = self._size > _MOST_UNSENT
        return not self._full

    async def _send_all(self) -> None:
        with contextlib.suppress(OSError):  # the caller has left, which the other way tells
            while not self._unsent.empty():
                data, text = self._unsent.get_nowait()
                await self._send(
                    {"type": "websocket.send", **({"text": data.decode()} if text else {"bytes": bytes(data)})}
                )
                self._size -= len(data)
                if self._full and self._size <= _MOST_UNSENT // 2:
                    self._full = False
                    self._room()

    async def sent(self) -> None:
        if self._sending is not None:
            await self._sending
