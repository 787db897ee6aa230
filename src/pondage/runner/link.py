"""The runner's end of its connection to a gateway.

The socket is ours, not a transport's, because two threads must be able to write: the loop, which does it all the
time, and the pulse, which keeps heartbeats and logs flowing while an author's `async` function blocks the loop.
Everything that was queued in one turn of the loop goes out in one write.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pondage.clock import Clock
from pondage.wire import frames
from pondage.wire.events import Chunk, Entry
from pondage.wire.frames import Entries, Frame, FromGateway, RunnerLog
from pondage.wire.packets import PacketReader, packets

log = logging.getLogger("pondage.runner")

_RECEIVE = 1024 * 1024
_PACKET_FRAMES = 2048
_BUFFERS = 64
"""Buffers that one system call takes."""
_RETRY_PAUSE = 0.1


class Link:
    """One connection at a time. `received(frame)` is called on the loop, in order; `lost()` when the gateway is gone
    and `connected()` when one was reached (the first, or one that replaces it): it returns the frames to begin with,
    and those to send after the log entries that the gateway before did not take.
    """

    def __init__(
        self,
        address: str,
        note: Path | None,
        clock: Clock,
        *,
        loop: asyncio.AbstractEventLoop,
        received: Callable[[FromGateway], None],
        connected: Callable[[], tuple[list[Frame], list[Frame]]],
        lost: Callable[[], None],
    ) -> None:
        self._address = address
        self._note = note
        self._clock = clock
        self._received = received
        self._connected = connected
        self._lost = lost
        self._loop = loop
        self._thread = threading.get_ident()
        self._socket: socket.socket | None = None
        self._outbox: list[Frame] = []
        self._packets: list[tuple[memoryview, Sequence[Frame]]] = []
        self._kept_open: socket.socket | None = None
        self._unsent = 0
        self._scheduled = False
        self._writing = False
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._reader = PacketReader(frames.from_gateway)
        self._received_bytes = bytearray(_RECEIVE)
        """Kept, since a fresh one of this size is mapped and unmapped for every read."""
        self._inbox: list[FromGateway] = []

    def moved(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop runs in the calling thread from now on; `loop` may be another one than before."""
        with self._lock:
            if loop is not self._loop and self._socket is not None:
                self._loop.remove_reader(self._socket.fileno())
                if self._writing:
                    self._loop.remove_writer(self._socket.fileno())
                    self._writing = False
                loop.add_reader(self._socket.fileno(), self._readable)
            self._loop, self._thread = loop, threading.get_ident()
            self._scheduled = False
        self.flush()
        self.deliver()

    # ---- connecting

    async def connect(self, patience: float) -> bool:
        """Reach a gateway, the one we know or the one in the note, for `patience` seconds. False: there is none."""
        until = self._clock.monotonic() + patience
        while True:
            for address in self._addresses():
                found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, frames.SOCKET_BUFFER)
                found.setblocking(False)
                try:
                    await self._loop.sock_connect(found, address)
                except OSError:
                    found.close()
                    continue
                self._take(found, address)
                return True
            if self._clock.monotonic() >= until:
                return False
            await asyncio.sleep(_RETRY_PAUSE)

    def _addresses(self) -> list[str]:
        addresses = [self._address]
        if self._note is not None:
            with contextlib.suppress(OSError):
                noted = self._note.read_text("utf-8").strip().removeprefix("unix:")
                if noted and noted != self._address:
                    addresses.insert(0, noted)
        return addresses

    def _take(self, found: socket.socket, address: str) -> None:
        with self._lock:
            self._socket = found
            self._address = address
            self._reader = PacketReader(frames.from_gateway)
            unsent = [f for _, packet in self._packets for f in packet] + self._outbox
            self._packets.clear()
            self._unsent = 0
            first, last = self._connected()
            self._outbox = [*first, *(kept for frame in unsent if (kept := _words(frame)) is not None), *last]
        self._loop.add_reader(found.fileno(), self._readable)
        self.flush()

    def close(self) -> None:
        """End the connection; nobody is told."""
        with self._lock:
            if self._socket is not None:
                self._loop.remove_reader(self._socket.fileno())
                if self._writing:
                    self._loop.remove_writer(self._socket.fileno())
                    self._writing = False
                self._socket.close()
                self._socket = None
            self._room.notify_all()

    def fall_silent(self) -> None:
        """Send and read nothing more. The connection ends with the process: a gateway that sees it end earlier ends
        the process at once, and this one has things left to do."""
        with self._lock:
            kept = self._socket
            if kept is not None:
                self._loop.remove_reader(kept.fileno())
                if self._writing:
                    self._loop.remove_writer(kept.fileno())
                self._kept_open, self._socket = kept, None
            self._room.notify_all()

    def _break(self, reason: str) -> None:
        """The connection is gone. Whoever noticed, `lost` is called on the loop."""
        if self._socket is None:
            return
        log.warning("the gateway is gone: %s", reason)
        if threading.get_ident() == self._thread:
            self.close()
            self._lost()

    # ---- sending

    def send(self, frame: Frame) -> None:
        """Queue a frame; it goes out at the end of this turn of the loop. From any thread."""
        self._outbox.append(frame)
        if not self._scheduled:
            self._scheduled = True
            if threading.get_ident() == self._thread:
                self._loop.call_soon(self.flush)
            else:
                self._loop.call_soon_threadsafe(self.flush)

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""
        return self._unsent

    def flush(self) -> None:
        """Write what is queued, as far as the socket takes it."""
        with self._lock:
            self._scheduled = False
            if self._socket is None:
                return
            while self._outbox:
                batch, self._outbox = self._outbox[:_PACKET_FRAMES], self._outbox[_PACKET_FRAMES:]
                self._pack(batch)
            self._write()

    def wait_for_room(self, limit: int, timeout: float) -> None:
        """Hold the calling thread while more than `limit` bytes are unsent; the loop's thread writes meanwhile."""
        if self._unsent <= limit:
            return
        if threading.get_ident() != self._thread:
            with self._lock:
                self._room.wait_for(lambda: self._unsent <= limit or self._socket is None, timeout)
            return
        until = self._clock.monotonic() + timeout
        while self._socket is not None and self._unsent > limit and self._clock.monotonic() < until:
            select.select([], [self._socket], [], 0.1)
            self.flush()

    def _pack(self, batch: list[Frame]) -> None:
        for packet in packets(batch):
            *heads, last = packet.buffers
            self._packets += [(memoryview(head), []) for head in heads]
            self._packets.append((memoryview(last), packet.frames))
            self._unsent += sum(map(len, packet.buffers))

    def _write(self) -> None:
        to = self._socket
        if to is None:
            return
        try:
            while self._packets:
                views = [view for view, _ in self._packets[:_BUFFERS]]
                sent = to.sendmsg(views)
                self._unsent -= sent
                if self._sent(sent) < len(views):
                    break
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            # The reader sees it too, and on the loop.
            self._break(str(error))
            return
        self._watch_for_room()
        self._room.notify_all()

    def _sent(self, size: int) -> int:
        """So many bytes are gone; returns how many buffers are."""
        gone = 0
        for view, batch in self._packets:
            if size < len(view):
                if size:
                    self._packets[gone] = (view[size:], batch)
                break
            size -= len(view)
            gone += 1
        del self._packets[:gone]
        return gone

    def _watch_for_room(self) -> None:
        if threading.get_ident() != self._thread:
            if self._packets and not self._writing:
                self._loop.call_soon_threadsafe(self.flush)
            return
        if self._socket is None or bool(self._packets) == self._writing:
            return
        if self._packets:
            self._loop.add_writer(self._socket.fileno(), self.flush)
        else:
            self._loop.remove_writer(self._socket.fileno())
        self._writing = bool(self._packets)

    # ---- receiving

    def _readable(self) -> None:
        if self.read():
            self.deliver()

    def read(self) -> bool:
        """Take in what the socket has, without handing it out; False when the connection broke."""
        with self._lock:
            if self._socket is None:
                return False
            try:
                size = self._socket.recv_into(self._received_bytes)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as error:
                self._break(str(error))
                return False
            if not size:
                self._break("the connection was closed")
                return False
            try:
                for received in self._reader.feed(memoryview(self._received_bytes)[:size]):
                    self._inbox += received
            except (msgspec.MsgspecError, ValueError) as error:
                self._break(f"it sent what is no packet: {error}")
                return False
            if threading.get_ident() != self._thread:
                # The socket has nothing left that would wake the loop.
                self._loop.call_soon_threadsafe(self.deliver)
            return True

    def deliver(self) -> None:
        """Hand out the frames that were read. On the loop only."""
        with self._lock:
            inbox, self._inbox = self._inbox, []
        for frame in inbox:
            try:
                self._received(frame)
            except Exception:
                log.exception("a %s was not dealt with", type(frame).__name__)  # and those behind it are

    def peek(self) -> list[FromGateway]:
        """The frames that were read and not handed out; for the pulse, while the loop is blocked."""
        return list(self._inbox)

    def pump(self, kinds: tuple[type[Frame], ...], handle: Callable[[FromGateway], None]) -> None:
        """Write and read once, waiting for at most a second, and hand out the frames of these kinds only; the others
        wait for their turn. For code that blocks the loop's thread and needs an answer.

        Raises:
            ConnectionError: there is no gateway just now.
        """
        self.flush()
        if self._socket is None:
            raise ConnectionError("the gateway was lost")
        select.select([self._socket], [self._socket] if self._packets else [], [], 1.0)
        self.flush()
        self.read()
        with self._lock:
            taken = [frame for frame in self._inbox if isinstance(frame, kinds)]
            self._inbox = [frame for frame in self._inbox if not isinstance(frame, kinds)]
        for frame in taken:
            handle(frame)
        self._loop.call_soon(self.deliver)

    def forget(self) -> None:
        """In a child process that was forked: the connection is the parent's."""
        if self._socket is not None:
            os.close(self._socket.detach())
        self._socket = None
        self._outbox, self._packets, self._scheduled = [], [], True
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)


def _words(frame: Frame) -> Frame | None:
    """What of an unsent frame is still worth sending to another gateway: log entries. Chunks and outcomes are kept,
    and sent again, by their attempts."""
    if isinstance(frame, RunnerLog):
        return frame
    if isinstance(frame, Entries):
        entries: list[Entry] = [entry for entry in frame.entries if not isinstance(entry, Chunk)]
        return Entries(frame.request_id, frame.attempt, entries) if entries else None
    return None
