"""The load generator: as many callers as asked, one request in flight each, over kept connections.

It shares the machine with what it measures, so it does as little as it can: requests are made in advance, a caller
sends its next one from the callback that took the answer, and answers are read only as far as their length and a mark
that shows they are right.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

HOST = "127.0.0.1"
PAD = "p" * 200
GRACE = 30.0
"""Seconds beyond its duration after which a load is given up."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Ask(NamedTuple):
    """A request as it goes over the wire, and what a right answer contains.

    Attributes:
        then: makes the request that follows from the answer, for a server that takes two; together they count as one.
    """

    raw: bytes
    expect: bytes
    then: Callable[[bytes], Ask] | None = None


class Load(NamedTuple):
    """What a load measured: times of each answer in seconds, sorted, and the duration of the whole."""

    latencies: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """The latency in seconds that `share` of the answers stayed below."""
        return quantile(self.latencies, share)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value in an ordered sequence that `share` of it lies below."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def request(method: str, path: str, body: Any = None, *headers: str) -> bytes:
    """An HTTP/1.1 request; a body that is not bytes is sent as JSON."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *headers]
    content = b""
    if body is not None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def additions(
    path: str, *headers: str, count: int = 512, wrap: Callable[[dict[str, Any]], Any] = lambda work: work
) -> list[Ask]:
    """Requests of the workload: `{"x": int, "pad": 200 characters}` becomes `{"y": x + 1}`.

    Args:
        wrap: makes the body of it, for a server that wants more around it.
    """
    asks = []
    for x in range(1_000_000, 1_000_000 + count):
        body = wrap({"x": x, "pad": PAD})
        asks.append(Ask(request("POST", path, body, *headers), str(x + 1).encode()))
    return asks


def submits(path: str, mark: bytes, count: int = 512) -> list[Ask]:
    """The same, where the answer is an acknowledgement that contains `mark`."""
    return [Ask(ask.raw, mark) for ask in additions(path, count=count)]


class WrongAnswer(Exception):
    """A server answered with an error, or with something else than it should."""


class _Caller(asyncio.Protocol):
    """One connection; sends the next request as soon as an answer is whole."""

    def __init__(
        self, next_ask: Callable[[], Ask | None], took: Callable[[float], None], ended: asyncio.Future[None]
    ) -> None:
        self._next = next_ask
        self._took = took
        self.ended = ended
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def go(self) -> None:
        ask = self._next()
        if ask is None:
            self._end(None)
            return
        self._sent = time.perf_counter()
        self._send(ask)

    def _send(self, ask: Ask) -> None:
        self._ask = ask
        self.transport.write(ask.raw)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        end = data.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(data, 0, end) if end > 3 else None
        if end > 3 and length is None and not _CHUNKED.search(data, 0, end):
            self._end(WrongAnswer(f"an answer without a length: {data[:200]!r}"))
        elif end < 4 or (len(data) < end + int(length[1]) if length else not data.endswith(_LAST_CHUNK)):
            self._rest = data
        elif data[9:10] != b"2" or data.find(self._ask.expect, end) < 0:
            self._end(WrongAnswer(f"expected {self._ask.expect!r}, got {data[:600]!r}"))
        else:
            self._rest = b""
            if self._ask.then is not None:
                self._send(self._ask.then(data))
                return
            self._took(time.perf_counter() - self._sent)
            self.go()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("the server closed the connection"))

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
        self.transport.close()


async def press(port: int, asks: Sequence[Ask], *, callers: int, seconds: float, most: int | None = None) -> Load:
    """Let `callers` send the requests round and round for so many seconds, or until `most` were sent.

    Raises:
        WrongAnswer: one answer was not right; nothing is measured of a server that errs.
        ConnectionError: the server closed a connection.
    """
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    sent = 0
    until = 0.0

    def next_ask() -> Ask | None:
        nonlocal sent
        if sent == most or time.perf_counter() > until:
            return None
        sent += 1
        return asks[sent % len(asks)]

    connections = []
    for _ in range(callers):
        ended: asyncio.Future[None] = loop.create_future()
        make = partial(_Caller, next_ask, latencies.append, ended)
        _, caller = await loop.create_connection(make, HOST, port)
        connections.append(caller)
    began = time.perf_counter()
    until = began + seconds
    for caller in connections:
        caller.go()
    try:
        async with asyncio.timeout(seconds + GRACE):
            await asyncio.gather(*(caller.ended for caller in connections))
    finally:
        for caller in connections:
            caller.transport.close()
    duration = time.perf_counter() - began
    latencies.sort()
    return Load(latencies, duration)


class Answer(NamedTuple):
    """An answer that was read to the end of its connection."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(port: int, method: str, path: str, body: Any = None, *headers: str) -> Answer:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request(method, path, body, "Connection: close", *headers))
    whole = await reader.read()
    writer.close()
    head, _, content = whole.partition(b"\r\n\r\n")
    if not head:
        raise ConnectionResetError("no answer")
    if b"transfer-encoding: chunked" in head.lower():
        content = b"".join(_chunks(content))
    return Answer(int(head[9:12]), head, content)


def _chunks(content: bytes) -> Iterable[bytes]:
    while content:
        size, _, content = content.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return
        yield content[:length]
        content = content[length + 2 :]


class StreamRead(NamedTuple):
    """What one reader saw of a stream. Durations in seconds, from the moment the request was sent."""

    events: int
    first: float
    seconds: float


class _Reader(asyncio.Protocol):
    """Counts marks of events as they come and keeps nothing."""

    def __init__(self, raw: bytes, mark: bytes, ended: asyncio.Future[StreamRead]) -> None:
        self._raw = raw
        self._mark = mark
        self._ended = ended
        self._events = 0
        self._first = 0.0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._began = time.perf_counter()
        cast(asyncio.Transport, transport).write(self._raw)

    def data_received(self, data: bytes) -> None:
        seen = self._tail + data
        found = seen.count(self._mark)
        if found and not self._events:
            self._first = time.perf_counter() - self._began
        self._events += found
        self._tail = seen[-len(self._mark) + 1 :]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(StreamRead(self._events, self._first, time.perf_counter() - self._began))


async def read_stream(port: int, raw: bytes, mark: bytes = b"data: ") -> StreamRead:
    """Send a request that says `Connection: close` and count the events of its answer, each with one `mark`, until the
    server ends it."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[StreamRead] = loop.create_future()
    transport, _ = await loop.create_connection(lambda: _Reader(raw, mark, ended), HOST, port)
    try:
        async with asyncio.timeout(120):
            return await ended
    finally:
        transport.close()
