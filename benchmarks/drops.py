"""Streams whose connection is cut at random bytes, again and again: `python -m benchmarks.drops [DROPS] [SEED]`.

Each stream has several readers. Cut, a reader comes back with the id of the last chunk that it had whole; who submitted
and was cut before it knew the request comes back with the same idempotency key. At the end nothing may be missing and
nothing twice.

Each drop costs what the gateway wrote ahead before it heard of it, mostly the rest of the stream. So streams are short,
and several readers share one; the gateway is a process of its own.

Prints one line; the exit code is 1 if a single chunk was missing, doubled or out of order.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from pondage.testing import GatewayProcess

APP = Path(__file__).parent / "apps" / "ticks.py"
CHUNKS = 500
STREAMS = 8
"""Streams at a time."""
READERS = 4
"""Readers of each stream, the one that submitted it among them."""
LONGEST = 2500
"""A connection is cut after at most so many bytes of the answer, head included."""
PAUSES = (0.0, 0.0005, 0.002)
"""Seconds between two chunks: read from the log, or caught live."""
STALLED = 60.0
"""Seconds without an end of one connection after which the run fails."""
_CHUNK = re.compile(rb"id: (\S+)\ndata: (.*)\n\n")
_REQUEST_ID = re.compile(rb"x-fal-request-id: (\S+)\r\n", re.IGNORECASE)


class Read(NamedTuple):
    """What one reader had in the end."""

    drops: int
    missing: int
    twice: int
    in_order: bool

    @property
    def wrong(self) -> bool:
        return bool(self.missing or self.twice or not self.in_order)


async def exchange(port: int, head: str, body: bytes, most: int) -> bytes:
    """Up to `most` bytes of the answer; the connection is then dropped."""
    async with asyncio.timeout(STALLED):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            lines = f"{head}Host: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(lines.encode() + body)
            data = bytearray()
            while len(data) < most and (part := await reader.read(min(65536, most - len(data)))):
                data += part
            return bytes(data)
        finally:
            writer.transport.abort()


class Reader:
    """One reader of one stream: what it has seen, over all its connections."""

    def __init__(self, port: int, chance: random.Random, request_id: str = "") -> None:
        self._port = port
        self._chance = chance
        self.request_id = request_id
        self._last = ""
        self._seen: list[int] = []
        self._drops = 0

    async def submit(self) -> None:
        """Begin the stream, again with the same key until an answer says which request it is."""
        body = json.dumps({"count": CHUNKS, "pause": self._chance.choice(PAUSES)}).encode()
        key = self._chance.randbytes(16).hex()
        while not self.request_id:
            data = await self._connect(f"POST /bench/ticks/stream HTTP/1.1\r\nIdempotency-Key: {key}\r\n", body)
            if found := _REQUEST_ID.search(data):
                self.request_id = found[1].decode()

    async def to_the_end(self) -> Read:
        """Come back until a connection ends by itself."""
        drops = -1
        while drops != self._drops:
            drops = self._drops
            after = f"Last-Event-ID: {self._last}\r\n" if self._last else ""
            await self._connect(f"GET /queue/bench/ticks/requests/{self.request_id}/stream HTTP/1.1\r\n{after}")
        once = set(self._seen)
        missing, twice = len(set(range(CHUNKS)) - once), len(self._seen) - len(once)
        return Read(self._drops, missing, twice, self._seen == sorted(self._seen))

    async def _connect(self, head: str, body: bytes = b"") -> bytes:
        most = self._chance.randint(1, LONGEST)
        data = await exchange(self._port, head, body, most)
        self._drops += len(data) == most
        for event_id, chunk in _CHUNK.findall(data):
            self._last = event_id.decode()
            self._seen.append(json.loads(chunk)["i"])
        return data


async def one_stream(port: int, seed: str) -> list[Read]:
    """A stream, read by who submitted it and, at the same time, by others."""
    first = Reader(port, random.Random(seed))
    await first.submit()
    others = [Reader(port, random.Random(f"{seed} {n}"), first.request_id) for n in range(1, READERS)]
    return await asyncio.gather(*(reader.to_the_end() for reader in (first, *others)))


async def until_dropped(port: int, wanted: int, seed: int) -> list[Read]:
    """Streams, many at once, until so many connections were dropped."""
    reads: list[Read] = []
    drops = 0

    async def one_after_the_other(n: int) -> None:
        nonlocal drops
        for k in itertools.count():
            if drops >= wanted:
                return
            of_this = await one_stream(port, f"{seed} {n} {k}")
            reads.extend(of_this)
            drops += sum(read.drops for read in of_this)

    async with asyncio.TaskGroup() as group:
        for n in range(STREAMS):
            group.create_task(one_after_the_other(n))
    return reads


def main(wanted: int = 10_000, seed: int = 1) -> int:
    with tempfile.TemporaryDirectory() as folder:
        gateway = GatewayProcess(str(APP), data=Path(folder) / "data")
        gateway.start()
        try:
            began = time.monotonic()
            reads = asyncio.run(until_dropped(int(gateway.url.rsplit(":", 1)[1]), wanted, seed))
            seconds = time.monotonic() - began
        finally:
            gateway.stop()
    drops, missing, twice = (sum(column) for column in list(zip(*reads, strict=True))[:3])
    wrong = sum(read.wrong for read in reads)
    print(
        f"{drops} drops of {len(reads)} readers of {len(reads) // READERS} streams of {CHUNKS} chunks "
        f"in {seconds:.0f} s (seed {seed}): {missing} chunks missing, {twice} twice, {wrong} readers wrong"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
