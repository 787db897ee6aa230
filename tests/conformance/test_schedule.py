"""Requests that start no sooner than they may, end no later than they must, and payloads that are kept no longer."""

from __future__ import annotations

import pytest

from pondage.clock import ManualClock
from pondage.queue.interface import Depth, Queue
from pondage.wire.events import Chunk
from pondage.wire.states import State

from .conftest import Engine, new, ok, running, submitted

pytestmark = pytest.mark.anyio
APP = "acme/flux"


async def test_who_is_scheduled_stands_in_no_line(engine: Engine) -> None:
    queue, clock = engine.queue, engine.clock
    later = await submitted(queue, clock, start_at=clock.wall() + 10, max_queue_length=1)
    assert queue.depth(APP) == Depth(0, 0) and await queue.claim(APP, ["r"]) == []
    view = await queue.get(later.id)
    assert view is not None and (view.state, view.position, view.start_at) == (State.QUEUED, None, later.start_at)
    assert (await queue.sweep()).released == frozenset()
    await engine.reopen()
    queue = engine.queue
    first = await submitted(queue, clock)
    clock.advance(10)
    assert (await queue.sweep()).released == {APP}
    assert queue.depth(APP) == Depth(2, 0)
    claims = await queue.claim(APP, ["r1", "r2"])
    assert [claim.request.id for claim in claims] == [first.id, later.id]
    assert claims[1].request == later


async def test_a_slot_is_not_taken_before_its_time(queue: Queue, clock: ManualClock) -> None:
    request = await submitted(queue, clock)
    await queue.cancel(request.id)
    submission = queue.submit(new(clock, start_at=clock.wall() + 5), slot="r")
    assert submission.claim is None and (await submission.receipt).position == 0


async def test_a_scheduled_request_can_be_cancelled(queue: Queue, clock: ManualClock) -> None:
    later = await submitted(queue, clock, start_at=clock.wall() + 10)
    assert (await queue.cancel(later.id)).was is State.QUEUED
    clock.advance(20)
    assert (await queue.sweep()).released == frozenset() and queue.depth(APP) == Depth(0, 0)


async def test_a_clock_that_is_set_forward_starts_and_expires_nothing(queue: Queue, clock: ManualClock) -> None:
    later = await submitted(queue, clock, start_at=clock.wall() + 100)
    waits = await submitted(queue, clock, start_timeout=100.0)
    clock.jump(86_400)
    swept = await queue.sweep()
    assert (swept.expired, swept.released) == ([], frozenset())
    for request in (later, waits):
        view = await queue.get(request.id)
        assert view is not None and view.state is State.QUEUED


async def test_its_start_limit_counts_from_its_start(queue: Queue, clock: ManualClock) -> None:
    later = await submitted(queue, clock, start_at=clock.wall() + 50, start_timeout=5.0)
    clock.advance(51)
    assert (await queue.sweep()).expired == []
    clock.advance(5)
    assert (await queue.sweep()).expired == [later.id]


async def test_nobody_waits_beyond_a_deadline(queue: Queue, clock: ManualClock) -> None:
    request = await submitted(queue, clock, deadline=clock.wall() + 5, start_timeout=100.0)
    clock.advance(6)
    assert (await queue.sweep()).expired == [request.id]
    outcome = await queue.outcome(request.id)
    assert outcome is not None and outcome.status == 504


@pytest.mark.parametrize("lazy", [False, True])
async def test_payloads_are_kept_for_their_time(queue: Queue, clock: ManualClock, lazy: bool) -> None:
    submission = queue.submit(new(clock, payload_ttl=60.0), slot="r", lazy=lazy)
    request = submission.request
    if not lazy:
        await submission.receipt
    assert (await queue.complete(request.id, 1, ok())).verdict == "applied"
    clock.advance(59)
    await queue.sweep()
    outcome = await queue.outcome(request.id)
    assert outcome is not None and outcome.status == 200
    clock.advance(2)
    await queue.sweep()
    outcome = await queue.outcome(request.id)
    assert outcome is not None and outcome.status == 410 and "no longer kept" in (outcome.error or "")
    brought = await queue.input(request.id)
    assert brought is not None and brought.input == b""


async def test_deleted_payloads_are_gone_and_the_log_stays(queue: Queue, clock: ManualClock) -> None:
    claim = await running(queue, clock)
    await queue.append(claim.request.id, 1, [Chunk(1.0, 1, b'"secret"')])
    assert not await queue.forget_payloads(claim.request.id)
    await queue.complete(claim.request.id, 1, ok())
    assert await queue.forget_payloads(claim.request.id)
    assert not await queue.forget_payloads("nobody")
    kinds = [event.kind for event in await queue.events(claim.request.id)]
    assert kinds == ["queued", "started", "chunk", "completed"]
    (chunk,) = await queue.chunks(claim.request.id, after=(0, 0))
    assert isinstance(chunk.entry, Chunk) and chunk.entry.data == b"null"
