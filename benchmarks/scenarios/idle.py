"""What it costs to have a server: from the command to its first answer, and at rest."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figures import OURS, Section
from benchmarks.peers.environments import Missing, python_of
from benchmarks.plan import Plan
from benchmarks.servers import answers, fastapi, pondage

NAME = "idle"
TITLE = "Serve of a no-op app to its first answer; at rest"
PEERS = ("fastapi",)
FASTAPI = "FastAPI, no queue"
SETTLE = 2.0
"""Seconds after the first answer that nothing is measured."""


async def measure(plan: Plan, section: Section) -> None:
    """Each start has a new data folder. Memory and CPU are those of the gateway and one runner together."""
    starts: dict[str, list[float]] = {OURS: [], FASTAPI: []}
    try:
        python_of("fastapi")
    except Missing as missing:
        section.leave_out(FASTAPI, missing)
    cpu: list[float] = []
    resident: list[float] = []
    proportional: list[float] = []
    for n in range(plan.rounds):
        began = time.perf_counter()
        with pondage(plan.scratch, name=f"idle-{n}") as server:
            await answers(server)
            starts[OURS].append(time.perf_counter() - began)
            await asyncio.sleep(SETTLE)
            before, since = server.processes.cpu(), time.perf_counter()
            await asyncio.sleep(plan.seconds * 2)
            cpu.append((server.processes.cpu() - before) / (time.perf_counter() - since) * 100)
            memory = server.processes.memory()
            resident.append(memory[0])
            proportional.append(memory[1])
        if FASTAPI not in section.skipped:
            began = time.perf_counter()
            with fastapi(plan.scratch) as server:
                await answers(server)
                starts[FASTAPI].append(time.perf_counter() - began)
    for name, samples in starts.items():
        if samples:
            section.add("start to first answer", name, "s", "less", samples, limit="start")
    section.add("CPU at rest", OURS, "% of a core", "less", cpu)
    section.add("resident memory at rest", OURS, "MB", "less", resident, limit="one")
    section.add("proportional memory at rest", OURS, "MB", "less", proportional)
    section.goal("start to first answer", "s", starts[OURS], most=1)
    section.goal("CPU at rest", "% of a core", cpu, most=1)
    section.goal("resident memory at rest", "MB", resident, most=150)
