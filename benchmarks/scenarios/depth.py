"""A million that wait and a million that have ended: what each verb costs then, and that nothing large stalls a submit.

The backlog is written into a data folder without a server (`benchmarks.backlog`). BENCH_DEPTH is another number of
requests than a million.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

from benchmarks.figures import OURS, Section, ratios
from benchmarks.load import Ask, Load, ask, press, submits
from benchmarks.plan import Plan, say
from benchmarks.servers import ROOT, Running, pondage, ready

NAME = "depth"
TITLE = "With a million waiting and a million finished"
DEPTH, QUICK, SMALL = 1_000_000, 20_000, 1_000
"""Requests that wait, and as many that have ended."""
KEYS = 1_000
LARGEST = 1.5
"""Times that a verb may take what it takes with `SMALL`."""
STALL = 50.0
"""Milliseconds that something large may delay a submit, p99."""
CANCELLED = 100_000

Costs = dict[str, float]


async def measure(plan: Plan, section: Section) -> None:
    """Small and large by turns; then a server on the large one."""
    depth = int(os.environ.get("BENCH_DEPTH", QUICK if plan.quick else DEPTH))
    folders = {size: plan.scratch / f"backlog-{size}" for size in (SMALL, depth)}
    for size, folder in folders.items():
        began = time.perf_counter()
        await _backlog(str(folder), str(size), str(KEYS), str(size))
        say(f"  {size} waiting and {size} finished, made in {time.perf_counter() - began:.0f} s")
    await _verbs(plan, section, folders, depth)
    await _started(plan, section, folders[depth])
    await _stalls(plan, section, folders[depth], min(CANCELLED, depth // 2))


async def _backlog(*arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.backlog", *arguments, cwd=ROOT, stdout=subprocess.PIPE
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"benchmarks.backlog {' '.join(arguments)} ended with {process.returncode}")
    return printed


# ---- what each verb costs


async def _verbs(plan: Plan, section: Section, folders: dict[int, Path], depth: int) -> None:
    taken: dict[int, list[Costs]] = {size: [] for size in folders}
    for _ in range(plan.rounds):
        for size, folder in folders.items():
            taken[size].append(msgspec.json.decode(await _backlog(str(folder)), type=Costs))
    for verb in taken[depth][0]:
        large = [costs[verb] for costs in taken[depth]]
        if verb == "open":
            section.add("opening the queue", OURS, "s", "less", large)
            continue
        section.add(verb, OURS, "µs", "less", large)
        times = ratios(large, [costs[verb] for costs in taken[SMALL]])
        section.goal(f"{verb}, times its cost with {SMALL:,}", "x", times, most=LARGEST)


# ---- a server on it


@contextmanager
def _served(plan: Plan, made: Path, name: str, *settings: str) -> Iterator[tuple[Running, Path]]:
    """A server on a copy of the backlog; the file that its app's first request touches."""
    folder = plan.scratch / name
    shutil.copytree(made, folder / "data")
    first = folder / "first"
    env = {"BENCH_GATE": str(folder / "gate"), "BENCH_FIRST": str(first)}
    with pondage(plan.scratch, "depth.py", env=env, name=name, settings=settings) as server:
        yield server, first
    shutil.rmtree(folder)


async def _started(plan: Plan, section: Section, made: Path) -> None:
    """From the start of the process to the first request's first line, and the gateway's memory after that."""
    seconds: list[float] = []
    memory: list[float] = []
    for n in range(1 if plan.quick else 3):
        began = time.time()
        with _served(plan, made, f"first-{n}") as (server, first):
            while not first.exists():
                server.processes.check()
                await asyncio.sleep(0.005)
            seconds.append(first.stat().st_mtime - began)
            await ready(server)
            await press(server.port, submits("/queue/bench/held", b'"request_id"'), callers=8, seconds=plan.seconds)
            memory.append(_gateway(server).memory_info().rss / 1e6)
    section.add("start to the first claim", OURS, "s", "less", seconds)
    section.goal("start to the first claim", "s", seconds, most=5)
    section.add("memory of the gateway", OURS, "MB", "less", memory)
    section.goal("memory of the gateway", "MB", memory, most=300)


def _gateway(server: Running) -> psutil.Process:
    return min(server.processes.tree(), key=lambda process: process.create_time())


# ---- nothing large stalls a submit


async def _stalls(plan: Plan, section: Section, made: Path, many: int) -> None:
    asks = submits("/queue/bench/held", b'"request_id"')
    with _served(plan, made, "stalls") as (server, _):
        await ready(server)
        quiet = await press(server.port, asks, callers=1, seconds=plan.seconds)
        section.add("submit with nothing beside it, p99", OURS, "ms", "less", [quiet.quantile(0.99) * 1e3])
        begun = await _cancel(server)
        cancelling = await _beside(server, asks, begun, many)
    _told(section, f"submit while {many:,} are cancelled by filter", cancelling, quiet)
    # Every second some of the million are older than they may be.
    with _served(plan, made, "retention", "retention=60") as (server, _):
        await ready(server)
        dropping = await press(server.port, asks, callers=1, seconds=plan.seconds * 3)
    _told(section, "submit while a history is deleted", dropping, quiet)


async def _cancel(server: Running) -> str:
    """Begin one operation on all that wait; its id."""
    body = {"kind": "cancel", "filter": {"app": "bench/held", "state": "queued"}}
    return str((await ask(server.port, "POST", "/api/v1/operations", body)).json()["id"])


async def _beside(server: Running, asks: list[Ask], operation: str, many: int) -> Load:
    """Submit, one after the other, until the operation has changed enough."""
    latencies: list[float] = []
    began = time.perf_counter()
    while True:
        latencies += (await press(server.port, asks, callers=1, seconds=0.5)).latencies
        told = (await ask(server.port, "GET", f"/api/v1/operations/{operation}")).json()
        if told["phase"] != "running" or told["changed"] >= many:
            return Load(sorted(latencies), time.perf_counter() - began)


def _told(section: Section, name: str, load: Load, quiet: Load) -> None:
    section.add(f"{name}, p99", OURS, "ms", "less", [load.quantile(0.99) * 1e3])
    delay = (load.quantile(0.99) - quiet.quantile(0.5)) * 1e3
    section.goal(f"{name}: delay, p99", "ms", [delay], most=STALL)
