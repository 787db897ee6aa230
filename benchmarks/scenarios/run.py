"""`run` through the durable queue, beside what serves the same function over HTTP without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial

from benchmarks.figures import OURS, Section, ratios
from benchmarks.peers import model_servers
from benchmarks.peers.model_servers import MODEL_SERVERS
from benchmarks.plan import WARM_UP, Plan, Sample, beside, in_turn, interleave, only_main, sample
from benchmarks.servers import Running, answers, fastapi, pondage, ready

NAME = "run"
TITLE = "Submit to result in one call, no-op async endpoint"
PEERS = ("fastapi", *(server.peer for server in MODEL_SERVERS))
FASTAPI = "FastAPI, no queue"


async def measure(plan: Plan, section: Section) -> None:
    """Requests per second of 64 callers, and the latency that one caller sees."""
    with ExitStack() as stack:
        servers: dict[str, Running] = {OURS: stack.enter_context(pondage(plan.scratch, name="run"))}
        await ready(servers[OURS])
        await _warm_up(servers[OURS])
        starts = {FASTAPI: partial(fastapi, plan.scratch)}
        if not only_main(plan, section, [server.name for server in MODEL_SERVERS]):
            starts |= {one.name: partial(model_servers.serving, one, plan.scratch) for one in MODEL_SERVERS}
        for name, start in starts.items():
            if server := await beside(stack, section, name, start, _warm_up):
                servers[name] = server
        # One caller comes first: there are servers that cannot answer 64 at once.
        one = await _sampled(plan, section, servers, 1, plan.seconds / 2)
        many = await _sampled(plan, section, {name: servers[name] for name in one}, 64, plan.seconds)
    for name, samples in many.items():
        section.add("run, 64 callers", name, "requests/s", "more", (s.rate for s in samples), limit="http")
        section.add("run, 64 callers, p50", name, "ms", "less", (s.ms(0.5) for s in samples), limit="http_p50_64")
        section.add("run, 64 callers, p99", name, "ms", "less", (s.ms(0.99) for s in samples))
        section.add("CPU of a run", name, "µs", "less", (s.cpu_us for s in samples), limit="http_cpu")
    for name, samples in one.items():
        section.add("run, one caller, p50", name, "ms", "less", (s.ms(0.5) for s in samples), limit="run_p50")
        section.add("run, one caller, p99", name, "ms", "less", (s.ms(0.99) for s in samples))
    if FASTAPI in many:
        rates = ratios([s.rate for s in many[OURS]], [s.rate for s in many[FASTAPI]])
        section.goal("requests per second of 64 callers, by FastAPI's", "times", rates, least=1)
        slower = ratios([s.ms(0.5) for s in one[OURS]], [s.ms(0.5) for s in one[FASTAPI]])
        section.goal("p50 of one caller, by FastAPI's", "times", slower, most=3)


async def _warm_up(server: Running) -> None:
    await answers(server)
    await sample(server, server.asks(server.work), 8, WARM_UP)


async def _sampled(
    plan: Plan, section: Section, servers: dict[str, Running], callers: int, seconds: float
) -> dict[str, list[Sample]]:
    def turn(server: Running) -> Callable[[], Awaitable[Sample]]:
        asks = server.asks(server.work)

        async def load() -> Sample:
            # The first answer of a server that was paused is not counted.
            await answers(server)
            return await sample(server, asks, callers, seconds)

        return partial(in_turn, server, load)

    return await interleave(plan.rounds, {name: turn(server) for name, server in servers.items()}, section)
