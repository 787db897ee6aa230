"""What is counted is what happened: exactly, folded or not, over crashes."""

from __future__ import annotations

import random

import pytest
from tests.conformance.conftest import Engine, new, ok, running, submitted

from pondage.clock import ManualClock
from pondage.queue.counts import Rollup, Usage
from pondage.queue.interface import Filter, Queue, Spending
from pondage.wire.events import Outcome
from pondage.wire.states import OutcomeKind

pytestmark = pytest.mark.anyio

APP = "acme/flux"


async def rollup(queue: Queue, clock: ManualClock, *, hourly: bool = False) -> Rollup:
    total = Rollup()
    for one in await queue.counts.rollups(since=0, until=clock.wall() + 1, app=APP, hourly=hourly):
        total.add(one.rollup)
    return total


async def usage(queue: Queue, clock: ManualClock, caller: str | None = None) -> Usage:
    total = Usage()
    for one in await queue.counts.usage(since=0, until=clock.wall() + 1, caller=caller):
        total.add(one.usage)
    return total


async def test_an_outcome_is_counted_at_once_and_folding_changes_nothing(queue: Queue, clock: ManualClock) -> None:
    request = (await submitted(queue, clock, caller="k", input=b"12345")).id
    clock.advance(3)
    await queue.claim(APP, ["r1"])
    clock.advance(4)
    await queue.complete(request, 1, ok(b"123"), Spending(4.0, 8.0))
    before = (await rollup(queue, clock), await rollup(queue, clock, hourly=True), await usage(queue, clock))
    assert (before[0].submitted, before[0].ok, before[0].waited, before[0].ran, before[0].total) == (1, 1, 3, 4, 7)
    assert (before[2].runner, before[2].devices, before[2].input_bytes, before[2].output_bytes) == (4, 8, 5, 3)
    assert await queue.counts.fold() > 0
    assert await queue.counts.fold() == 0
    assert before == (await rollup(queue, clock), await rollup(queue, clock, hourly=True), await usage(queue, clock))


async def test_usage_is_by_key(queue: Queue, clock: ManualClock) -> None:
    for caller in ("a", "a", "b"):
        claim = await running(queue, clock, caller=caller)
        await queue.complete(claim.request.id, 1, ok())
    assert (await usage(queue, clock, "a")).ok == 2
    assert (await usage(queue, clock, "b")).ok == 1
    assert (await usage(queue, clock, "c")).ok == 0


async def test_a_run_that_was_never_waiting_is_counted_like_any_other(queue: Queue, clock: ManualClock) -> None:
    submission = queue.submit(new(clock, caller="k"), slot="r1", lazy=True)
    clock.advance(2)
    await queue.complete(submission.request.id, 1, ok(), Spending(2.0))
    counted = await rollup(queue, clock)
    assert (counted.submitted, counted.ok, counted.ran, sum(counted.runs.values())) == (1, 1, 2, 1)


async def test_lost_attempts_count_what_they_took(queue: Queue, clock: ManualClock) -> None:
    claim = await running(queue, clock, caller="k")
    await queue.retry(claim.request.id, 1, reason="its runner died", spent=Spending(5.0, 5.0))
    await queue.claim(APP, ["r2"])
    await queue.complete(claim.request.id, 2, ok(), Spending(1.0, 1.0))
    queue.spend(APP, "k", Spending(2.0, 2.0))
    await queue.get(claim.request.id)
    counted = await usage(queue, clock)
    while counted.lost < 2:
        counted = await usage(queue, clock)
    assert (counted.lost, counted.runner, counted.devices, counted.ok) == (2, 8.0, 8.0, 1)


async def test_a_stale_or_second_outcome_counts_nothing(queue: Queue, clock: ManualClock) -> None:
    claim = await running(queue, clock)
    await queue.complete(claim.request.id, 1, ok())
    await queue.complete(claim.request.id, 1, ok())
    await queue.cancel(claim.request.id)
    assert (await rollup(queue, clock)).ended == 1


async def test_a_submit_that_is_refused_counts_nothing(queue: Queue, clock: ManualClock) -> None:
    await queue.submit(new(clock, idempotency_key="k", fingerprint=b"f")).receipt
    await queue.submit(new(clock, idempotency_key="k", fingerprint=b"f")).receipt
    assert (await rollup(queue, clock)).submitted == 1


async def test_kinds_of_errors(queue: Queue, clock: ManualClock) -> None:
    for n in range(3):
        claim = await running(queue, clock)
        await queue.complete(claim.request.id, 1, Outcome.failure(500, f"tensor {n} is bad", "internal_error"))
        clock.advance(1)
    other = await running(queue, clock)
    await queue.complete(other.request.id, 1, Outcome.failure(422, "no prompt", "invalid"))
    for _ in range(2):
        most, least = await queue.counts.errors(since=0, until=clock.wall() + 1)
        assert (most.message, most.errors.count, most.errors.sample) == ("tensor # is bad", 3, claim.request.id)
        assert (least.error_type, least.errors.count) == ("invalid", 1)
        await queue.counts.fold()
    assert await queue.counts.errors(since=0, until=clock.wall() + 1, app="acme/none") == []


@pytest.mark.settings(rollup_minutes_kept=100.0, rollup_hours_kept=100_000.0, usage_kept=100_000.0)
async def test_what_is_old_enough_is_forgotten(queue: Queue, clock: ManualClock) -> None:
    claim = await running(queue, clock)
    await queue.complete(claim.request.id, 1, ok())
    await queue.counts.fold()
    clock.advance(1000)
    await queue.counts.fold()
    assert (await rollup(queue, clock)).ok == 0
    assert (await rollup(queue, clock, hourly=True)).ok == 1
    clock.advance(200_000)
    await queue.counts.fold()
    assert (await rollup(queue, clock, hourly=True)).ok == 0
    assert (await usage(queue, clock)).ok == 0
    assert (await queue.counts.totals())[APP].ok == 1, "this is counted for ever"


@pytest.mark.parametrize("seed", range(4))
async def test_counts_are_what_the_requests_say_after_any_history(engine: Engine, seed: int) -> None:
    """Random verbs, folds, lives and crashes; then every request is read, and must be in the counts once."""
    dice, clock = random.Random(seed), engine.clock
    held: dict[str, int] = {}
    current = engine
    for _ in range(120):
        queue = current.queue
        match dice.choice(
            ["submit", "submit", "run", "claim", "complete", "complete", "cancel", "retry", "fold", "crash"]
        ):
            case "submit":
                await queue.submit(new(clock, caller=dice.choice("ab"), webhook=None)).receipt
            case "run":
                run = queue.submit(new(clock, caller="c"), slot="r", lazy=True)
                await queue.complete(run.request.id, 1, ok())
            case "claim":
                for claim in await queue.claim(APP, ["r"] * dice.randint(1, 3)):
                    held[claim.request.id] = claim.attempt
            case "complete" if held:
                request_id, attempt = held.popitem()
                await queue.complete(
                    request_id, attempt, ok() if dice.random() < 0.7 else Outcome.failure(500, "x", "y")
                )
            case "cancel" if held:
                await queue.cancel(dice.choice(sorted(held)))
            case "retry" if held:
                request_id = dice.choice(sorted(held))
                await queue.retry(request_id, held.pop(request_id), reason="lost")
            case "fold":
                await queue.counts.fold()
            case "crash" if dice.random() < 0.3:
                current = await current.crash()
                held = {claim.request.id: claim.attempt for claim in await current.queue.orphans()}
        clock.advance(dice.random() * 100)
    page = await current.queue.page(Filter(limit=1000))
    assert page.next_cursor is None
    counted, used = await rollup(current.queue, clock), await usage(current.queue, clock)
    outcomes = [view.outcome for view in page.items]
    for total in (counted, used, (await current.queue.counts.totals())[APP]):
        assert total.submitted == len(outcomes)
        assert total.ok == outcomes.count(OutcomeKind.OK)
        assert total.error == outcomes.count(OutcomeKind.ERROR)
        assert total.cancelled == outcomes.count(OutcomeKind.CANCELLED)
    if current is not engine:
        await current.close()
