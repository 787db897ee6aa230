"""One write for the head and the body of an answer, and for whatever else leaves in the same turn of the loop.

The server writes them one after the other, and each write is a system call: about a fifth of what the gateway spends
on a small request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pondage.gateway.crowd import Place

_ENOUGH = 64 * 1024
"""So many bytes are written at once, so that flow control sees them."""


class CoalescingTransport:
    """A transport that holds small writes until the end of the turn. All else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0
        self._before_reading: Callable[[], None] | None = None
        self.place: Place | None = None

    def write(self, data: bytes) -> None:
        if len(data) >= _ENOUGH and not self._held:
            self._transport.write(data)
            return
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= _ENOUGH:
            self._flush()

    def _flush(self) -> None:
        held = self._held
        if held:
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))
            self._held = []
            self._size = 0

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    # ---- reading

    def hold_reading(self, instead: Callable[[], None]) -> None:
        """Read nothing until `go_on_reading`: bytes that came are still to be worked off. Whoever asks meanwhile for
        more to be read wants these: `instead` is called."""
        self._before_reading = instead
        self._transport.pause_reading()

    def go_on_reading(self, *, paused: bool) -> None:
        """Read again, unless somebody else has `paused` it."""
        if self._before_reading is not None:
            self._before_reading = None
            if not paused:
                self._transport.resume_reading()

    def resume_reading(self) -> None:
        if self._before_reading is None:
            self._transport.resume_reading()
        else:
            self._before_reading()

    # ---- the end

    def alone(self) -> asyncio.Transport:
        """The transport itself, for whoever wants its writes to leave at once; nothing is held back any more."""
        self._flush()
        return self._transport

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + self._size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
