"""The raw limits of the machine, measured around each scenario: what every figure of ours is compared to.

`http` is a bare ASGI callable behind uvicorn: requests per second of 64 callers, its CPU per request, its p50 for 64
callers and for one. `hop_p50` is the p50 of one caller of the same where another process answers, and `run_p50` where a
durable commit follows, which is what a run cannot do without. `commit` is rows per second of SQLite with one durable
commit for each. `start` is an interpreter that starts and imports the HTTP server. `one` is 1, for what does not scale
with speed.

A scenario may add limits of its own, samples of what it measured beside ours.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import apsw

from benchmarks.load import additions, request
from benchmarks.plan import sample
from benchmarks.servers import Running

SECONDS = 0.5
"""Duration of one sample of a limit."""


async def sampled(server: Running, scratch: Path) -> dict[str, float]:
    """One sample of each limit."""
    asks = additions(server.work)
    many = await sample(server, asks, 64, SECONDS)
    one = await sample(server, asks, 1, SECONDS / 2)
    hop = await sample(server, additions("/bench/hop"), 1, SECONDS / 2)
    run = await sample(server, additions("/bench/road"), 1, SECONDS / 2)
    return {
        "http": many.rate,
        "http_cpu": many.cpu_us,
        "http_p50_64": many.ms(0.5),
        "http_p50": one.ms(0.5),
        "hop_p50": hop.ms(0.5),
        "run_p50": run.ms(0.5),
        "commit": commits(scratch, SECONDS / 2),
        "start": await started(),
        "one": 1.0,
    }


def commits(scratch: Path, seconds: float) -> float:
    """Durable commits per second of one row each, in the journal mode and with the setting that the queue uses."""
    path = scratch / "commits.db"
    for old in scratch.glob("commits.db*"):
        old.unlink()
    database = apsw.Connection(str(path))
    try:
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        database.execute("create table request (id text primary key, body blob)")
        body = request("POST", "/", {"x": 1, "pad": "p" * 200})
        rows, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            database.execute("insert into request values (?, ?)", (f"request-{rows:012d}", body))
            rows += 1
        return rows / (time.perf_counter() - began)
    finally:
        database.close()


async def started() -> float:
    """Seconds that an interpreter takes to start and to import uvicorn."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import uvicorn.config")
    await process.wait()
    return time.perf_counter() - began
