"""From a submit to the first line of the endpoint's code, on a runner that is warm and idle."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figures import OURS, Section
from benchmarks.load import ask, quantile
from benchmarks.plan import Plan
from benchmarks.servers import answers, pondage, raw_asgi, ready

NAME = "start"
TITLE = "Submit to start on a warm idle runner"
COUNT = 200
"""Submits of one sample."""
PAUSE = 0.002
"""Seconds between two of them, in which everybody falls asleep."""


async def measure(plan: Plan, section: Section) -> None:
    """From before the request is written to the function's first line, on the monotonic clock that both share.

    The limit is a bare hop to another process with the same pauses: waking the sleeping takes longer than the rest.
    """
    middles: list[float] = []
    tails: list[float] = []
    hops: list[float] = []
    with pondage(plan.scratch, name="start") as server, raw_asgi(plan.scratch) as bare:
        await ready(server)
        await answers(server)
        await answers(bare)
        await starts(server.port, 50)
        await _hops(bare.port, 50)
        for _ in range(plan.rounds):
            times = await starts(server.port, COUNT)
            middles.append(quantile(times, 0.5) * 1e3)
            tails.append(quantile(times, 0.99) * 1e3)
            hops.append(quantile(await _hops(bare.port, COUNT), 0.5) * 1e3)
    section.limits["hop_p50_paused"] = hops
    section.add("submit to start, p50", OURS, "ms", "less", middles, limit="hop_p50_paused")
    section.add("submit to start, p99", OURS, "ms", "less", tails)
    section.goal("submit to start, p50", "ms", middles, most=2)


async def starts(port: int, count: int) -> list[float]:
    times = []
    for _ in range(count):
        before = time.monotonic_ns()
        answer = await ask(port, "POST", "/queue/bench/noop/started", {}, "Prefer: wait=30")
        times.append((answer.json()["at"] - before) / 1e9)
        await asyncio.sleep(PAUSE)
    return sorted(times)


async def _hops(port: int, count: int) -> list[float]:
    times = []
    for _ in range(count):
        before = time.monotonic()
        await ask(port, "POST", "/bench/hop", {"x": 1})
        times.append(time.monotonic() - before)
        await asyncio.sleep(PAUSE)
    return sorted(times)
