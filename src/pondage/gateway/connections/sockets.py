"""A caller's WebSocket connection: uvicorn's own, and a short way for the messages of sessions.

Handshakes, control frames, messages in pieces and whatever breaks the protocol are the library's. A whole message of a
session goes from the bytes that came to the runner in the same turn of the loop, and an answer straight to the socket:
queues and tasks between them cost several times what the message itself does.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.transports import BaseTransport
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, cast

import websockets.frames
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from pondage.errors import Unavailable
from pondage.gateway.budget import FREE
from pondage.gateway.connections.connection import refusal
from pondage.gateway.connections.frames import BINARY, TEXT, FrameCutter, Incoming, outgoing_head
from pondage.gateway.connections.messages import EXTENSION, Receive, Take, content
from pondage.gateway.connections.transport import CoalescingTransport
from pondage.gateway.crowd import PLACE, Place
from pondage.gateway.turns import Turns, turns_of

log = logging.getLogger("pondage.gateway.sockets")
log.setLevel(logging.WARNING)
# A text that is not UTF-8 ends its connection with code 1007: its sender is told, nobody else needs a traceback.
log.addFilter(lambda record: not str(record.msg).startswith("Invalid UTF-8"))

_LAST_WORDS = 1.0
"""Seconds that the close frame gets to leave before a connection is cut."""
_LARGE = 16 * 1024
"""Messages from this size on are not copied behind their head."""

_apply_mask: Callable[[bytes, bytes], bytes] = vars(websockets.frames)["apply_mask"]  # in C where the library has it so

_FULL = 256 * 1024
"""Bytes that the loop reads at most at a time: with so many there are more, mostly."""
_AT_ONCE = 8
"""Frames that are worked off at once; more that came with them wait for this connection's turn."""


class CallerSocket(WebSocketsSansIOProtocol):
    """A peer that answers no ping is cut off even where it has stopped reading; one whose pong waits behind messages
    that we have not taken in yet is not at fault.

    The pieces of a message lie in one buffer: as objects of their own, small ones would take many times their size.

    The library's own logger writes whole addresses, and a token may stand in one.
    """

    frames: list[bytes | bytearray]  # type: ignore[assignment]
    _take: Take | None = None
    _room: Callable[[], None] | None = None
    _pong: bytes = b""
    """The answer to the latest ping, while there is no room for it."""
    _place: Place | None = None
    _coming: Iterator[Incoming] | None = None
    """Frames that came and wait for this connection's turn; nothing is read meanwhile."""
    _parked = False
    """They wait until there is room for what they hold."""
    _reserved = 0
    """Bytes of the budget that the message has which is on its way here, or is not taken in yet."""
    _room_comes: asyncio.Task[None] | None = None
    """There is no room for the rest of it; nothing is read until there is."""
    _left = sys.maxsize
    """Bytes that a connection which is closing had not got rid of when it was looked at."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.logger = log
        self.cutter = FrameCutter(self.config.ws_max_size)
        self._behind: deque[bytes] = deque()

    def connection_made(self, transport: BaseTransport) -> None:
        self._turns: Turns = turns_of(self.loop)
        if isinstance(transport, CoalescingTransport):
            if (place := transport.place) is not None:
                self._place, place.connection = place, self
            transport = transport.alone()  # a session's messages leave at once
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._coming = None
        self._behind.clear()
        if self._room_comes is not None:
            self._room_comes.cancel()
        self._release()
        if self._place is not None:
            self._place.crowd.leave(self._place)
        super().connection_lost(exc)

    async def run_asgi(self) -> None:
        cast(dict[str, Any], self.scope["extensions"])[EXTENSION] = self
        cast(dict[str, Any], self.scope)[PLACE] = self._place
        await super().run_asgi()

    def spare(self) -> bool:
        """It has shown that it may be here."""
        return False

    left: Callable[[], None] | None = None

    def cut(self) -> None:
        """Close at once."""
        self.transport.close()

    async def has_room(self, seconds: float | None) -> bool:
        """Whether the caller takes what was written within so many seconds; None: wait until it does, or is gone."""
        try:
            async with asyncio.timeout(seconds):
                await self.writable.wait()
        except TimeoutError:
            return False
        return True

    # ---- the messages of a session

    def carry(self, take: Take, room: Callable[[], None]) -> None:
        """See `Socket`. From now on `receive` tells the end only."""
        for event in [self.queue.get_nowait() for _ in range(self.queue.qsize())]:
            if event["type"] == "websocket.receive":
                take(*content(event))
            else:
                self.queue.put_nowait(event)
        self._take, self._room = take, room
        self.resume()

    async def until_end(self, receive: Receive) -> Any:
        return await receive()

    async def sent(self) -> None:
        """At once: what is put is with the transport."""

    def resume(self) -> None:
        """Read on."""
        if self.read_paused:
            self.read_paused = False
            self._release()
            self._go_on()

    def _go_on(self) -> None:
        """There is room again: what came is worked off first."""
        if self._coming is None:
            self._read_on()
        elif self._parked:
            self._parked = False
            self._turns.take(self)

    async def receive(self) -> Any:
        message = await super().receive()
        if not self.read_paused and not self.disconnected:
            self._release()
            if self._coming is not None or self.cutter.missing:
                self.transport.pause_reading()
                self._go_on()
        return message

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self._parked and not self.read_paused:  # it was closed, and wants the peer's answer to that
            self._go_on()

    def put(self, data: bytes, text: bool) -> bool:
        """Send a message; False: it is on its way, and there is no room for more just now."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return True
        head = outgoing_head(TEXT if text else BINARY, len(data))
        if len(data) < _LARGE:
            self.transport.write(head + data)
        else:
            self.transport.write(head)
            self.transport.write(data)
        return self.writable.is_set()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pong and not (self.close_sent or self.transport.is_closing()):
            self.transport.write(self._pong)
        self._pong = b""
        if self._room is not None:
            self._room()

    # ---- bytes that came

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:
            super().data_received(data)
            if self.conn.handshake_exc is not None:
                self._refuse()
            return
        if self._coming is not None:
            self._behind.append(data)
            self._hold_reading()
            return
        frames = self.cutter.feed(data)
        left = _AT_ONCE
        for frame in frames:
            self._one(frame)
            left -= 1
            if self.read_paused or not left:
                if (following := next(frames, None)) is None:
                    return
                self._coming = chain((following,), frames)
                self._turns.take(self)
                self._hold_reading()
                return
        if self.cutter.missing > _LARGE:
            self._reserve()
            if len(data) >= _FULL and self._room_comes is None and not self.transport.is_closing():
                self.transport.pause_reading()  # or the loop would read on and on before it comes to others
                self.loop.call_soon(self._read_on)

    def _hold_reading(self) -> None:
        if self._coming is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def work(self) -> bool:
        """Work off some of the frames that came; whether there are more that can be now."""
        if self._coming is None or self.transport.is_closing():
            self._coming = None
            return False
        left = _AT_ONCE
        while not self.read_paused:
            if (frame := next(self._coming, None)) is not None:
                self._one(frame)
            elif self._behind:
                self._coming = self.cutter.feed(self._behind.popleft())
            else:
                self._coming = None
                self._read_on()
                return False
            left -= 1
            if not left or self.transport.is_closing():
                return True
        self._parked = True
        return False

    def give_up(self) -> None:
        self.transport.abort()

    def _one(self, frame: Incoming) -> None:
        if self._take is None or not self._short_way(frame):
            super().data_received(frame.head + frame.masked)
        if self._reserved and not self.read_paused and not self.frames:
            self._release()

    # ---- room for what is on its way

    def _read_on(self) -> None:
        if self.cutter.missing > _LARGE:
            self._reserve()
        if self._room_comes is None and not (self.read_paused or self.transport.is_closing()):
            self.transport.resume_reading()

    def _reserve(self) -> None:
        """Room for a message that has begun to come; where there is none, its rest waits in the caller's socket."""
        size = self.cutter.coming + sum(map(len, self.frames))
        if size <= FREE or size <= self._reserved or self._place is None or self._room_comes is not None:
            return
        more = size - self._reserved
        if self._place.crowd.budget.take(self._place.key, more):
            self._reserved = size
            return
        self.transport.pause_reading()
        self._room_comes = asyncio.ensure_future(self._wait_for_room(self._place, more))

    async def _wait_for_room(self, place: Place, more: int) -> None:
        try:
            await place.crowd.budget.wait(place.key, more)
        except Unavailable:
            self.conn.fail(1013, "no memory for so large a message; try again later")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.transport.close()
            return
        self._reserved += more
        self._room_comes = None
        if not self.read_paused and self._coming is None:
            self._read_on()

    def _release(self) -> None:
        if self._reserved and self._place is not None:
            self._place.crowd.budget.give(self._place.key, self._reserved)
        self._reserved = 0

    def _refuse(self) -> None:
        """Answer a handshake whose head the library does not take, which is less than we take of others."""
        self.transport.write(refusal(431, f"no head of a WebSocket handshake: {self.conn.handshake_exc}"))
        self.transport.close()

    def _short_way(self, frame: Incoming) -> bool:
        """Hand on a whole message; False: the frame is the library's to judge."""
        if not frame.is_message or self.frames or self.conn.state is not State.OPEN:
            return False
        return self._handed_on(_apply_mask(frame.masked, frame.mask), frame.first == TEXT)

    def _handed_on(self, data: bytes, text: bool) -> bool:
        if text and not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                return False
        if self._take is not None and not self._take(data, text) and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        return True

    def send_receive_event_to_app(self) -> None:
        if self._take is not None and not self.close_sent:
            data = bytes(self.frames[0])
            if self._handed_on(data, self.curr_msg_data_type == "text"):
                self.frames = []
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Only the latest needs an answer (RFC 6455, 5.5.3): a caller that pings and does not read fills no memory."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self._pong = b"".join(self.conn.data_to_send())

    def handle_cont(self, event: Frame) -> None:
        if not isinstance(whole := self.frames[0], bytearray):
            self.frames = [whole := bytearray(whole)]
        whole += event.data
        if event.fin:
            self.frames = [bytes(whole)]
            self.send_receive_event_to_app()

    def send_keepalive_ping(self) -> None:
        """A connection that closes waits while its peer reads what is left; one that has stopped reading is cut off."""
        if not (self.close_sent or self.transport.is_closing()):
            super().send_keepalive_ping()
            return
        before, self._left = self._left, self.transport.get_write_buffer_size()
        if 0 < self._left >= before:
            self.transport.abort()
        else:
            self.schedule_ping()

    def keepalive_timeout(self) -> None:
        if self.read_paused and self.writable.is_set():
            self.pong_timer = None
            self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self.loop.call_later(_LAST_WORDS, self.transport.abort)
