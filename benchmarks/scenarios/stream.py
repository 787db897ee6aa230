"""Streaming: server-sent events of one generator to one raw reader."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from benchmarks.figures import OURS, Section, ratios
from benchmarks.load import StreamRead, read_stream
from benchmarks.peers import model_servers
from benchmarks.peers.model_servers import MODEL_SERVERS, Streaming, posted
from benchmarks.plan import Plan, beside, in_turn, interleave, only_main
from benchmarks.servers import Running, answers, fastapi, pondage, ready, until

NAME = "stream"
TITLE = "Streaming: events of one generator to one caller"
STREAMING = [(server, server.streaming) for server in MODEL_SERVERS if server.streaming]
PEERS = ("fastapi", *(server.peer for server, _ in STREAMING))
FASTAPI = "FastAPI, in process"


class Rate(NamedTuple):
    """One stream: its events per second, the time to its first, and the server's CPU per event."""

    events: float
    first_ms: float
    cpu_us: float


async def measure(plan: Plan, section: Section) -> None:
    """A raw reader takes whole streams; each must have all its events. Slow servers have shorter ones."""
    length = 20_000 if plan.quick else 100_000
    mine = Streaming(length, b"data: ", posted("/bench/noop/stream"))
    starts = {FASTAPI: (partial(fastapi, plan.scratch), Streaming(length, b"data: ", posted("/stream")))}
    if not only_main(plan, section, [server.name for server, _ in STREAMING]):
        for one, how in STREAMING:
            starts[one.name] = (partial(model_servers.serving, one, plan.scratch, "stream"), how)
    with ExitStack() as stack:
        ours = stack.enter_context(pondage(plan.scratch, name="stream"))
        await ready(ours)
        await answers(ours)
        await _warm_up(ours, mine)
        subjects: dict[str, Callable[[], Awaitable[Rate]]] = {OURS: partial(_read, ours, mine, length)}
        for name, (start, how) in starts.items():
            if server := await beside(stack, section, name, start, partial(_warm_up, how=how)):
                subjects[name] = partial(in_turn, server, partial(_awaited, server, how))
        taken = await interleave(plan.rounds * 2, subjects, section)
    for name, rates in taken.items():
        section.add("events of one stream", name, "events/s", "more", (rate.events for rate in rates), limit="http")
        section.add("CPU of an event", name, "µs", "less", (rate.cpu_us for rate in rates), limit="http_cpu")
        section.add("first event", name, "ms", "less", (rate.first_ms for rate in rates))
    events = [rate.events for rate in taken[OURS]]
    section.goal("events per second of one stream", "events/s", events, least=50_000)
    if FASTAPI in taken:
        theirs = [rate.events for rate in taken[FASTAPI]]
        section.goal("events per second, by FastAPI's in process", "times", ratios(events, theirs), least=0.5)


async def _warm_up(server: Running, how: Streaming) -> None:
    """The first streams, from the moment that the server takes a request."""

    async def streamed() -> bool:
        await _read(server, how, 10)
        return True

    await until(streamed, server.processes)
    await _read(server, how, min(2000, how.events))


async def _awaited(server: Running, how: Streaming) -> Rate:
    """The first answer of a server that was paused is not counted."""
    await _read(server, how, 10)
    return await _read(server, how, how.events)


async def _read(server: Running, how: Streaming, length: int) -> Rate:
    before = server.processes.cpu()
    read = await read_stream(server.port, await how.opening(server.port, length), how.mark)
    check(read, length)
    cpu = server.processes.cpu() - before
    return Rate(length / read.seconds, read.first * 1e3, cpu / length * 1e6)


def check(read: StreamRead, length: int) -> None:
    """Raise WrongStream unless every event came once."""
    if read.events != length:
        raise WrongStream(f"a stream of {length} events had {read.events}")


class WrongStream(ValueError):
    """Events are missing, or came twice."""
