"""Callers that mean no good, beside those whose requests are audited: they drip, flood, never read, and vanish.

Nothing of theirs is written down: whatever becomes of it, the others' requests must not suffer.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from pondage.torture.words import APP

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PATIENCE = 3.0
"""Seconds that one connection is kept at most; then its caller opens another."""
_DOWN = 0.1
"""Seconds until a server that does not answer is dialled again."""
_FLOOD = 64
"""Pieces of a flood, each with some pause behind it: the run is to have a server left."""
_REST = 0.02


class Hostile:
    """So many hostile callers at once, each with a connection.

    Args:
        url: the server's.
        count: how many.
        seed: what they do, and when.
    """

    def __init__(self, url: str, count: int, seed: int) -> None:
        at = urlsplit(url)
        self._address = (str(at.hostname), int(at.port or 80))
        self._host = at.netloc
        self._count = count
        self._seed = seed
        self.done: Counter[str] = Counter()
        """How many connections did what."""

    async def run(self) -> None:
        """For ever."""
        await asyncio.gather(*(self._caller(n) for n in range(self._count)))

    async def _caller(self, n: int) -> None:
        chance = random.Random(f"hostile {self._seed} {n}")  # noqa: S311 - repeatable on purpose
        deeds: list[Callable[[Streams, random.Random], Awaitable[None]]] = [
            self._drip, self._flood, self._flood_socket, self._never_read, self._vanish,
        ]  # fmt: skip
        while True:
            deed = chance.choice(deeds)
            try:
                streams = await asyncio.open_connection(*self._address)
            except OSError:
                await asyncio.sleep(_DOWN)
                continue
            try:
                # A server that hangs up on such a caller, or is killed, is as it should be.
                with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    async with asyncio.timeout(_PATIENCE):
                        await deed(streams, chance)
            finally:
                streams[1].transport.abort()
            self.done[deed.__name__.strip("_")] += 1

    def _head(self, method: str, path: str, *lines: str) -> bytes:
        more = "".join(f"{line}\r\n" for line in (f"Host: {self._host}", *lines))
        return f"{method} {path} HTTP/1.1\r\n{more}\r\n".encode()

    async def _drip(self, streams: Streams, chance: random.Random) -> None:
        """A head, or a body, that comes byte by byte."""
        _, writer = streams
        data = self._head("POST", f"/{APP}", "Content-Length: 100000") + b"{" + b" " * 1000
        writer.write(data[: chance.randrange(len(data))])
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(_REST)

    async def _flood(self, streams: Streams, chance: random.Random) -> None:
        """Chunks of a byte, a chunk extension, trailers, or requests, as many as fit."""
        _, writer = streams
        begin = self._head("POST", f"/{APP}", "Transfer-Encoding: chunked")
        piece = chance.choice((b"1\r\n \r\n", b"1;" + b"x" * 1000, b"0\r\na: b\r\n", self._head("GET", "/healthz")))
        writer.write(b"" if piece.startswith(b"GET") else begin)
        for _ in range(_FLOOD):
            writer.write(piece * (16_384 // len(piece)))
            await writer.drain()
            await asyncio.sleep(_REST)

    async def _flood_socket(self, streams: Streams, chance: random.Random) -> None:
        """Pings, empty fragments, or messages that are no JSON, on a WebSocket."""
        reader, writer = streams
        lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(self._head("GET", f"/{APP}", *lines, f"Sec-WebSocket-Key: {key}"))
        await reader.readuntil(b"\r\n\r\n")
        first, frame = chance.choice(
            ((b"", b"\x89\x80mask"), (b"\x01\x80mask", b"\x00\x80mask"), (b"", b"\x81\x83mask" + b"abc"))
        )
        writer.write(first)
        for _ in range(_FLOOD):
            writer.write(frame * 1000)
            await writer.drain()
            await asyncio.sleep(_REST)

    async def _never_read(self, streams: Streams, chance: random.Random) -> None:
        """Ask for lists again and again, and read none."""
        _, writer = streams
        ask = self._head("GET", "/api/v1/requests?limit=100")
        for _ in range(_FLOOD):
            writer.write(ask)
            await writer.drain()
        await asyncio.sleep(chance.uniform(0, _PATIENCE))

    async def _vanish(self, streams: Streams, chance: random.Random) -> None:
        """Ask for something to be run, and be gone: now and then before the whole of it was sent."""
        _, writer = streams
        body = b'{"n": -1, "seconds": 0.05}'
        data = self._head("POST", f"/{APP}", f"Content-Length: {len(body)}") + body
        writer.write(data if chance.random() < 0.5 else data[: chance.randrange(len(data))])
        await asyncio.sleep(chance.uniform(0, 0.05))
        own: socket.socket | None = writer.get_extra_info("socket")
        if own is not None:  # without a farewell
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
