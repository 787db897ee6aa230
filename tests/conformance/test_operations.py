"""Operations by filter: they touch what matched and nothing else, a few at a time, and can be stopped."""

from __future__ import annotations

from typing import Any

import pytest

from pondage.clock import ManualClock
from pondage.queue.interface import Filter, Queue
from pondage.queue.operations import FRONT, Hold, Kind, Operation, Phase
from pondage.wire.events import Completed, Operated, Outcome
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind, State

from .conftest import Engine, new, ok, running, submitted

pytestmark = [pytest.mark.anyio, pytest.mark.settings(operation_step=3)]
FAILED = Outcome.failure(500, "it broke", "internal_server_error")


def asked(kind: Kind, clock: ManualClock, priority: int | None = None, **filter: Any) -> Operation:
    return Operation(
        new_request_id(), kind, "boss", clock.wall(), reason="too many", filter=Filter(**filter), priority=priority
    )


async def carried_out(queue: Queue, operation: Operation) -> Operation:
    begun = await queue.operations.begin(operation)
    while (step := await queue.operations.step(begun.id)) is not None:
        begun = step.operation
    assert begun.phase is Phase.DONE
    stored = await queue.operations.get(begun.id)
    assert stored == begun
    return begun


async def test_a_cancel_touches_what_matches_and_says_who_did_it(queue: Queue, clock: ManualClock) -> None:
    runs = await running(queue, clock, caller="a")
    waits = [await submitted(queue, clock, caller="a") for _ in range(7)]
    other = await submitted(queue, clock, caller="b")
    done = await carried_out(queue, asked(Kind.CANCEL, clock, caller="a", state=State.QUEUED))
    assert (done.matched, done.changed, done.passed) == (7, 7, 0)
    for request in waits:
        events = [event.entry for event in await queue.events(request.id)]
        operated, completed = events[1:]
        assert isinstance(operated, Operated) and (operated.by, operated.operation) == ("boss", done.id)
        assert isinstance(completed, Completed) and completed.error == "the request was cancelled: too many"
    assert (await view(queue, runs.request.id)).state is State.RUNNING
    assert (await view(queue, other.id)).state is State.QUEUED
    assert queue.depth("acme/flux").queued == 1


async def view(queue: Queue, request_id: str) -> Any:
    found = await queue.get(request_id)
    assert found is not None
    return found


async def test_an_undone_one_touches_nothing_that_it_had_not_reached(queue: Queue, clock: ManualClock) -> None:
    waits = [await submitted(queue, clock) for _ in range(8)]
    begun = await queue.operations.begin(asked(Kind.CANCEL, clock))
    assert await queue.operations.step(begun.id)
    assert await queue.operations.steer(begun.id, "pause", "boss")
    assert await queue.operations.step(begun.id) is None
    undone = await queue.operations.steer(begun.id, "undo", "ann")
    assert undone is not None and undone.phase is Phase.UNDONE
    assert [(act.by, act.what) for act in undone.acts] == [("boss", "pause"), ("ann", "undo")]
    assert await queue.operations.step(begun.id) is None and await queue.operations.unfinished() == []
    states = [(await view(queue, request.id)).state for request in waits]
    assert states == [State.DONE] * 3 + [State.QUEUED] * 5


async def test_what_comes_later_is_none_of_its_business(queue: Queue, clock: ManualClock) -> None:
    await submitted(queue, clock)
    begun = await queue.operations.begin(asked(Kind.CANCEL, clock))
    late = await submitted(queue, clock)
    while await queue.operations.step(begun.id):
        pass
    assert (await view(queue, late.id)).state is State.QUEUED


async def test_dead_letters_are_run_again_once(queue: Queue, clock: ManualClock) -> None:
    broken = []
    for n in range(5):
        claim = await running(queue, clock, caller="a", input=b"%d" % n, idempotency_key=f"k{n}")
        await queue.complete(claim.request.id, claim.attempt, FAILED)
        broken.append(claim.request)
    good = await running(queue, clock)
    await queue.complete(good.request.id, good.attempt, ok())
    done = await carried_out(queue, asked(Kind.RETRY, clock, outcome=OutcomeKind.ERROR))
    assert (done.matched, done.changed) == (5, 5)
    again = await carried_out(queue, asked(Kind.RETRY, clock, outcome=OutcomeKind.ERROR))
    assert again.matched == 0
    claims = await queue.claim("acme/flux", ["r"] * 9)
    assert [(c.request.input, c.request.caller, c.request.retried_from) for c in claims] == [
        (b"%d" % n, "a", request.id) for n, request in enumerate(broken)
    ]
    assert (await queue.events(broken[0].id))[-1].kind == "operated"


async def test_what_was_moved_to_the_front_is_next(engine: Engine) -> None:
    queue, clock = engine.queue, engine.clock
    for _ in range(3):
        await submitted(queue, clock, caller="a")
    late = [await submitted(queue, clock, caller="b", priority=1) for _ in range(2)]
    done = await carried_out(queue, asked(Kind.PRIORITY, clock, FRONT, caller="b"))
    assert done.changed == 2
    assert [(await view(queue, one.id)).position for one in late] == [0, 1]
    await engine.reopen()
    queue = engine.queue
    assert [(await view(queue, one.id)).position for one in late] == [0, 1]
    claims = await queue.claim("acme/flux", ["r1", "r2"])
    assert [claim.request.id for claim in claims] == [one.id for one in late]
    assert claims[0].request.priority == FRONT


async def test_a_restart_goes_on_where_it_was(engine: Engine) -> None:
    for _ in range(5):
        await submitted(engine.queue, engine.clock)
    begun = await engine.queue.operations.begin(asked(Kind.CANCEL, engine.clock))
    await engine.queue.operations.step(begun.id)
    await engine.reopen()
    assert await engine.queue.operations.unfinished() == [begun.id]
    step = await engine.queue.operations.step(begun.id)
    assert step is not None and step.operation.changed == 5
    assert engine.queue.depth("acme/flux").queued == 0


async def test_a_hold_outlives_a_restart(engine: Engine) -> None:
    pause = Operation(new_request_id(), Kind.PAUSE, "boss", 7.0, reason="the card is hot", app="acme/flux")
    hold = await engine.queue.operations.hold(pause)
    assert hold == Hold("acme/flux", False, "boss", "the card is hot", 7.0)
    assert str(hold) == "acme/flux is paused by key boss: the card is hot"
    await engine.reopen()
    assert await engine.queue.operations.holds() == [hold]
    resume = Operation(new_request_id(), Kind.RESUME, "ann", 8.0, app="acme/flux")
    assert await engine.queue.operations.hold(resume) is None
    assert await engine.queue.operations.holds() == []
    acts = await engine.queue.operations.newest(10)
    assert [(one.kind, one.by, one.phase) for one in acts] == [
        (Kind.RESUME, "ann", Phase.DONE),
        (Kind.PAUSE, "boss", Phase.DONE),
    ]


async def test_who_waits_and_for_how_long(queue: Queue, clock: ManualClock) -> None:
    first = new(clock, caller="a")
    await queue.submit(first).receipt
    clock.advance(5.0)
    for caller in ("b", "b"):
        await submitted(queue, clock, caller=caller)
    assert await queue.operations.oldest("acme/flux") == first.submitted_at
    assert await queue.operations.oldest("acme/none") is None
    assert [(one.caller, one.queued) for one in queue.operations.waiting("acme/flux")] == [("b", 2), ("a", 1)]
