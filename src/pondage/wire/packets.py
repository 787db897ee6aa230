"""Packets: how frames travel on the socket between a gateway and a runner.

A packet is four bytes of big-endian length and that many bytes of msgpack: a list of frames, so that one write carries
many. A frame with much data is a packet by itself, and its data follow behind it as they are, copied by nobody: the
length then has its highest bit set, and four bytes behind it say how many bytes follow.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar, cast

import msgspec

from pondage.wire import outcomes
from pondage.wire.events import Log
from pondage.wire.frames import (
    Entries,
    FileSlice,
    Finished,
    Frame,
    Ready,
    RunnerLog,
    SessionMessage,
    SetupFailed,
    pack,
)
from pondage.wire.text import in_one_line

log = logging.getLogger("pondage.wire")

F = TypeVar("F", bound=Frame)

BULK = 16 * 1024
"""Bytes of data from which on they follow behind their frame."""
MAX_PACKET = 64 * 1024 * 1024
"""Bytes that a packet, or what follows behind one, may have."""

_WITH_DATA = (SessionMessage, FileSlice)
_BULK_BIT = 1 << 31
_JOINED = 64 * 1024
"""Packets from this size on are not copied behind their length."""


class Packet(NamedTuple):
    """What is written for some frames, in order."""

    buffers: list[bytes | memoryview]
    frames: Sequence[Frame]


def packets(frames: Sequence[Frame]) -> Iterator[Packet]:
    """The packets of frames, in order.

    A frame that cannot be packed, or is too large for a packet, costs no other one: something that says so is sent in
    its place, and logged.
    """
    begin = 0
    for n, frame in enumerate(frames):
        if isinstance(frame, _WITH_DATA) and len(frame.data) >= BULK:
            if begin < n:
                yield from _plain(frames[begin:n])
            yield _bulk(frame)
            begin = n + 1
    if begin < len(frames):
        yield from _plain(frames[begin:] if begin else frames)


def _plain(frames: Sequence[Frame]) -> Iterator[Packet]:
    try:
        body = pack(frames)
        reason = "" if len(body) <= MAX_PACKET else f"it has {len(body)} bytes; a packet holds {MAX_PACKET}"
    except Exception as error:  # half a character, a number of NumPy's: what no limit before this one has seen
        reason = in_one_line(error)
    if not reason:
        head = struct.pack(">I", len(body))
        yield Packet([head + body] if len(body) < _JOINED else [head, body], frames)
    elif len(frames) > 1:
        middle = len(frames) // 2
        yield from _plain(frames[:middle])
        yield from _plain(frames[middle:])
    else:
        yield from _instead(frames[0], reason)


def _instead(frame: Frame, reason: str) -> Iterator[Packet]:
    """What is sent for a frame that cannot travel."""
    if isinstance(frame, Entries | RunnerLog) and len(frame.entries) > 1:
        middle = len(frame.entries) // 2
        for part in (frame.entries[:middle], frame.entries[middle:]):
            yield from _plain([msgspec.structs.replace(frame, entries=part)])
        return
    log.error("a %s cannot be sent: %s", type(frame).__name__, reason)
    if (other := _stand_in(frame, reason)) is not None:
        yield Packet(next(_plain([other])).buffers, [frame])


def _stand_in(frame: Frame, reason: str) -> Frame | None:
    if isinstance(frame, Finished):
        return Finished(frame.request_id, frame.attempt, outcomes.not_handed_in(reason))
    if isinstance(frame, Entries | RunnerLog):
        at = getattr(frame.entries[0], "at", 0.0) if frame.entries else 0.0
        lost = Log(float(at), "WARN", f"an entry of this log could not be sent: {reason}", "pondage")
        return msgspec.structs.replace(frame, entries=[lost])
    if isinstance(frame, Ready | SetupFailed):
        return SetupFailed(f"what the app says of itself cannot be sent: {reason}", "", "")
    return None


def _bulk(frame: SessionMessage | FileSlice) -> Packet:
    bare = pack([msgspec.structs.replace(frame, data=b"")])
    return Packet([struct.pack(">II", _BULK_BIT | len(bare), len(frame.data)) + bare, frame.data], [frame])


class PacketReader(Generic[F]):
    """Reads frames from what a socket gives.

    Args:
        decode: reads the frames of one packet.
    """

    def __init__(self, decode: Callable[[memoryview], list[F]]) -> None:
        self._decode = decode
        self._held = bytearray()
        """The beginning of a packet."""
        self._frame: F | None = None
        """A frame whose data are still coming: so many bytes are missing."""
        self._missing = 0
        self._pieces: list[bytes] = []

    def feed(self, data: bytes | memoryview) -> Iterator[list[F]]:
        """The frames that `data` completes, packet by packet. What is kept is copied.

        Raises:
            ValueError: this is no packet. msgspec.MsgspecError: it holds no frames of this version.
        """
        held = self._held
        if held:
            held += data
        elif self._frame is None and len(data) >= 4 and int.from_bytes(data[:4]) == len(data) - 4:
            # Nearly always one whole packet comes, and nothing else.
            with memoryview(data) as view:
                yield self._decode(view[4:])
            return
        used = 0
        with memoryview(held or data) as view:
            while (step := self._next(view, used)) is not None:
                used, frames = step
                if frames:
                    yield frames
        if held:
            del held[:used]
        elif used < len(data):
            held += data[used:]

    def _next(self, view: memoryview, at: int) -> tuple[int, list[F]] | None:
        """One step from `at`: where the next one begins, and the frames that are whole; None if more must come."""
        left = len(view) - at
        if self._frame is not None:
            if not left:
                return None
            piece = bytes(view[at : at + self._missing])
            self._pieces.append(piece)
            self._missing -= len(piece)
            return at + len(piece), [] if self._missing else [self._completed()]
        if left < 4:
            return None
        (length,) = struct.unpack_from(">I", view, at)
        bulk, length = length & _BULK_BIT, length & ~_BULK_BIT
        begin = at + (8 if bulk else 4)
        if length > MAX_PACKET:
            raise ValueError(f"a packet of {length} bytes; at most {MAX_PACKET} are taken")
        if len(view) < begin + length:
            return None
        frames = self._decode(view[begin : begin + length])
        if not bulk:
            return begin + length, frames
        (missing,) = struct.unpack_from(">I", view, at + 4)
        if len(frames) != 1 or not isinstance(frames[0], _WITH_DATA) or not 0 < missing <= MAX_PACKET:
            raise ValueError(f"{missing} bytes of data behind a packet that takes none")
        self._frame, self._missing = frames[0], missing
        return begin + length, []

    def _completed(self) -> F:
        frame = cast(F, self._frame)
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        cast(SessionMessage | FileSlice, frame).data = data
        self._frame = None
        self._pieces.clear()
        return frame
