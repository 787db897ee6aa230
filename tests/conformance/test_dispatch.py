"""claim, append, complete, retry, cancel: order, fencing, one outcome."""

from __future__ import annotations

import asyncio

import pytest

from pondage.clock import ManualClock
from pondage.queue.interface import Depth, Queue
from pondage.wire.events import Chunk, Log, Progress, Retried, Stale, Started
from pondage.wire.states import OutcomeKind, State

from .conftest import Engine, new, ok, running, submitted

pytestmark = pytest.mark.anyio

APP = "acme/flux"


async def test_claims_go_in_order_to_the_slots(queue: Queue, clock: ManualClock) -> None:
    requests = [await submitted(queue, clock) for _ in range(5)]
    claims = await queue.claim(APP, ["a", "b", "c"])
    assert [(c.request.id, c.runner) for c in claims] == [
        (r.id, s) for r, s in zip(requests[:3], ["a", "b", "c"], strict=True)
    ]
    assert [c.request.id for c in await queue.claim(APP, ["a"] * 10)] == [r.id for r in requests[3:]]
    assert await queue.claim(APP, ["a"]) == []
    assert await queue.claim("acme/unknown", ["a"]) == []
    assert queue.depth(APP) == Depth(0, 5)


async def test_claims_at_once_never_share_a_request(queue: Queue, clock: ManualClock) -> None:
    requests = [await submitted(queue, clock) for _ in range(20)]
    answers = await asyncio.gather(*(queue.claim(APP, [f"r{n}"] * 3) for n in range(10)))
    claimed = [c.request.id for claims in answers for c in claims]
    assert sorted(claimed) == sorted(r.id for r in requests)


async def test_low_priority_waits_for_normal(queue: Queue, clock: ManualClock) -> None:
    low = await submitted(queue, clock, priority=1)
    normal = await submitted(queue, clock)
    view = await queue.get(low.id)
    assert view is not None and view.position == 1
    assert [c.request.id for c in await queue.claim(APP, ["a", "b"])] == [normal.id, low.id]


async def test_who_submits_much_does_not_starve_who_submits_little(queue: Queue, clock: ManualClock) -> None:
    flood = [queue.submit(new(clock, caller="flood")) for _ in range(100)]
    await asyncio.gather(*(s.receipt for s in flood))
    few = [await submitted(queue, clock, caller="few") for _ in range(3)]
    first = [c.request.id for c in await queue.claim(APP, ["r"] * 10)]
    assert {r.id for r in few} <= set(first)


async def test_a_claim_that_nobody_took_goes_back(queue: Queue, clock: ManualClock) -> None:
    request = await submitted(queue, clock)
    claimer = asyncio.ensure_future(queue.claim(APP, ["gone"]))
    await asyncio.sleep(0)
    claimer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claimer
    async with queue.watch(request.id) as watch:
        # By the rows: what is counted in memory changes a moment before its commit.
        while (view := await queue.get(request.id)) and (view.state, view.attempt) != (State.QUEUED, 1):
            await watch.changed(5)
    assert [c.request.id for c in await queue.claim(APP, ["r2"])] == [request.id]


async def test_an_old_attempt_changes_nothing_and_leaves_evidence(queue: Queue, clock: ManualClock) -> None:
    claim = await running(queue, clock)
    id_ = claim.request.id
    assert await queue.retry(id_, 1, reason="its runner died", strike=True)
    second = (await queue.claim(APP, ["r2"]))[0]
    assert (second.attempt, second.strikes) == (2, 1)
    assert not await queue.append(id_, 1, [Log(1.0, "INFO", "late")])
    assert not await queue.retry(id_, 1, reason="again")
    assert (await queue.complete(id_, 1, ok(b"old"))).verdict == "stale"
    assert (await queue.complete(id_, 2, ok(b"new"))).verdict == "applied"
    assert (await queue.complete(id_, 2, ok(b"new"))).verdict == "repeated"
    assert (await queue.complete(id_, 1, ok(b"old"))).verdict == "stale"
    outcome = await queue.outcome(id_)
    assert outcome is not None and outcome.body == b"new"
    events = await queue.events(id_)
    assert [e.n for e in events] == list(range(1, len(events) + 1))
    kinds = ["queued", "started", "retried", "started", "stale", "completed", "stale"]
    assert [e.kind for e in events] == kinds
    assert [e.attempt for e in events] == [0, 1, 1, 2, 1, 2, 1]
    assert isinstance(events[1].entry, Started) and events[1].entry.runner == "r1"
    assert isinstance(events[2].entry, Retried) and events[2].entry.strike
    assert isinstance(events[4].entry, Stale)
    view = await queue.get(id_)
    assert view is not None and view.last_event == 7


async def test_an_unknown_request_has_no_outcome(queue: Queue) -> None:
    assert (await queue.complete("nobody", 1, ok())).verdict == "unknown"
    assert not await queue.append("nobody", 1, [])
    assert not await queue.retry("nobody", 1, reason="")
    assert (await queue.cancel("nobody")).was is None
    assert await queue.events("nobody") == []
    assert await queue.chunks("nobody", after=(0, 0)) == []


async def test_a_queued_request_cannot_be_completed(queue: Queue, clock: ManualClock) -> None:
    request = await submitted(queue, clock)
    assert (await queue.complete(request.id, 0, ok())).verdict == "stale"
    assert await queue.outcome(request.id) is None


async def test_events_are_numbered_and_selected(queue: Queue, clock: ManualClock) -> None:
    id_ = (await running(queue, clock)).request.id
    await queue.append(id_, 1, [Log(1.0, "INFO", "one"), Progress(1.0, 1, 2)])
    await queue.append(id_, 1, [Log(2.0, "WARN", "two")])
    await queue.complete(id_, 1, ok())
    events = await queue.events(id_)
    assert [e.n for e in events] == [1, 2, 3, 4, 5, 6]
    assert [e.n for e in await queue.events(id_, after=3)] == [4, 5, 6]
    assert [e.n for e in await queue.events(id_, after=1, limit=2)] == [2, 3]
    assert [e.n for e in await queue.events(id_, kinds=frozenset({"log"}))] == [3, 5]
    assert [e.n for e in await queue.events(id_, after=3, kinds=frozenset({"log"}))] == [5]
    assert await queue.events(id_, after=6) == []


async def test_the_newest_entries_in_order(queue: Queue, clock: ManualClock) -> None:
    id_ = (await running(queue, clock)).request.id
    for n in range(5):
        await queue.append(id_, 1, [Log(1.0, "INFO", f"{n}a"), Progress(1.0, n, 5), Log(1.0, "INFO", f"{n}b")])

    async def newest(kind: str, limit: int) -> list[int]:
        return [event.n for event in await queue.newest(id_, kinds=frozenset({kind}), limit=limit)]

    assert await newest("log", 3) == [14, 15, 17]
    assert await newest("progress", 1) == [16]
    await queue.complete(id_, 1, ok())
    assert await newest("log", 100) == [3, 5, 6, 8, 9, 11, 12, 14, 15, 17]
    assert await queue.newest("unknown", kinds=frozenset({"log"}), limit=1) == []


async def test_chunks_follow_a_chunk(queue: Queue, clock: ManualClock) -> None:
    id_ = (await running(queue, clock)).request.id
    await queue.append(id_, 1, [Chunk(1.0, 1, b"1"), Log(1.0, "INFO", "between"), Chunk(1.0, 2, b"2")])
    await queue.append(id_, 1, [Chunk(1.0, 3, b"3")])
    await queue.retry(id_, 1, reason="died")
    await queue.claim(APP, ["r2"])
    await queue.append(id_, 2, [Chunk(2.0, 1, b"again")])

    async def after(attempt: int, n: int) -> list[bytes]:
        found = await queue.chunks(id_, after=(attempt, n))
        return [e.entry.data for e in found if isinstance(e.entry, Chunk)]

    assert await after(0, 0) == [b"1", b"2", b"3", b"again"]
    assert await after(1, 1) == [b"2", b"3", b"again"]
    assert await after(1, 3) == [b"again"]
    assert await after(2, 1) == []
    assert len(await queue.chunks(id_, after=(0, 0), limit=2)) == 2


async def test_a_retried_request_is_the_next(queue: Queue, clock: ManualClock) -> None:
    first = (await running(queue, clock)).request
    behind = [await submitted(queue, clock) for _ in range(2)]
    assert await queue.retry(first.id, 1, reason="died", alone=True)
    positions = [(await queue.get(r.id)).position for r in (first, *behind)]  # type: ignore[union-attr]
    assert positions == [0, 1, 2]
    assert queue.depth(APP) == Depth(3, 0)
    claim = (await queue.claim(APP, ["r2"]))[0]
    assert (claim.request.id, claim.attempt, claim.alone, claim.strikes) == (first.id, 2, True, 0)
    assert not (await queue.claim(APP, ["r2"]))[0].alone


async def test_cancel_while_queued(queue: Queue, clock: ManualClock) -> None:
    first, second = await submitted(queue, clock), await submitted(queue, clock)
    assert (await queue.cancel(first.id)).was is State.QUEUED
    view = await queue.get(second.id)
    assert view is not None and view.position == 0
    outcome = await queue.outcome(first.id)
    assert outcome is not None
    assert (outcome.kind, outcome.status, outcome.error_type) == (OutcomeKind.CANCELLED, 499, "client_cancelled")
    assert (await queue.cancel(first.id)).was is State.DONE
    assert [c.request.id for c in await queue.claim(APP, ["a", "b"])] == [second.id]
    assert [e.kind for e in await queue.events(first.id)] == ["queued", "completed"]


async def test_cancel_while_running(queue: Queue, clock: ManualClock) -> None:
    id_ = (await running(queue, clock)).request.id
    cancelled = await queue.cancel(id_)
    assert (cancelled.was, cancelled.attempt, cancelled.runner) == (State.RUNNING, 1, "r1")
    assert (await queue.complete(id_, 1, ok())).verdict == "stale"
    outcome = await queue.outcome(id_)
    assert outcome is not None and outcome.kind is OutcomeKind.CANCELLED
    assert queue.depth(APP) == Depth(0, 0)


async def test_cancel_and_complete_at_once_leave_one_outcome(queue: Queue, clock: ManualClock) -> None:
    for _ in range(10):
        id_ = (await running(queue, clock)).request.id
        cancelled, completed = await asyncio.gather(queue.cancel(id_), queue.complete(id_, 1, ok()))
        outcome = await queue.outcome(id_)
        assert outcome is not None
        assert (cancelled.was is State.RUNNING) == (outcome.kind is OutcomeKind.CANCELLED)
        assert (completed.verdict == "applied") == (outcome.kind is OutcomeKind.OK)


async def test_a_webhook_is_owed_with_the_outcome(engine: Engine, clock: ManualClock) -> None:
    queue = engine.queue
    id_ = (await running(queue, clock, webhook="http://hook")).request.id
    assert await engine.owed() == []
    await queue.complete(id_, 1, ok())
    await queue.complete(id_, 1, ok())
    assert await engine.owed() == [(id_, id_, "http://hook", "completed", 3, "owed")]


async def test_a_webhook_is_owed_for_every_end(engine: Engine, clock: ManualClock) -> None:
    queue = engine.queue
    cancelled = await submitted(queue, clock, webhook="http://hook")
    await queue.cancel(cancelled.id)
    late = await submitted(queue, clock, webhook="http://hook", start_timeout=1.0)
    clock.advance(2)
    await queue.sweep()
    lazy = new(clock, webhook="http://hook")
    queue.submit(lazy, slot="r1", lazy=True)
    await queue.complete(lazy.id, 1, ok())
    assert [row[0] for row in await engine.owed()] == [cancelled.id, late.id, lazy.id]


async def test_further_webhook_events_where_asked(engine: Engine, clock: ManualClock) -> None:
    queue = engine.queue
    events = ("started", "progress", "log")
    id_ = (await running(queue, clock, webhook="http://hook", webhook_events=events)).request.id
    await queue.append(id_, 1, [Log(1.0, "INFO", "a"), Progress(1.0, 1)])
    await queue.complete(id_, 1, ok())
    assert [row[3:5] for row in await engine.owed()] == [("started", 2), ("progress", 4), ("log", 3), ("completed", 5)]


async def test_a_chunk_that_is_sent_again_is_in_the_log_once(queue: Queue, clock: ManualClock) -> None:
    id_ = (await running(queue, clock)).request.id
    await queue.append(id_, 1, [Chunk(1.0, 1, b"1"), Chunk(1.0, 2, b"2")])
    await queue.append(id_, 1, [Log(1.0, "INFO", "between")])
    assert await queue.append(id_, 1, [Chunk(1.0, 2, b"2"), Chunk(1.0, 3, b"3")])
    assert await queue.append(id_, 1, [Chunk(1.0, 3, b"3")])
    found = [e.entry for e in await queue.events(id_)]
    assert [entry.n for entry in found if isinstance(entry, Chunk)] == [1, 2, 3]
