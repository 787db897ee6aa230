"""What hostile callers cost a second caller, and what the gateway holds for them."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

from benchmarks.abuse.attack import ATTACKS, Attack, Taken, attacked
from benchmarks.abuse.doors import fastapi_doors, pondage_doors, sink
from benchmarks.figures import OURS, Section
from benchmarks.peers.environments import Missing
from benchmarks.plan import Plan, say

NAME = "abuse"
TITLE = "A second caller beside hostile ones, and the gateway's memory"
PEERS = ("fastapi",)
FASTAPI = "FastAPI, no queue"
ALONE = "their CPU alone"
"""The same attackers send to a server that reads and throws away."""

SECONDS, QUICK_SECONDS = 8.0, 3.0
MOST_MS = 25.0
"""Milliseconds of the second caller's p95 that an attack may cost beyond the attackers' CPU."""
MOST_MB = 300.0
"""MiB that the gateway may hold at any time."""
LEFT_MB = 50.0
"""MiB more than before that it may hold 30 s after an attack."""
CHOSEN = "BENCH_ATTACKS"
"""An environment variable: parts of titles of attacks, separated by `|`; only these are tried."""


async def measure(plan: Plan, section: Section) -> None:
    """Each attack three times: on Pondage, on a sink, and on FastAPI where it has such a door."""
    seconds = QUICK_SECONDS if plan.quick else SECONDS
    async with AsyncExitStack() as stack:
        port = stack.enter_context(sink(plan.scratch))
        ours = await stack.enter_async_context(pondage_doors(plan.scratch))
        for attack in chosen():
            alone = await attacked(ours, attack, seconds, sink=port)
            taken = await attacked(ours, attack, seconds)
            _add(section, attack, taken, alone)
    await _peer(plan, section, seconds)


def chosen() -> list[Attack]:
    wanted = [part for part in os.environ.get(CHOSEN, "").split("|") if part]
    return [attack for attack in ATTACKS if not wanted or any(part in attack.title for part in wanted)]


def _add(section: Section, attack: Attack, taken: Taken, alone: Taken) -> None:
    mib = 1024 * 1024
    name = f"p95 beside {attack.title}"
    section.add(name, OURS, "ms", "less", [taken.p95()])
    section.add(name, ALONE, "ms", "less", [alone.p95()])
    section.add(f"memory at most, {attack.title}", OURS, "MiB", "less", [taken.peak / mib])
    section.goal(f"{name}, beyond their CPU", "ms", [taken.p95() - alone.p95()], most=MOST_MS)
    section.goal(f"memory at most, {attack.title}", "MiB", [taken.peak / mib], most=MOST_MB)
    section.goal(f"memory left, {attack.title}", "MiB", [(taken.after - taken.before) / mib], most=LEFT_MB)
    say(
        f"  {attack.title}: p95 {taken.p95():.1f} ms ({alone.p95():.1f} alone), memory {taken.before / mib:.0f}, "
        f"at most {taken.peak / mib:.0f}, after {taken.after / mib:.0f} MiB"
    )


async def _peer(plan: Plan, section: Section, seconds: float) -> None:
    """A fresh server for each attack: one that does not come back must not spoil the next."""
    for attack in chosen():
        try:
            async with fastapi_doors(plan.scratch) as doors:
                if attack.path not in doors.paths:
                    continue
                taken = await attacked(doors, attack, seconds)
        except Missing as missing:
            section.leave_out(FASTAPI, missing)
            return
        except Exception as error:
            section.leave_out(f"{FASTAPI}, {attack.title}", error)
            continue
        section.add(f"p95 beside {attack.title}", FASTAPI, "ms", "less", [taken.p95()])
        section.add(f"memory at most, {attack.title}", FASTAPI, "MiB", "less", [taken.peak / 1024 / 1024])
        say(f"  {FASTAPI}, {attack.title}: p95 {taken.p95():.1f} ms, memory at most {taken.peak / 1024 / 1024:.0f} MiB")
