"""Reading server-sent events, without I/O (WHATWG HTML 9.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pondage.client import limits
from pondage.client.errors import OutputMismatch

_BOM = b"\xef\xbb\xbf"
"""What a stream may begin with, and which is no part of it."""


class ServerEvent(NamedTuple):
    """One block: its data (lines joined), its name, and the last id that the stream gave."""

    data: bytes
    name: str
    id: str | None


class EventReader:
    """Takes bytes as they come, gives whole events. Comments, and blocks without data, are no events."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._begun = False
        self.last_id: str | None = None

    def feed(self, data: bytes) -> Iterator[ServerEvent]:
        """The events that `data` completes.

        Raises:
            OutputMismatch: a block of more than `limits.MAX_EVENT` bytes.
        """
        before = self._held[-1][-1:] if self._held else b""
        if self._begun and b"\r" not in before + data and b"\n\n" not in before + data:
            self._hold(data)  # the middle of a block: it is not looked through again with each piece
            return
        data = b"".join([*self._held, data])
        if not self._begun:
            self._begun = not _BOM.startswith(data)
            data = data.removeprefix(_BOM) if self._begun else data
        self._held, self._size = [], 0
        if b"\r" in data:
            # A lone \r at the end may be the first half of \r\n.
            data, held = (data[:-1], b"\r") if data.endswith(b"\r") else (data, b"")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *blocks, rest = data.split(b"\n\n")
        self._hold(rest)
        for block in blocks:
            if (event := self._read(block)) is not None:
                yield event

    def _hold(self, data: bytes) -> None:
        if data:
            self._held.append(data)
            self._size += len(data)
        if self._size > limits.MAX_EVENT:
            raise OutputMismatch(f"an event of more than {limits.MAX_EVENT} bytes")

    def _read(self, block: bytes) -> ServerEvent | None:
        data: list[bytes] = []
        name = "message"
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"id" and b"\0" not in value:
                self.last_id = value.decode("utf-8", "replace")
            elif field == b"event":
                name = value.decode("utf-8", "replace")
        return ServerEvent(b"\n".join(data), name, self.last_id) if data else None
