"""The gateway's end of a runner's connection: packets in and out of a Unix socket, many frames a write."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import cast

import msgspec

from penstock.wire import frames

log = logging.getLogger("penstock.fleet")

_HIGH_WATER = 1024 * 1024
_LARGE = 64 * 1024
"""Packets from this size on are not copied behind their length."""
_LATER = 0.05
"""Seconds that a frame which nobody waits for may wait for company: it need not wake the runner by itself."""


class SocketLink(asyncio.Protocol):
    """One connection. `received(link, frames)` and `lost(link)` are called on the loop."""

    def __init__(
        self,
        received: Callable[[SocketLink, list[frames.FromRunner]], None],
        lost: Callable[[SocketLink], None],
    ) -> None:
        self._received = received
        self._lost = lost
        self._buffer = bytearray()
        self._outbox: list[frames.Frame] = []
        self._flushing = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._room = asyncio.Event()
        self._room.set()
        self.owner: object | None = None
        """The runner on the other side, once it has said hello."""

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        if (own := transport.get_extra_info("socket")) is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, frames.SOCKET_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._room.set()
        self._lost(self)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        held = self._buffer
        if held:
            held += data
        try:
            # Whole packets are read where they lie; only the beginning of the next one is kept.
            with memoryview(held or data) as view:
                used = self._packets(view)
        except (msgspec.MsgspecError, ValueError) as error:
            log.error("a runner broke the protocol, its connection is closed: %s", error)
            self.close()
            return
        if held:
            del held[:used]
        elif used < len(data):
            held += data[used:]

    def _packets(self, view: memoryview) -> int:
        """Hand on the packets that are whole; returns the bytes that they took."""
        begin, size = 0, len(view)
        while size - begin >= 4:
            (length,) = struct.unpack_from(">I", view, begin)
            if length > frames.MAX_PACKET:
                raise ValueError(f"a packet of {length} bytes; at most {frames.MAX_PACKET} are taken")
            end = begin + 4 + length
            if size < end:
                break
            received = frames.from_runner(view[begin + 4 : end])
            begin = end
            self._received(self, received)
        return begin

    # ---- Link

    def send(self, frame: frames.Frame) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        self._outbox.append(frame)

    def send_later(self, frame: frames.Frame) -> None:
        if not self._outbox:
            self._loop.call_later(_LATER, self._flush)
        self._outbox.append(frame)

    def _flush(self) -> None:
        self._flushing = False
        outbox, self._outbox = self._outbox, []
        if self._transport is not None and outbox:
            packet = frames.pack(outbox)
            head = struct.pack(">I", len(packet))
            if len(packet) < _LARGE:
                self._transport.write(head + packet)
            else:
                self._transport.write(head)
                self._transport.write(packet)

    @property
    def has_room(self) -> bool:
        return self._room.is_set()

    async def drained(self) -> None:
        await self._room.wait()

    def close(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()
