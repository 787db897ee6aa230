"""Submits that are acknowledged, with the worker running: ours after the commit is on disk, theirs as they come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial

from benchmarks.figures import OURS, Section, ratios
from benchmarks.load import submits
from benchmarks.peers import queues
from benchmarks.peers.queues import DURABLE, QUEUES
from benchmarks.plan import WARM_UP, Plan, Sample, beside, in_turn, interleave, only_main, sample
from benchmarks.servers import Running, answers, drained, pondage, ready

NAME = "submit"
TITLE = "Submit acknowledged, 64 callers"
PEERS = tuple(dict.fromkeys(queue.peer for queue in (*QUEUES, *DURABLE)))


async def measure(plan: Plan, section: Section) -> None:
    """Acknowledgements per second."""
    wanted = QUEUES if only_main(plan, section, [queue.name for queue in DURABLE]) else [*QUEUES, *DURABLE]
    with ExitStack() as stack:
        ours = stack.enter_context(pondage(plan.scratch, name="submit"))
        await ready(ours)
        await answers(ours)

        async def mine() -> Sample:
            taken = await sample(ours, submits("/queue" + ours.work, b'"request_id"'), 64, plan.seconds)
            await drained(ours)
            return taken

        async def theirs(server: Running) -> Sample:
            await answers(server)
            return await sample(server, submits("/submit", b'"id"'), 64, plan.seconds)

        await mine()
        subjects: dict[str, Callable[[], Awaitable[Sample]]] = {OURS: mine}
        for queue in wanted:
            start = partial(queues.serving, queue, plan.scratch)
            if server := await beside(stack, section, queue.name, start, _warm_up):
                subjects[queue.name] = partial(in_turn, server, partial(theirs, server))
        taken = await interleave(plan.rounds, subjects, section)
    for name, samples in taken.items():
        section.add("submits acknowledged", name, "acks/s", "more", (s.rate for s in samples), limit="http")
        section.add(
            "CPU of a submit, worker included", name, "µs", "less", (s.cpu_us for s in samples), limit="http_cpu"
        )
        section.add("submit acknowledged, p50", name, "ms", "less", (s.ms(0.5) for s in samples))
    rates = {name: [s.rate for s in samples] for name, samples in taken.items()}
    named = [queue.name for queue in QUEUES if queue.name in taken]
    if named:
        best = [max(rates[name][n] for name in named) for n in range(plan.rounds)]
        section.goal("acknowledgements per second, by the fastest queue's", "times", ratios(rates[OURS], best), least=6)


async def _warm_up(server: Running) -> None:
    await answers(server)
    await sample(server, submits("/submit", b'"id"'), 8, WARM_UP)
