"""Packets: how frames travel on the socket between a gateway and a runner.

A packet is four bytes of big-endian length and that many bytes of msgpack: a list of frames, so that one write carries
many. A frame with much data is a packet by itself, and its data follow behind it as they are, copied by nobody: the
length then has its highest bit set, and four bytes behind it say how many bytes follow.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar, cast

import msgspec

from pondage.wire.frames import FileSlice, Frame, SessionMessage, pack

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
    """The packets of frames, in order."""
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
    body = pack(frames)
    if len(body) > MAX_PACKET and len(frames) > 1:
        middle = len(frames) // 2
        yield from _plain(frames[:middle])
        yield from _plain(frames[middle:])
        return
    head = struct.pack(">I", len(body))
    yield Packet([head + body] if len(body) < _JOINED else [head, body], frames)


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
