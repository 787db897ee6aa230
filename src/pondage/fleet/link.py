"""The gateway's end of a runner's connection: packets in and out of a Unix socket, many frames a write."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

import msgspec

from pondage.wire import frames
from pondage.wire.packets import PacketReader, packets

log = logging.getLogger("pondage.fleet")

_HIGH_WATER = 1024 * 1024
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
        self._reader = PacketReader(frames.from_runner)
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
        try:
            for received in self._reader.feed(data):
                self._received(self, received)
        except (msgspec.MsgspecError, ValueError) as error:
            log.error("a runner broke the protocol, its connection is closed: %s", error)
            self.close()

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
            for packet in packets(outbox):
                for buffer in packet.buffers:
                    self._transport.write(buffer)

    @property
    def has_room(self) -> bool:
        return self._room.is_set()

    async def drained(self) -> None:
        await self._room.wait()

    def close(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()
