"""WebSocket frames as bytes (RFC 6455, section 5): cut out of what a socket gives, and the heads of those it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

TEXT, BINARY = 0x81, 0x82
"""First bytes of frames that are whole messages."""

_LARGE_PIECE = 4096
"""Pieces from this size on are kept as they came; smaller ones are put together, since each costs an object."""


class Incoming(NamedTuple):
    """A client's frame. `head` has its length and mask; `masked` is its payload as it came, if it was not too large."""

    head: bytes
    masked: bytes
    too_large: bool = False

    @property
    def first(self) -> int:
        """FIN, reserved bits and opcode."""
        return self.head[0]

    @property
    def mask(self) -> bytes:
        return self.head[-4:]

    @property
    def is_message(self) -> bool:
        """A whole message of a client: text or binary, in one piece, masked."""
        return self.head[0] in (TEXT, BINARY) and self.head[1] >= 0x80 and not self.too_large


class FrameCutter:
    """Cuts a stream of bytes into frames.

    Args:
        limit: most bytes of payload; of a larger frame the head is handed out, for whoever refuses it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._start = b""
        """A head that is not complete."""
        self._head = b""
        self._pieces: list[bytes | bytearray] = []
        self.missing = 0
        """Bytes of payload that are still to come of the last frame."""
        self._length = 0

    @property
    def coming(self) -> int:
        """Bytes of payload of the frame that is not complete yet, with those still to come; 0 where there is none."""
        return self._length if self.missing else 0

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """The frames that `data` completes, in order; of the last one the beginning is kept."""
        at = 0
        if self.missing:
            part = data[: self.missing]
            self._keep(part)
            self.missing -= len(part)
            if self.missing:
                return
            at = len(part)
            whole = Incoming(self._head, b"".join(self._pieces))
            self._pieces.clear()
            yield whole
        elif self._start:
            data, self._start = self._start + data, b""
        size = len(data)
        while at < size:
            begin = at + _head_size(data, at)
            if begin > size:
                self._start = data[at:]
                return
            length = _length(data, at)
            end = begin + length
            if length > self._limit:
                yield Incoming(data[at:begin], b"", True)
            elif end > size:
                self._head, self.missing, self._length = data[at:begin], end - size, length
                self._keep(data[begin:])
                return
            else:
                yield Incoming(data[at:begin], data[begin:end])
            at = end

    def _keep(self, piece: bytes) -> None:
        pieces = self._pieces
        if len(piece) >= _LARGE_PIECE:
            pieces.append(piece)
        elif pieces and isinstance(pieces[-1], bytearray):
            pieces[-1] += piece
        else:
            pieces.append(bytearray(piece))


def _head_size(data: bytes, at: int) -> int:
    """Bytes of the head that begins at `at`; of one that says too little yet, more than there are."""
    if len(data) < at + 2:
        return 2
    second = data[at + 1]
    return 2 + {126: 2, 127: 8}.get(second & 0x7F, 0) + (4 if second & 0x80 else 0)


def _length(data: bytes, at: int) -> int:
    short = data[at + 1] & 0x7F
    if short < 126:
        return short
    return int.from_bytes(data[at + 2 : at + (4 if short == 126 else 10)])


def outgoing_head(first: int, length: int) -> bytes:
    """The head of a server's frame, which is not masked."""
    if length < 126:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2)
    return bytes((first, 127)) + length.to_bytes(8)
