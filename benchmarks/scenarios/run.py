"""`run` through the durable queue, beside the same endpoint in FastAPI that has no queue."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.figures import OURS, Section, ratios
from benchmarks.load import additions
from benchmarks.plan import WARM_UP, Plan, Sample, interleave, peer, sample
from benchmarks.servers import Running, answers, fastapi, penstock, ready

NAME = "run"
TITLE = "Submit to result in one call, no-op async endpoint"
FASTAPI = "FastAPI, no queue"


async def measure(plan: Plan, section: Section) -> None:
    """Requests per second of 64 callers, and the latency that one caller sees."""
    with ExitStack() as stack:
        servers: dict[str, Running] = {OURS: stack.enter_context(penstock(plan.scratch, name="run"))}
        if python := peer(section, "fastapi"):
            servers[FASTAPI] = stack.enter_context(fastapi(plan.scratch, python))
        await ready(servers[OURS])
        for server in servers.values():
            await answers(server)
            await sample(server, additions(server.work), 64, WARM_UP)
        many = await _sampled(plan, servers, 64, plan.seconds)
        one = await _sampled(plan, servers, 1, plan.seconds / 2)
    for name in servers:
        section.add("run, 64 callers", name, "requests/s", "more", (s.rate for s in many[name]), limit="http")
        section.add("run, 64 callers, p50", name, "ms", "less", (s.ms(0.5) for s in many[name]), limit="http_p50_64")
        section.add("run, 64 callers, p99", name, "ms", "less", (s.ms(0.99) for s in many[name]))
        section.add("CPU of a run", name, "µs", "less", (s.cpu_us for s in many[name]), limit="http_cpu")
        section.add("run, one caller, p50", name, "ms", "less", (s.ms(0.5) for s in one[name]), limit="http_p50")
        section.add("run, one caller, p99", name, "ms", "less", (s.ms(0.99) for s in one[name]))
    if FASTAPI in servers:
        rates = ratios([s.rate for s in many[OURS]], [s.rate for s in many[FASTAPI]])
        section.goal("requests per second of 64 callers, by FastAPI's", "times", rates, least=1)
        slower = ratios([s.ms(0.5) for s in one[OURS]], [s.ms(0.5) for s in one[FASTAPI]])
        section.goal("p50 of one caller, by FastAPI's", "times", slower, most=3)


async def _sampled(plan: Plan, servers: dict[str, Running], callers: int, seconds: float) -> dict[str, list[Sample]]:
    asks = {name: additions(server.work) for name, server in servers.items()}
    return await interleave(
        plan.rounds,
        {name: partial(sample, servers[name], asks[name], callers, seconds) for name in servers},
    )
