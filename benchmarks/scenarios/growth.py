"""What grows with the work: queue depth, history, open sessions, readers of one stream, open streams, runners."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.figures import OURS, Curve, Section
from benchmarks.load import Ask, additions, ask, press, quantile, read_stream, request, submits
from benchmarks.plan import Plan, sample
from benchmarks.scenarios.stream import check
from benchmarks.servers import Running, answers, drained, pondage, ready
from benchmarks.websocket import TEXT, Socket, frame

NAME = "growth"
TITLE = "What grows with the work"
LONG = 600.0
"""Seconds in which a fixed number of requests has to be answered."""

Point = tuple[float, float]


async def measure(plan: Plan, section: Section) -> None:
    """Each part has a server of its own, with an empty data folder."""
    quick = plan.quick
    await _depth(plan, section, [100, 10_000] if quick else [100, 1_000, 10_000, 100_000])
    await _history(plan, section, [0, 10_000] if quick else [0, 10_000, 100_000, 300_000])
    await _sessions(plan, section, [10, 200] if quick else [10, 500, 1_000, 2_000])
    await _streams(plan, section, [1, 100] if quick else [1, 10, 100, 1_000])
    await _runners(plan, section, [1, 2] if quick else [1, 2, 4, 8])


# ---- queue depth


async def _depth(plan: Plan, section: Section, depths: list[int]) -> None:
    """Requests of an app whose runner waits at a gate; then the gate opens and they drain."""
    acks: list[Point] = []
    polls: list[Point] = []
    drains: list[Point] = []
    asks = submits("/queue/bench/held", b'"request_id"')
    for depth in depths:
        with _gated(plan.scratch, f"depth-{depth}") as (server, gate):
            await ready(server)
            await _all(server, asks, depth)
            load = await press(server.port, asks, callers=64, seconds=plan.seconds / 2)
            acks.append((depth, load.rate))
            last = (await ask(server.port, "POST", "/queue/bench/held", {"x": 1})).json()["request_id"]
            path = f"/queue/bench/held/requests/{last}"
            poll = [_ask("GET", path + "/status", b"IN_QUEUE")]
            polls.append(
                (depth, (await press(server.port, poll, callers=1, seconds=plan.seconds / 4)).quantile(0.5) * 1e3)
            )
            began = time.perf_counter()
            gate.touch()
            # The last of the queue ends when all before it have started.
            await drained(server._replace(work="/bench/held"))
            drains.append((depth, (depth + len(load.latencies)) / (time.perf_counter() - began)))
    section.curves += [
        Curve("submits acknowledged", "requests waiting", "acks/s", "more", acks),
        Curve("status poll of the last one, p50", "requests waiting", "ms", "less", polls),
        Curve("drain", "requests waiting", "requests/s", "more", drains),
    ]


async def _all(server: Running, asks: list[Ask], count: int) -> None:
    """Send so many.

    Raises:
        RuntimeError: not all were answered in time.
    """
    filled = await press(server.port, asks, callers=64, seconds=LONG, most=count)
    if len(filled.latencies) != count:
        raise RuntimeError(f"{len(filled.latencies)} of {count} requests were answered in {LONG:g} s")


def _ask(method: str, path: str, expect: bytes) -> Ask:
    return Ask(request(method, path), expect)


# ---- history


async def _history(plan: Plan, section: Section, sizes: list[int]) -> None:
    rates: list[Point] = []
    weights: list[Point] = []
    with pondage(plan.scratch, name="history") as server:
        await ready(server)
        await answers(server)
        asks = additions(server.work)
        await sample(server, asks, 64, 0.3)
        finished = 0
        for size in sizes:
            if size > finished:
                await _all(server, asks, size - finished)
                finished = size
            load = await press(server.port, asks, callers=64, seconds=plan.seconds)
            finished += len(load.latencies)
            rates.append((size, load.rate))
            weights.append((size, _bytes_of(plan.scratch / "history" / "data") / finished))
    section.curves += [
        Curve("run, 64 callers", "requests finished before", "requests/s", "more", rates),
        Curve("database per finished request", "requests finished before", "bytes", "less", weights),
    ]


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.db*"))


# ---- sessions


async def _sessions(plan: Plan, section: Section, counts: list[int]) -> None:
    """Sessions that are open, each after one echo; the round trip of one of them, and the memory of all."""
    _allow_files(max(counts) * 2 + 200)
    framed = frame(TEXT, msgspec.json.encode({"text": "m" * 1000}))
    middles: list[Point] = []
    memory: list[Point] = []
    with _gated(plan.scratch, "sessions") as (server, _):
        await ready(server)
        before = server.processes.memory()[1]
        sockets: list[Socket] = []
        try:
            for count in counts:
                await asyncio.to_thread(_open, server.port, sockets, count, framed)
                times = await asyncio.to_thread(_echoes, sockets[-1], framed, plan.seconds / 4)
                middles.append((count, quantile(times, 0.5) * 1e3))
                memory.append((count, (server.processes.memory()[1] - before) * 1e3 / count))
        finally:
            for one in sockets:
                one.close()
    section.add("memory of an open session", OURS, "kB", "less", [memory[-1][1]], limit="one")
    section.curves += [
        Curve("echo of 1 KB, p50", "open sessions", "ms", "less", middles),
        Curve("memory per session, gateway and runner", "open sessions", "kB", "less", memory),
    ]


def _open(port: int, sockets: list[Socket], count: int, framed: bytes) -> None:
    while len(sockets) < count:
        one = Socket(port, "/bench/wide/realtime")
        sockets.append(one)
        one.send(framed)
        if b"mmmm" not in (echo := one.receive()):
            raise RuntimeError(f"session {len(sockets)} answered {echo[:200]!r}")


def _echoes(one: Socket, framed: bytes, seconds: float) -> list[float]:
    times = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        one.send(framed)
        one.receive()
        times.append(time.perf_counter() - began)
    return sorted(times)


def _allow_files(wanted: int) -> None:
    """Raise this process's limit of open files; the servers inherit it.

    Raises:
        RuntimeError: the system does not allow so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise RuntimeError(f"{wanted} open files are needed and {hard} allowed; see ulimit -Hn")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# ---- streams


async def _streams(plan: Plan, section: Section, counts: list[int]) -> None:
    """One stream with many readers, then many streams with one reader each."""
    _allow_files(max(counts) * 2 + 200)
    shared: list[Point] = []
    single: list[Point] = []
    with _gated(plan.scratch, "streams") as (server, gate):
        await ready(server)
        for count in counts:
            shared.append((count, await _delivered(server, gate, count, streams=1)))
            single.append((count, await _delivered(server, gate, count, streams=count)))
    section.curves += [
        Curve("events delivered", "readers of one stream", "events/s", "more", shared),
        Curve("events delivered, a stream each", "open streams", "events/s", "more", single),
    ]


async def _delivered(server: Running, gate: Path, readers: int, streams: int) -> float:
    """Events per second to all readers. They come before the gate opens, and each must get every event."""
    # Few readers get longer streams, so that the moment until the generator sees the gate does not count.
    length = max(200, 100_000 // readers)
    gate.unlink(missing_ok=True)
    paths = []
    for _ in range(streams):
        answer = await ask(server.port, "POST", "/queue/bench/wide/stream", {"n": length})
        paths.append(f"/queue/bench/wide/requests/{answer.json()['request_id']}/stream")
    raws = [request("GET", path, None, "Connection: close", "Accept: text/event-stream") for path in paths]
    reading = [asyncio.create_task(read_stream(server.port, raws[n % streams])) for n in range(readers)]
    await asyncio.sleep(0.5 + readers / 1000)
    began = time.perf_counter()
    gate.touch()
    for read in await asyncio.gather(*reading):
        check(read, length)
    return readers * length / (time.perf_counter() - began)


# ---- runners


async def _runners(plan: Plan, section: Section, counts: list[int]) -> None:
    """Of an app that costs nothing, where the gateway is the limit, and of one whose runners are."""
    for app, work, name in (
        ("noop.py", "/bench/noop", "run, 64 callers"),
        ("paced.py", "/bench/paced", "run of 5 ms, one at a time a runner"),
    ):
        rates: list[Point] = []
        for count in counts:
            env = {"BENCH_RUNNERS": str(count)}
            with pondage(plan.scratch, app, env=env, name=f"runners-{app}-{count}") as started:
                server = started._replace(work=work)
                await ready(server)
                await answers(server)
                asks = additions(server.work)
                await sample(server, asks, 64, 0.3)
                rates.append((count, (await press(server.port, asks, callers=64, seconds=plan.seconds)).rate))
        section.curves.append(Curve(name, "runners", "requests/s", "more", rates))


@contextmanager
def _gated(scratch: Path, name: str) -> Iterator[tuple[Running, Path]]:
    gate = scratch / f"{name}.open"
    with pondage(scratch, "growth.py", env={"BENCH_GATE": str(gate)}, name=name) as server:
        yield server, gate
