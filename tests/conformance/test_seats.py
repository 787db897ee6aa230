"""Two lives of one gateway on one queue: what the second takes over, and what it leaves alone."""

from __future__ import annotations

import pytest
from tests.conformance.conftest import Engine, new, ok, running, submitted

from pondage.clock import ManualClock
from pondage.queue.interface import Queue
from pondage.wire.states import State

pytestmark = pytest.mark.anyio


async def test_each_life_has_a_seat_of_its_own(engine: Engine) -> None:
    seats = [engine.queue.seat]
    for _ in range(3):
        await engine.reopen()
        seats.append(engine.queue.seat)
    assert len(set(seats)) == len(seats)


async def test_the_next_life_takes_over_what_runs_once(engine: Engine, clock: ManualClock) -> None:
    claims = [await running(engine.queue, clock) for _ in range(3)]
    waiting = await submitted(engine.queue, clock)
    done = (await running(engine.queue, clock, app="acme/other")).request
    await engine.queue.complete(done.id, 1, ok())
    await engine.reopen()
    taken = await engine.queue.orphans()
    assert [claim.request.id for claim in taken] == [claim.request.id for claim in claims]
    assert [(claim.attempt, claim.runner) for claim in taken] == [(1, "r1")] * 3
    assert await engine.queue.orphans() == [], "each is taken over once"
    view = await engine.queue.get(waiting.id)
    assert view is not None and view.state is State.QUEUED


async def test_what_a_life_has_claimed_itself_is_no_orphan(engine: Engine, clock: ManualClock) -> None:
    await engine.reopen()
    await running(engine.queue, clock)
    at_once = engine.queue.submit(new(clock, app="acme/other"), slot="r2")
    await at_once.receipt
    assert at_once.claim is not None
    assert await engine.queue.orphans() == []


async def test_what_was_put_back_and_not_claimed_again_is_no_orphan(engine: Engine, clock: ManualClock) -> None:
    claim = await running(engine.queue, clock)
    await engine.queue.retry(claim.request.id, 1, reason="its runner died")
    await engine.reopen()
    assert await engine.queue.orphans() == []
    (again,) = await engine.queue.claim(claim.request.app, ["r9"])
    assert again.attempt == 2


async def test_an_output_that_is_not_to_be_kept_and_was_read_is_dropped_in_the_next_life(
    engine: Engine, clock: ManualClock
) -> None:
    request = (await running(engine.queue, clock, store_io=False)).request
    await engine.queue.complete(request.id, 1, ok(b'"secret"'))
    assert await engine.queue.outcome(request.id) == ok(b'"secret"')
    await engine.reopen()
    clock.advance(61)
    await engine.queue.sweep()
    outcome = await engine.queue.outcome(request.id)
    assert outcome is not None and outcome.status == 410


async def test_an_output_that_nobody_has_read_is_kept_over_lives(engine: Engine, clock: ManualClock) -> None:
    request = (await running(engine.queue, clock, store_io=False)).request
    await engine.queue.complete(request.id, 1, ok(b'"secret"'))
    for _ in range(2):
        await engine.reopen()
        clock.advance(61)
        await engine.queue.sweep()
    assert await engine.queue.outcome(request.id) == ok(b'"secret"')


async def test_a_waiter_that_hears_the_outcome_has_read_it(queue: Queue, engine: Engine, clock: ManualClock) -> None:
    request = (await running(queue, clock, store_io=False)).request
    await queue.complete(request.id, 1, ok(b'"secret"'))
    assert await queue.wait(request.id, 5) == ok(b'"secret"')
    await engine.reopen()
    clock.advance(61)
    await engine.queue.sweep()
    outcome = await engine.queue.outcome(request.id)
    assert outcome is not None and outcome.status == 410
