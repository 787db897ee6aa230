"""Partial output: chunks, numbered from 1 within the attempt, kept until the gateway has them on disk."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from pondage.app.signature import Output
from pondage.runner.journal import Notebook
from pondage.runner.outcomes import check_size
from pondage.wire.events import Chunk
from pondage.wire.frames import Entries

_TURN = 64
"""Chunks after which a generator that never waits lets the loop do its other work."""


class Chunks:
    """The chunks of one attempt. More than `limit` uncommitted bytes hold the generator."""

    def __init__(self, notes: Notebook, limit: int) -> None:
        self.count = 0
        self.last = b"null"
        self._notes = notes
        self._limit = limit
        self._kept: deque[Chunk] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._event: asyncio.Event | None = None
        self._ended = False

    def add(self, data: bytes) -> None:
        """The next chunk: JSON, made ASCII so that no client can cut a character in two (PROTOCOL 5.2)."""
        if not data.isascii():
            data = json.dumps(msgspec.json.decode(data), separators=(",", ":")).encode()
        check_size(data)
        self.last = data
        with self._lock:
            self.count += 1
            chunk = Chunk(self._notes.now(), self.count, data)
            self._kept.append(chunk)
            self._bytes += len(data)
        self._notes.chunk(chunk)

    @property
    def full(self) -> bool:
        return self._bytes > self._limit and not self._ended

    def committed(self, number: int) -> None:
        """The gateway has the chunks up to `number`. On the loop."""
        with self._lock:
            while self._kept and self._kept[0].n <= number:
                self._bytes -= len(self._kept.popleft().data)
            self._room.notify_all()
        if self._event is not None and not self.full:
            self._event.set()

    def end(self) -> None:
        """Hold nobody any more: the attempt is being stopped."""
        with self._lock:
            self._ended = True
            self._room.notify_all()

    def frame(self) -> Entries | None:
        """What a gateway that comes after may not have."""
        with self._lock:
            kept = list(self._kept)
        return Entries(self._notes.request_id, self._notes.attempt, [*kept]) if kept else None

    async def room(self) -> None:
        """Until the gateway has caught up; for the loop."""
        while self.full:
            self._event = asyncio.Event()
            await self._event.wait()

    def wait_for_room(self) -> None:
        """The same, for a thread."""
        with self._lock:
            self._room.wait_for(lambda: self._bytes <= self._limit or self._ended)


async def events(body: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The data of server-sent events, as an author ported from fal writes them; text that is no JSON stays text."""
    rest = ""
    async for part in body:
        if isinstance(part, dict):  # sse-starlette's own form
            rest += f"data: {part.get('data', '')}\n\n"
        else:
            rest += part if isinstance(part, str) else bytes(part).decode()
        *blocks, rest = rest.replace("\r\n", "\n").split("\n\n")
        for block in blocks:
            lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
            if lines:
                text = "\n".join(lines)
                try:
                    yield msgspec.json.decode(text)
                except msgspec.DecodeError:
                    yield text


async def pull(generator: AsyncIterator[Any], output: Output, chunks: Chunks) -> bytes:
    """Run an asynchronous generator to its end; its last chunk. Its `finally` has run when this returns or raises."""
    try:
        async for value in generator:
            chunks.add(output.encode(value))
            if chunks.full:
                await chunks.room()
            elif chunks.count % _TURN == 0:
                await asyncio.sleep(0)
    finally:
        if (close := getattr(generator, "aclose", None)) is not None:
            await close()
    return chunks.last


def pull_in_thread(generator: Iterator[Any], output: Output, chunks: Chunks) -> bytes:
    """The same for a synchronous generator, in the attempt's thread."""
    try:
        for value in generator:
            chunks.add(output.encode(value))
            if chunks.full:
                chunks.wait_for_room()
    finally:
        if (close := getattr(generator, "close", None)) is not None:
            close()
    return chunks.last
