"""The bytes of files on their way to a caller, who may stop to read at any time.

While there is memory for it, the next block is read while one is written, whole. Beyond that blocks are read one by
one and written in small pieces. Who stops to read keeps neither a block nor an open file: both are taken up again
where they were left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from starlette.types import Receive, Scope, Send

from pondage.files.interface import FileInfo
from pondage.files.ranges import Span
from pondage.gateway.call import Call, until_gone
from pondage.gateway.crowd import PLACE, Place

_BLOCK = 1024 * 1024
"""Bytes that the store reads at a time."""
_PIECE = 64 * 1024
"""Bytes that are written at a time where there is no memory for a whole block."""
_STALL = 0.5
"""Seconds after which a caller who takes nothing counts as one who has stopped to read."""

Headers = list[tuple[str, str]]


class FileBody:
    """Spans of a file, each behind some bytes of its own, and a tail."""

    def __init__(self, call: Call, info: FileInfo, parts: list[tuple[bytes, Span]], tail: bytes = b"") -> None:
        self._files = call.rooms.files
        self._info = info
        self._left = deque(parts)
        self._tail = tail
        self._blocks: AsyncIterator[bytes] | None = None
        self._last = Span(0, 0)
        """Where the last block is from."""
        self.length = sum(len(head) + span.end - span.start for head, span in parts) + len(tail)

    async def next(self, *, ahead: bool) -> bytes:
        """The next bytes; none at the end.

        Args:
            ahead: those behind them are read meanwhile.
        """
        while self._left:
            head, span = self._left[0]
            if head:
                self._left[0] = (b"", span)
                self._last = Span(0, 0)
                return head
            if span.start < span.end:
                if self._blocks is None:
                    end = span.end if ahead else min(span.end, (span.start // _BLOCK + 1) * _BLOCK)
                    self._blocks = self._files.read(self._info, span.start, end)
                block = await anext(self._blocks)
                self._last = Span(span.start, span.start + len(block))
                self._left[0] = (b"", Span(self._last.end, span.end))
                if not ahead:
                    await self.rest()
                return block
            self._left.popleft()
            await self.rest()
        tail, self._tail = self._tail, b""
        return tail

    def back(self, size: int) -> None:
        """The last `size` bytes of the block that came last are wanted once more."""
        (_, span), at = self._left[0], self._last.end - size
        self._left[0] = (b"", Span(at, span.end))

    async def rest(self) -> None:
        """Keep nothing open and nothing read ahead; `next` goes on from where it is."""
        blocks, self._blocks = self._blocks, None
        if blocks is not None:
            await cast(AsyncGenerator[bytes, None], blocks).aclose()


class FileAnswer:
    """Sends a body as it is read, and stops to read when the caller goes away."""

    def __init__(self, status: int, headers: Headers, call: Call, body: FileBody | None = None) -> None:
        self._status = status
        self._headers = headers
        self._call = call
        self._body = body
        self._first = b""
        self._sent = 0
        self._ahead = False
        """There is memory for two blocks."""
        place: Place | None = call.scope.get(PLACE)
        self._connection = None if place is None else place.connection

    async def begin(self) -> FileAnswer:
        """Read and check the first bytes: damage there is an error with a status."""
        if self._body is not None and self._body.length:
            async with self._call.budget.reading:
                self._first = await self._body.next(ahead=False)
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in self._headers]
        await send({"type": "http.response.start", "status": self._status, "headers": raw})
        body = self._body
        if body is None or not body.length:
            await send({"type": "http.response.body", "body": b""})
            return
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            block, self._first = self._first, b""
            while block and not gone.done():
                await self._send(send, body, block)
                block = b""
                if self._sent < body.length:
                    self._hurry()
                    async with self._call.budget.reading:
                        block = await body.next(ahead=self._ahead)
        finally:
            gone.cancel()
            await self._slow_down(body)

    def _hurry(self) -> None:
        if not self._ahead:
            self._ahead = self._call.budget.take(self._call.budget_key, 2 * _BLOCK)

    async def _slow_down(self, body: FileBody) -> None:
        await body.rest()
        if self._ahead:
            self._ahead = False
            self._call.budget.give(self._call.budget_key, 2 * _BLOCK)

    async def _send(self, send: Send, body: FileBody, block: bytes) -> None:
        """A block: whole where there is memory until the caller has it, else piece by piece."""
        size, step = len(block), _BLOCK if self._ahead else _PIECE
        for at in range(0, size, step):
            piece = block if size <= step else block[at : at + step]
            self._sent += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": self._sent < body.length})
            if self._connection is None or await self._connection.has_room(_STALL):
                continue
            if at + step < size:
                body.back(size - at - step)
            del block, piece
            await body.rest()
            await self._connection.has_room(None)
            await self._slow_down(body)
            return
