"""Partial output: chunks, numbered from 1 within the attempt, kept until the gateway has them on disk."""

from __future__ import annotations

import asyncio
import codecs
import inspect
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from types import GeneratorType, NoneType
from typing import Any

import msgspec
from pydantic import BaseModel

from pondage.app.outputs import Output, OutputError
from pondage.runner import forked
from pondage.runner.journal import Notebook
from pondage.runner.outcomes import check_size
from pondage.runner.outward import outward
from pondage.wire.events import Chunk
from pondage.wire.frames import Entries

_TURN = 64
"""Chunks after which a generator that never waits lets the loop do its other work."""


class Chunks:
    """The chunks of one attempt. More than `limit` uncommitted bytes hold the generator."""

    def __init__(self, notes: Notebook, limit: int, base_url: str = "") -> None:
        self.count = 0
        self._base_url = base_url
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
        if forked.here:
            forked.end(None)
        if not data.isascii():
            data = json.dumps(msgspec.json.decode(data), separators=(",", ":")).encode()
        data = outward(data, self._base_url)
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


_ONE = (str, bytes, bytearray, memoryview, Mapping, BaseModel)
"""What can be iterated, and is one value."""
_MOST = (BaseModel, dict, str, int, float, list, NoneType)
"""What is returned most often; looked at first, as this is asked of every result."""


def is_plain(value: Any, *, many: bool, typed: bool) -> bool:
    """Whether a returned value is one to be encoded, and neither to be awaited nor to be iterated.

    Args:
        many: whether the method says that it yields; then a list is as good as a generator.
        typed: whether it says what it returns; then a generator may be one value, as for `list[int]`.
    """
    if isinstance(value, _MOST):
        return not (many and isinstance(value, list))
    cls = type(value)
    if hasattr(cls, "__await__") or hasattr(cls, "__aiter__") or hasattr(value, "body_iterator"):
        return False
    return not is_many(value) if many else typed or not isinstance(value, GeneratorType)


def is_many(value: Any) -> bool:
    """Whether it is iterated in a thread."""
    cls = type(value)
    return hasattr(cls, "__iter__") and not hasattr(value, "body_iterator") and not isinstance(value, _ONE)


def asynchronous(value: Any) -> AsyncIterator[Any] | None:
    """What is iterated on the loop: an asynchronous generator, or the body of a streaming response; else None."""
    if (streamed := getattr(value, "body_iterator", None)) is not None:
        kind = str(getattr(value, "media_type", None) or "text/event-stream")
        return events(streamed) if "event-stream" in kind else texts(streamed)
    return aiter(value) if hasattr(type(value), "__aiter__") else None


async def events(body: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The data of server-sent events, as an author ported from fal writes them; text that is no JSON stays text."""
    rest = ""
    async for text in texts(body):
        *blocks, rest = (rest + text).replace("\r\n", "\n").split("\n\n")
        for block in blocks:
            if (data := _data_of(block)) is not None:
                yield data
    if (data := _data_of(rest)) is not None:  # the last one, without its blank line
        yield data


async def texts(body: AsyncIterator[Any]) -> AsyncIterator[str]:
    """The parts of a body as text; characters may come in pieces.

    Raises:
        OutputError: they are no text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    async for part in body:
        if isinstance(part, dict):  # sse-starlette's own form
            yield f"data: {part.get('data', '')}\n\n"
            continue
        try:
            text = part if isinstance(part, str) else decoder.decode(bytes(part))
        except UnicodeDecodeError as error:
            raise OutputError(f"a streaming response is text; return a File for binary data: {error}") from error
        if text:
            yield text


def _data_of(block: str) -> Any:
    """The data of one event; None where it has none."""
    lines = [line[5:].removeprefix(" ") for line in block.splitlines() if line.startswith("data:")]
    if not lines:
        return None
    text = "\n".join(lines)
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


class Making:
    """From what a method returned to the bytes of its result.

    Args:
        many: whether the method says that it yields.
        chunks: makes the chunks of the attempt, where there are any.
    """

    __slots__ = ("_chunks", "_many", "_output")

    def __init__(self, output: Output, many: bool, chunks: Callable[[], Chunks]) -> None:
        self._output = output
        self._many = many
        self._chunks = chunks

    def in_thread(self, made: Any) -> Any:
        """In the attempt's thread: the bytes, or what is left for the loop."""
        if is_plain(made, many=self._many, typed=self._output.typed):
            return self._output.encode(made)
        return pull_in_thread(iter(made), self._output, self._chunks()) if is_many(made) else made

    async def on_loop(self, made: Any, threaded: Callable[[Callable[[], bytes]], Awaitable[bytes]]) -> bytes:
        """The bytes; `threaded` runs a function in the attempt's thread."""
        while inspect.isawaitable(made):  # of an `async` method, or of one behind a decorator that is a plain function
            made = await made
        if is_plain(made, many=self._many, typed=self._output.typed):
            return self._output.encode(made)
        if (generator := asynchronous(made)) is not None:
            return await pull(generator, self._output, self._chunks())
        return await threaded(lambda: pull_in_thread(iter(made), self._output, self._chunks()))


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
