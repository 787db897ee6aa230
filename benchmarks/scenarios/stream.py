"""Streaming: server-sent events of one generator, and one stream that many callers read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from benchmarks.figures import OURS, Section, ratios
from benchmarks.load import StreamRead, read_stream, request
from benchmarks.plan import Plan, interleave, peer
from benchmarks.servers import Running, answers, fastapi, penstock, ready

NAME = "stream"
TITLE = "Streaming: events of one generator to one caller"
FASTAPI = "FastAPI, in process"


class Rate(NamedTuple):
    """One stream: its events per second, the time to its first, and the server's CPU per event."""

    events: float
    first_ms: float
    cpu_us: float


async def measure(plan: Plan, section: Section) -> None:
    """A raw reader takes whole streams; each must have all its events."""
    length = 20_000 if plan.quick else 100_000
    with ExitStack() as stack:
        servers = {OURS: stack.enter_context(penstock(plan.scratch, name="stream"))}
        await ready(servers[OURS])
        paths = {OURS: "/bench/noop/stream", FASTAPI: "/stream"}
        if python := peer(section, "fastapi"):
            servers[FASTAPI] = stack.enter_context(fastapi(plan.scratch, python))
        for name, server in servers.items():
            await answers(server)
            await _read(server, paths[name], 2000)
        subjects: dict[str, Callable[[], Awaitable[Rate]]] = {
            name: partial(_read, servers[name], paths[name], length) for name in servers
        }
        taken = await interleave(plan.rounds * 2, subjects)
    for name, rates in taken.items():
        section.add("events of one stream", name, "events/s", "more", (rate.events for rate in rates), limit="http")
        section.add("CPU of an event", name, "µs", "less", (rate.cpu_us for rate in rates), limit="http_cpu")
        section.add("first event", name, "ms", "less", (rate.first_ms for rate in rates))
    ours = [rate.events for rate in taken[OURS]]
    section.goal("events per second of one stream", "events/s", ours, least=50_000)
    if FASTAPI in taken:
        theirs = [rate.events for rate in taken[FASTAPI]]
        section.goal("events per second, by FastAPI's in process", "times", ratios(ours, theirs), least=0.5)


async def _read(server: Running, path: str, length: int) -> Rate:
    before = server.processes.cpu()
    read = await read_stream(server.port, request("POST", path, {"n": length}, "Connection: close"))
    check(read, length)
    cpu = server.processes.cpu() - before
    return Rate(length / read.seconds, read.first * 1e3, cpu / length * 1e6)


def check(read: StreamRead, length: int) -> None:
    """Raise RuntimeError unless every event came once."""
    if read.events != length:
        raise RuntimeError(f"a stream of {length} events had {read.events}")
