"""submit: acknowledged after its commit, in its place, once per idempotency key."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pondage.clock import ManualClock
from pondage.errors import InvalidInput, TooMany
from pondage.queue.interface import Depth, Filter, NewRequest, Queue
from pondage.settings import Settings
from pondage.wire.states import State

from .conftest import Engine, new, ok, running, submitted

pytestmark = pytest.mark.anyio


async def test_what_was_brought_comes_back_unchanged(queue: Queue, clock: ManualClock) -> None:
    request = new(
        clock,
        path="/dev",
        mode="stream",
        headers={"x-a": "1"},
        base_url="http://here",
        caller="k1",
        agent="test/1",
        priority=1,
        start_timeout=5.0,
        run_timeout=6.0,
        webhook="http://hook",
        webhook_events=("started",),
        retried_from="other",
        files=("f1234567",),
        store_io=False,
    )
    receipt = await queue.submit(request).receipt
    assert (receipt.request_id, receipt.position, receipt.replayed) == (request.id, 0, False)
    assert await queue.input(request.id) == request
    assert (await queue.claim(request.app, ["r1"]))[0].request == request
    await queue.complete(request.id, 1, ok())
    assert await queue.input(request.id) == request


async def test_a_view_of_each_state(queue: Queue, clock: ManualClock) -> None:
    claim = await running(queue, clock)
    waiting = await submitted(queue, clock)
    clock.advance(2)
    await queue.complete(claim.request.id, 1, ok())
    done = await queue.get(claim.request.id)
    queued = await queue.get(waiting.id)
    assert done is not None and queued is not None
    assert (done.state, done.status, done.position, done.runner) == (State.DONE, 200, None, "r1")
    assert done.finished_at == done.submitted_at + 2
    assert done.inference_time == 0.5
    assert (done.input_bytes, done.output_bytes) == (8, 8)
    assert (queued.state, queued.attempt, queued.position, queued.last_event) == (State.QUEUED, 0, 0, 1)
    assert await queue.get("nobody") is None


async def test_a_free_slot_takes_the_request_at_once(queue: Queue, clock: ManualClock) -> None:
    submission = queue.submit(new(clock), slot="r7")
    assert submission.claim is not None
    assert (submission.claim.attempt, submission.claim.runner) == (1, "r7")
    receipt = await submission.receipt
    view = await queue.get(receipt.request_id)
    assert view is not None and (view.state, view.attempt, view.runner) == (State.RUNNING, 1, "r7")
    assert queue.depth("acme/flux") == Depth(0, 1)


async def test_a_slot_is_not_taken_past_who_waits(queue: Queue, clock: ManualClock) -> None:
    first = queue.submit(new(clock))
    second = queue.submit(new(clock), slot="r1")
    assert second.claim is None
    await first.receipt
    assert (await second.receipt).position == 1
    other_app = queue.submit(new(clock, app="acme/other"), slot="r1")
    assert other_app.claim is not None
    await other_app.receipt


async def test_a_lazy_submit_is_committed_with_its_outcome(queue: Queue, clock: ManualClock) -> None:
    request = new(clock)
    submission = queue.submit(request, slot="r1", lazy=True)
    assert submission.claim is not None
    waiter = asyncio.ensure_future(queue.wait(request.id, 5))
    await asyncio.sleep(0)
    assert (await queue.complete(request.id, 1, ok())).verdict == "applied"
    assert await waiter == ok()
    assert (await submission.receipt).request_id == request.id
    assert await queue.outcome(request.id) == ok()
    assert [event.kind for event in await queue.events(request.id)] == ["queued", "started", "completed"]
    assert queue.depth(request.app) == Depth(0, 0)
    assert (await queue.complete(request.id, 1, ok())).verdict == "repeated"


@pytest.mark.parametrize("verb", ["get", "append", "retry", "cancel", "complete_other"])
async def test_verbs_on_a_lazy_submit_come_after_its_insert(queue: Queue, clock: ManualClock, verb: str) -> None:
    request = new(clock)
    queue.submit(request, slot="r1", lazy=True)
    if verb == "get":
        view = await queue.get(request.id)
        assert view is not None and view.state is State.RUNNING
    elif verb == "append":
        assert await queue.append(request.id, 1, [])
    elif verb == "retry":
        assert await queue.retry(request.id, 1, reason="died")
        assert [c.attempt for c in await queue.claim(request.app, ["r2"])] == [2]
    elif verb == "cancel":
        assert (await queue.cancel(request.id)).was is State.RUNNING
        assert (await queue.complete(request.id, 1, ok())).verdict == "stale"
    else:
        assert (await queue.complete(request.id, 2, ok())).verdict == "stale"
        assert (await queue.complete(request.id, 1, ok())).verdict == "applied"


async def test_a_lazy_submit_without_a_slot_waits_like_any(queue: Queue, clock: ManualClock) -> None:
    submission = queue.submit(new(clock), lazy=True)
    assert (await submission.receipt).position == 0
    assert queue.depth("acme/flux") == Depth(1, 0)


async def test_fifty_with_one_key_are_one_request(queue: Queue, clock: ManualClock) -> None:
    submissions = [
        queue.submit(new(clock, idempotency_key="once", fingerprint=b"same"), slot="r1" if n % 2 else None)
        for n in range(50)
    ]
    receipts = await asyncio.gather(*(s.receipt for s in submissions))
    assert len({r.request_id for r in receipts}) == 1
    assert [r.replayed for r in receipts].count(False) == 1
    assert len((await queue.page(Filter())).items) == 1
    claims = [await s.claimed for s in submissions if s.claimed is not None]
    depth = queue.depth("acme/flux")
    assert depth.queued + depth.running == 1
    assert len([c for c in claims if c is not None]) == depth.running


async def test_a_keyed_submit_takes_a_slot_before_its_commit(queue: Queue, clock: ManualClock) -> None:
    submission = queue.submit(new(clock, idempotency_key="k", fingerprint=b"1"), slot="r1")
    assert submission.claim is None and submission.claimed is not None
    claim = await submission.claimed
    assert claim is not None and claim.runner == "r1"
    again = queue.submit(new(clock, idempotency_key="k", fingerprint=b"1"), slot="r2")
    assert again.claimed is not None and await again.claimed is None
    assert (await again.receipt).request_id == claim.request.id
    assert queue.depth("acme/flux") == Depth(0, 1)


async def test_a_key_with_another_body_is_refused(queue: Queue, clock: ManualClock) -> None:
    await submitted(queue, clock, idempotency_key="k", fingerprint=b"1")
    with pytest.raises(InvalidInput):
        await queue.submit(new(clock, input=b'{"x": 2}', idempotency_key="k", fingerprint=b"2")).receipt
    other_caller = queue.submit(new(clock, idempotency_key="k", fingerprint=b"2", caller="someone"))
    assert not (await other_caller.receipt).replayed
    assert queue.depth("acme/flux").queued == 2


@pytest.mark.settings(idempotency_window=100.0)
async def test_a_key_is_free_again_after_its_window(queue: Queue, clock: ManualClock) -> None:
    first = await submitted(queue, clock, idempotency_key="k", fingerprint=b"1")
    clock.advance(99)
    assert (await queue.submit(new(clock, idempotency_key="k", fingerprint=b"1")).receipt).request_id == first.id
    clock.advance(2)
    assert not (await queue.submit(new(clock, idempotency_key="k", fingerprint=b"2")).receipt).replayed


async def test_a_key_survives_a_crash(engine: Engine, clock: ManualClock, request: pytest.FixtureRequest) -> None:
    first = await submitted(engine.queue, clock, idempotency_key="k", fingerprint=b"1")
    other = await engine.crash()
    try:
        again = await other.queue.submit(new(clock, idempotency_key="k", fingerprint=b"1")).receipt
        assert (again.request_id, again.replayed) == (first.id, True)
    finally:
        await other.close()


async def test_a_full_queue_refuses_new_requests_only(queue: Queue, clock: ManualClock) -> None:
    await submitted(queue, clock, idempotency_key="k", fingerprint=b"1")
    with pytest.raises(TooMany):
        await queue.submit(new(clock, max_queue_length=1)).receipt
    with pytest.raises(TooMany):
        await queue.submit(new(clock, max_queue_length=1, idempotency_key="k2")).receipt
    replay = queue.submit(new(clock, max_queue_length=1, idempotency_key="k", fingerprint=b"1"))
    assert (await replay.receipt).replayed
    assert queue.depth("acme/flux").queued == 1


async def test_a_keys_scheduled_requests_count_as_waiting(engine: Engine) -> None:
    engine.settings = Settings(max_queue_length_per_key=2)
    await engine.reopen()
    queue, clock = engine.queue, engine.clock
    soon = clock.wall() + 10
    first, _ = [await submitted(queue, clock, caller="a", start_at=soon) for _ in range(2)]

    async def full() -> bool:
        try:
            last = await submitted(engine.queue, clock, caller="a", start_at=soon)
        except TooMany:
            with pytest.raises(TooMany, match="max_queue_length_per_key"):
                await submitted(engine.queue, clock, caller="a")
            theirs = await submitted(engine.queue, clock, caller="another", start_at=soon)
            await engine.queue.cancel(theirs.id)
            return True
        await engine.queue.cancel(last.id)
        return False

    assert await full()
    await engine.reopen()
    assert await full()
    await engine.queue.cancel(first.id)
    assert not await full()
    await submitted(engine.queue, clock, caller="a", start_at=soon)
    clock.advance(11)
    await engine.queue.sweep()
    assert await full()
    assert len(await engine.queue.claim("acme/flux", ["r1", "r2"])) == 2
    assert not await full()


async def test_a_keys_inputs_have_a_bound_together(engine: Engine) -> None:
    engine.settings = Settings(max_queue_bytes_per_key=100)
    await engine.reopen()
    clock = engine.clock
    sixty = b'"' + b"x" * 58 + b'"'

    async def fits() -> NewRequest | None:
        try:
            return await submitted(engine.queue, clock, caller="a", input=sixty)
        except TooMany as error:
            assert "max_queue_bytes_per_key" in str(error)
            theirs = await submitted(engine.queue, clock, input=sixty, caller="another", app="acme/else")
            await engine.queue.cancel(theirs.id)
            return None

    waits = await fits()
    assert waits is not None and await fits() is None
    await engine.reopen()
    assert await fits() is None
    await engine.queue.cancel(waits.id)
    scheduled = await submitted(engine.queue, clock, caller="a", input=sixty, start_at=clock.wall() + 10)
    assert await fits() is None
    await engine.queue.cancel(scheduled.id)
    # One that goes to a slot at once does not wait, and counts until it has ended, with its insert or after it.
    for lazy in (True, False):
        at_once = engine.queue.submit(new(clock, caller="a", input=sixty, app="acme/other"), slot="r", lazy=lazy)
        assert await fits() is None
        if not lazy:
            await at_once.receipt
        await engine.queue.complete(at_once.request.id, 1, ok())
        ended = await fits()
        assert ended is not None
        await engine.queue.cancel(ended.id)
        clock.advance(1)


async def test_one_input_in_two_spellings_is_one_request(queue: Queue, clock: ManualClock) -> None:
    first = new(clock, input=b'{"a": 1, "b": 2.0}', idempotency_key="k", fingerprint=b"one")
    other = new(clock, input=b'{"b":2.0,"a":1}', idempotency_key="k", fingerprint=b"two")
    await queue.submit(first).receipt
    assert (await queue.submit(other).receipt).request_id == first.id
    (claim,) = await queue.claim(first.app, ["r1"])
    await queue.complete(first.id, claim.attempt, ok())
    again = msgspec.structs.replace(other, id="x" * 8)
    assert (await queue.submit(again).receipt).request_id == first.id, "after its end"
    for body, path in ((b'{"a": 1, "b": 2}', "/"), (b'{"b":2.0,"a":1}', "/dev")):
        unlike = new(clock, input=body, path=path, idempotency_key="k", fingerprint=b"three")
        with pytest.raises(InvalidInput):
            await queue.submit(unlike).receipt
