"""Submits that are acknowledged, with the worker running: ours after the commit is on disk, theirs as they come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial

from benchmarks.figures import OURS, Section, ratios
from benchmarks.load import submits
from benchmarks.peers.environments import Missing
from benchmarks.peers.queues import QUEUES, serving
from benchmarks.plan import WARM_UP, Plan, Sample, awake, interleave, sample, say
from benchmarks.servers import Running, answers, drained, penstock, ready

NAME = "submit"
TITLE = "Submit acknowledged, 64 callers"


async def measure(plan: Plan, section: Section) -> None:
    """Acknowledgements per second."""
    with ExitStack() as stack:
        ours = stack.enter_context(penstock(plan.scratch, name="submit"))
        await ready(ours)
        await answers(ours)
        others: dict[str, Running] = {}
        for queue in QUEUES:
            try:
                server = stack.enter_context(serving(queue, plan.scratch))
                await answers(server)
                await sample(server, submits("/submit", b'"id"'), 8, WARM_UP)
            except (Missing, OSError, RuntimeError, TimeoutError) as error:
                section.skipped[queue.name] = str(error)
                say(f"  {queue.name} is left out: {error}")
                continue
            others[queue.name] = server
            server.processes.pause()

        async def mine() -> Sample:
            taken = await sample(ours, submits("/queue" + ours.work, b'"request_id"'), 64, plan.seconds)
            await drained(ours)
            return taken

        async def theirs(server: Running) -> Sample:
            # Those that poll would slow down whoever is measured, so each runs only while it is its turn.
            with awake(server.processes):
                await answers(server)
                return await sample(server, submits("/submit", b'"id"'), 64, plan.seconds)

        await mine()
        subjects: dict[str, Callable[[], Awaitable[Sample]]] = {OURS: mine}
        subjects.update((name, partial(theirs, server)) for name, server in others.items())
        taken = await interleave(plan.rounds, subjects)
    for name, samples in taken.items():
        section.add("submits acknowledged", name, "acks/s", "more", (s.rate for s in samples), limit="http")
        section.add(
            "CPU of a submit, worker included", name, "µs", "less", (s.cpu_us for s in samples), limit="http_cpu"
        )
        section.add("submit acknowledged, p50", name, "ms", "less", (s.ms(0.5) for s in samples))
    rates = {name: [s.rate for s in samples] for name, samples in taken.items()}
    if others:
        best = [max(rates[name][n] for name in others) for n in range(plan.rounds)]
        section.goal("acknowledgements per second, by the fastest queue's", "times", ratios(rates[OURS], best), least=6)
