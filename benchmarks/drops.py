"""Streams whose connection is cut at random bytes, again and again: `python -m benchmarks.drops [DROPS] [SEED]`.

Each reader comes back with the id of the last chunk it had whole. At the end nothing may be missing and nothing twice.
Prints the count of drops and streams, and the time; the exit code is 1 if a single chunk was wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from pathlib import Path

from penstock.testing import ServedApp, serve

APP = Path(__file__).parent / "apps" / "ticks.py"
CHUNKS = 2000
READERS = 16
LONGEST = 8000
"""A connection is cut after at most so many bytes of the answer."""
_CHUNK = re.compile(rb"id: (\S+)\ndata: (.*)\n\n")


async def exchange(port: int, head: str, body: bytes = b"", most: int = sys.maxsize) -> bytes:
    """Up to `most` bytes of the answer; the connection is then dropped."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{head}Host: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        data = bytearray()
        while len(data) < most and (part := await reader.read(min(65536, most - len(data)))):
            data += part
        return bytes(data)
    finally:
        writer.transport.abort()


async def one_stream(port: int, chance: random.Random) -> tuple[int, bool]:
    """Read one stream to its end over many connections: how many were dropped, and whether all chunks were right."""
    pace = json.dumps({"count": CHUNKS, "pause": chance.choice([0.0, 0.0005])}).encode()
    answer = await exchange(port, "POST /queue/bench/ticks HTTP/1.1\r\nConnection: close\r\n", pace)
    request_id = json.loads(answer.partition(b"\r\n\r\n")[2])["request_id"]
    drops, seen, last = 0, [], ""
    while True:
        most = chance.randint(1, LONGEST)
        after = f"Last-Event-ID: {last}\r\n" if last else ""
        head = f"GET /queue/bench/ticks/requests/{request_id}/stream HTTP/1.1\r\nConnection: close\r\n{after}"
        data = await exchange(port, head, most=most)
        for event_id, chunk in _CHUNK.findall(data):
            last = event_id.decode()
            seen.append(json.loads(chunk)["i"])
        if len(data) < most:
            return drops, seen == list(range(CHUNKS))
        drops += 1


async def until_dropped(served: ServedApp, wanted: int, seed: int) -> tuple[int, int, int]:
    """Streams, drops, and streams that were wrong."""
    port = int(served.url.rsplit(":", 1)[1])
    streams = drops = wrong = 0

    async def reader(n: int) -> None:
        nonlocal streams, drops, wrong
        chance = random.Random(f"{seed} {n}")
        while drops < wanted:
            cut, right = await one_stream(port, chance)
            streams, drops, wrong = streams + 1, drops + cut, wrong + (not right)

    async with asyncio.TaskGroup() as group:
        for n in range(READERS):
            group.create_task(reader(n))
    return streams, drops, wrong


def main(wanted: int = 10_000, seed: int = 1) -> int:
    with serve(str(APP)) as served:
        began = time.monotonic()
        streams, drops, wrong = asyncio.run(until_dropped(served, wanted, seed))
        seconds = time.monotonic() - began
    print(f"{drops} drops over {streams} streams of {CHUNKS} chunks in {seconds:.0f} s (seed {seed}): {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
