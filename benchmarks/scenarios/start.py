"""From a submit to the first line of the endpoint's code, on a runner that is warm and idle."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figures import OURS, Section
from benchmarks.load import ask, quantile
from benchmarks.plan import Plan
from benchmarks.servers import answers, penstock, ready

NAME = "start"
TITLE = "Submit to start on a warm idle runner"
COUNT = 200
"""Submits of one sample."""


async def measure(plan: Plan, section: Section) -> None:
    """From before the request is written to the function's first line, on the monotonic clock that both share."""
    middles: list[float] = []
    tails: list[float] = []
    with penstock(plan.scratch, name="start") as server:
        await ready(server)
        await answers(server)
        await _starts(server.port, 50)
        for _ in range(plan.rounds):
            times = await _starts(server.port, COUNT)
            middles.append(quantile(times, 0.5) * 1e3)
            tails.append(quantile(times, 0.99) * 1e3)
    section.add("submit to start, p50", OURS, "ms", "less", middles, limit="hop_p50")
    section.add("submit to start, p99", OURS, "ms", "less", tails)
    section.goal("submit to start, p50", "ms", middles, most=2)


async def _starts(port: int, count: int) -> list[float]:
    times = []
    for _ in range(count):
        before = time.monotonic_ns()
        answer = await ask(port, "POST", "/queue/bench/noop/started", {}, "Prefer: wait=30")
        times.append((answer.json()["at"] - before) / 1e9)
        await asyncio.sleep(0.002)
    return sorted(times)
