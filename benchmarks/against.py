"""The present state against a commit: does anything that a request costs cost more?

Both are installed side by side, serve the same app at the same time and are measured by turns. What is judged moves
least: CPU for each request, the time of a start to its first answer, memory at rest. Rates and latencies are told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import files as transfers
from benchmarks.load import ask, quantile, read_stream, request, submits
from benchmarks.paired import Comparison, table
from benchmarks.plan import sample, say
from benchmarks.revisions import described, install
from benchmarks.scenarios.realtime import BIG, SMALL
from benchmarks.scenarios.start import starts
from benchmarks.servers import Running, answers, drained, pondage, ready
from benchmarks.websocket import BINARY, TEXT, frame, ping_pong

AGAIN = 2
"""Times that a scenario is measured again whose interval is too wide."""
CALLERS = 64
EVENTS = 40_000
"""Of one stream."""
STARTS = 100
FILE = 16_000_000
"""Bytes of a file; two go up and down for one sample."""


class Quantity(NamedTuple):
    """What one sample found of one thing. Of what is judged, less is better."""

    name: str
    unit: str
    value: float
    judged: bool = True


Found = list[Quantity]
Take = Callable[[], Awaitable[Found]]


class Subject(NamedTuple):
    """One of the two: its `pondage` command, and a folder for its servers."""

    name: str
    command: Path
    folder: Path


async def measure(revision: str, only: set[str], *, pairs: int, bound: float, seconds: float, scratch: Path) -> bool:
    """Install, measure, and print what was found; whether all of it holds.

    Raises:
        NoRevision: the commit cannot be had.
    """
    say(f"old: {described(revision)}; new: this checkout")
    old = Subject("old", await asyncio.to_thread(install, revision, scratch / "old"), scratch / "old")
    new = Subject("new", await asyncio.to_thread(install, None, scratch / "new"), scratch / "new")
    found: list[Comparison] = []
    for name in [known for known in SCENARIOS if not only or known in only]:
        kept: dict[str, Comparison] = {}
        for turn in range(1 + AGAIN):
            say(f"{name}: {pairs} pairs" + (", again: an interval was wide" if turn else ""))
            taken = await _compared(name, old, new, pairs, seconds)
            say(table(taken, bound))
            kept |= {one.name: one for one in taken if one.name not in kept or kept[one.name].wide}
            if not any(one.judged and one.wide for one in kept.values()):
                break
        found += kept.values()
    print(table(found, bound))
    slower = [one for one in found if one.judged and not one.held(bound)]
    for one in slower:
        say(f"slower: {one.scenario}, {one.name}: {one.median:.3f} (at most {bound:g}, or an interval with 1.00)")
    return not slower


async def _compared(name: str, old: Subject, new: Subject, pairs: int, seconds: float) -> list[Comparison]:
    """One run of one scenario: the order within the pairs alternates."""
    found: dict[str, Comparison] = {}
    async with AsyncExitStack() as stack:
        subjects = {one.name: await stack.enter_async_context(SCENARIOS[name](one, seconds)) for one in (old, new)}
        for pair in range(pairs):
            for side in ("old", "new") if pair % 2 == 0 else ("new", "old"):
                for one in await subjects[side]():
                    into = found.setdefault(one.name, Comparison(name, one.name, one.unit, [], [], one.judged))
                    (into.old if side == "old" else into.new).append(one.value)
    return list(found.values())


# ---- scenarios: what serves, and how one sample of it is taken


@asynccontextmanager
async def _serving(subject: Subject, name: str) -> AsyncIterator[Running]:
    with pondage(subject.folder, name=name, command=subject.command) as server:
        await ready(server)
        await answers(server)
        await sample(server, server.asks(server.work), 8, 0.3)
        yield server


@asynccontextmanager
async def _run(subject: Subject, seconds: float) -> AsyncIterator[Take]:
    async with _serving(subject, "run") as server:
        asks = server.asks(server.work)

        async def take() -> Found:
            many = await sample(server, asks, CALLERS, seconds)
            one = await sample(server, asks, 1, seconds / 2)
            return [
                Quantity("CPU of a run", "µs", many.cpu_us),
                Quantity("CPU of a run, one caller", "µs", one.cpu_us),
                Quantity("rate of 64 callers", "runs/s", many.rate, False),
                Quantity("p50 of one caller", "ms", one.ms(0.5), False),
            ]

        yield take


@asynccontextmanager
async def _submit(subject: Subject, seconds: float) -> AsyncIterator[Take]:
    async with _serving(subject, "submit") as server:
        asks = submits("/queue" + server.work, b'"request_id"')

        async def take() -> Found:
            before = server.processes.cpu()
            many = await sample(server, asks, CALLERS, seconds)
            await drained(server)
            cpu = (server.processes.cpu() - before) / len(many.load.latencies) * 1e6
            return [
                Quantity("CPU of a submit and its execution", "µs", cpu),
                Quantity("rate of 64 callers", "acks/s", many.rate, False),
                Quantity("p50 of an acknowledgement", "ms", many.ms(0.5), False),
            ]

        yield take


@asynccontextmanager
async def _start(subject: Subject, seconds: float) -> AsyncIterator[Take]:
    async with _serving(subject, "start") as server:

        async def take() -> Found:
            before = server.processes.cpu()
            times = await starts(server.port, STARTS)
            cpu = (server.processes.cpu() - before) / STARTS * 1e6
            return [
                Quantity("CPU of a submit after a pause", "µs", cpu),
                Quantity("submit to start, p50", "ms", quantile(times, 0.5) * 1e3, False),
            ]

        yield take


@asynccontextmanager
async def _idle(subject: Subject, seconds: float) -> AsyncIterator[Take]:
    count = 0

    async def take() -> Found:
        nonlocal count
        count += 1
        began = time.perf_counter()
        with pondage(subject.folder, name=f"idle-{count}", command=subject.command) as server:
            await answers(server)
            first = time.perf_counter() - began
            cpu = server.processes.cpu()
            await asyncio.sleep(seconds)
            resident, proportional = server.processes.memory()
            return [
                Quantity("start to first answer", "s", first),
                Quantity("resident memory at rest", "MB", resident),
                Quantity("CPU of a start", "s", cpu, False),
                Quantity("proportional memory at rest", "MB", proportional, False),
            ]

    yield take


@asynccontextmanager
async def _stream(subject: Subject, seconds: float) -> AsyncIterator[Take]:
    async with _serving(subject, "stream") as server:
        raw = request("POST", "/bench/noop/stream", {"n": EVENTS}, "Connection: close")

        async def take() -> Found:
            before = server.processes.cpu()
            read = await read_stream(server.port, raw)
            if read.events != EVENTS:
                raise ValueError(f"a stream of {EVENTS} events had {read.events}")
            cpu = (server.processes.cpu() - before) / EVENTS * 1e6
            return [
                Quantity("CPU of an event", "µs", cpu),
                Quantity("rate of one stream", "events/s", EVENTS / read.seconds, False),
                Quantity("first event", "ms", read.first * 1e3, False),
            ]

        await take()
        yield take


@asynccontextmanager
async def _realtime(subject: Subject, seconds: float) -> AsyncIterator[Take]:
    async with _serving(subject, "realtime") as server:

        async def take() -> Found:
            found: Found = []
            for name, code, payload in (("1 KB", TEXT, SMALL), ("1 MB", BINARY, BIG)):
                before = server.processes.cpu()
                times = await asyncio.to_thread(
                    ping_pong, server.port, "/bench/noop/realtime", frame(code, payload), bool, seconds
                )
                cpu = (server.processes.cpu() - before) / (len(times) + 20) * 1e6
                found.append(Quantity(f"CPU of an echo of {name}", "µs", cpu))
                found.append(Quantity(f"echo of {name}, p50", "ms", quantile(times, 0.5) * 1e3, False))
            return found

        yield take


@asynccontextmanager
async def _files(subject: Subject, seconds: float) -> AsyncIterator[Take]:
    data, salts = transfers.Bytes(), iter(range(1_000_000))
    async with _serving(subject, "files") as server:
        at = transfers.Server("pondage", "127.0.0.1", server.port, 0, subject.folder)

        async def take() -> Found:
            before, began = server.processes.cpu(), time.perf_counter()
            paths = [await asyncio.to_thread(transfers.upload, at, data, FILE, next(salts)) for _ in range(2)]
            middle, up = server.processes.cpu(), time.perf_counter()
            for path in paths:
                await asyncio.to_thread(transfers.download, at, path)
            after, down = server.processes.cpu(), time.perf_counter()
            for path in paths:
                if (await ask(server.port, "DELETE", path)).status != 200:
                    raise ValueError(f"{path} was not deleted")
            mb = 2 * FILE / 1e6
            return [
                Quantity("CPU of an upload, each MB", "µs", (middle - before) / mb * 1e6),
                Quantity("CPU of a download, each MB", "µs", (after - middle) / mb * 1e6),
                Quantity("rate of uploads", "MB/s", mb / (up - began), False),
                Quantity("rate of downloads", "MB/s", mb / (down - up), False),
            ]

        await take()
        yield take


SCENARIOS = {
    "run": _run, "submit": _submit, "start": _start, "idle": _idle, "stream": _stream, "realtime": _realtime,
    "files": _files,
}  # fmt: skip
