"""recover, sweep, lists, apps, files, and what a crash leaves."""

from __future__ import annotations

import asyncio

import pytest

from pondage.clock import ManualClock
from pondage.errors import BadRequest
from pondage.queue.interface import Depth, Filter, KnownApp, Queue
from pondage.wire.events import Chunk, Log, Outcome
from pondage.wire.frames import AppInfo, EndpointInfo
from pondage.wire.states import OutcomeKind, State

from .conftest import Engine, new, ok, running, submitted

pytestmark = pytest.mark.anyio

APP = "acme/flux"


async def test_nothing_acknowledged_is_lost_in_a_crash(engine: Engine, clock: ManualClock) -> None:
    queue = engine.queue
    done = (await running(queue, clock)).request
    await queue.complete(done.id, 1, ok())
    broken = (await running(queue, clock)).request
    await queue.append(broken.id, 1, [Log(1.0, "INFO", "so far")])
    waiting = [await submitted(queue, clock) for _ in range(3)]
    unacknowledged = queue.submit(new(clock), slot="r9", lazy=True).request.id
    other = await engine.crash()
    try:
        survived = int(await other.queue.get(unacknowledged) is not None)  # it may have, or not: nobody was told
        recovered = await other.queue.orphans()
        assert [(c.request.id, c.attempt, c.runner) for c in recovered] == [(broken.id, 1, "r1")]
        assert recovered[0].request == broken
        assert other.queue.depth(APP) == Depth(3 + survived, 1)
        assert await other.queue.outcome(done.id) == ok()
        assert [(await other.queue.get(r.id)).position for r in waiting] == [0, 1, 2]  # type: ignore[union-attr]
        assert await other.queue.retry(broken.id, 1, reason="everything died")
        claimed = [c.request.id for c in await other.queue.claim(APP, ["x"] * 9)]
        assert claimed == [broken.id, *(r.id for r in waiting), *[unacknowledged] * survived]
        assert await other.queue.append(broken.id, 2, [])
        kinds = [e.kind for e in await other.queue.events(broken.id)]
        assert kinds == ["queued", "started", "log", "retried", "started"]
    finally:
        await other.close()


async def test_a_runner_hands_in_after_a_crash(engine: Engine, clock: ManualClock) -> None:
    claim = await running(engine.queue, clock)
    other = await engine.crash()
    try:
        assert (await other.queue.complete(claim.request.id, 1, ok())).verdict == "applied"
        assert other.queue.depth(APP) == Depth(0, 0)
        assert await other.queue.orphans() == []
    finally:
        await other.close()


async def test_order_and_places_survive_a_crash(engine: Engine, clock: ManualClock) -> None:
    queue = engine.queue
    requests = [await submitted(queue, clock, priority=n % 2, caller=f"k{n % 3}") for n in range(12)]
    await queue.claim(APP, ["a", "b"])
    await queue.cancel(requests[6].id)

    async def places(queue: Queue) -> dict[str, int | None]:
        return {r.id: (await queue.get(r.id)).position for r in requests}  # type: ignore[union-attr]

    before = await places(queue)
    other = await engine.crash()
    try:
        assert await places(other.queue) == before
        order = [c.request.id for c in await other.queue.claim(APP, ["x"] * 20)]
        assert sorted(order) == sorted(id_ for id_, place in before.items() if place is not None)
        # Three callers take turns; the place is an estimate among the three of one turn.
        assert all(abs((before[id_] or 0) - n) <= 2 for n, id_ in enumerate(order))
    finally:
        await other.close()


async def test_a_start_limit_ends_with_504(queue: Queue, clock: ManualClock) -> None:
    late = await submitted(queue, clock, start_timeout=5.0)
    patient = await submitted(queue, clock)
    began = await running(queue, clock, start_timeout=5.0, app="acme/other")
    clock.advance(4)
    assert (await queue.sweep()).expired == []
    waiter = asyncio.ensure_future(queue.wait(late.id, None))
    await asyncio.sleep(0)
    clock.advance(2)
    assert (await queue.sweep()).expired == [late.id]
    outcome = await waiter
    assert outcome is not None and outcome.kind is OutcomeKind.ERROR
    assert (outcome.status, outcome.error_type) == (504, "request_timeout")
    assert outcome.headers["x-fal-request-timeout-type"] == "user"
    assert queue.depth(APP) == Depth(1, 0)
    view = await queue.get(patient.id)
    assert view is not None and view.position == 0
    assert (await queue.get(began.request.id)).state is State.RUNNING  # type: ignore[union-attr]
    assert (await queue.sweep()).expired == []


@pytest.mark.settings(retention=100.0)
async def test_retention_by_age(queue: Queue, clock: ManualClock) -> None:
    old = (await running(queue, clock)).request
    await queue.append(old.id, 1, [Log(1.0, "INFO", "x")])
    await queue.complete(old.id, 1, ok())
    waiting = await submitted(queue, clock)
    clock.advance(101)
    young = (await running(queue, clock, app="acme/other")).request
    await queue.complete(young.id, 1, ok())
    assert (await queue.sweep()).dropped == 1
    assert await queue.get(old.id) is None
    assert await queue.events(old.id) == []
    assert await queue.get(young.id) is not None
    assert await queue.get(waiting.id) is not None


async def test_a_clock_that_jumps_ahead_drops_nothing(engine: Engine, clock: ManualClock) -> None:
    kept = (await running(engine.queue, clock)).request
    await engine.queue.complete(kept.id, 1, ok())
    clock.jump(8 * 86_400.0)
    assert (await engine.queue.sweep()).dropped == 0
    # Nor does a start whose clock is wrong: as far as it knows hardly any time has passed.
    other = await engine.crash()
    try:
        assert (await other.queue.sweep()).dropped == 0
        assert await other.queue.outcome(kept.id) == ok()
        clock.jump(-8 * 86_400.0)
        clock.advance(7 * 86_400.0 + 1)
        assert (await other.queue.sweep()).dropped == 1, "it goes once it is really old"
    finally:
        await other.close()


@pytest.mark.settings(retention_bytes=2500)
async def test_retention_by_bytes_drops_the_oldest(queue: Queue, clock: ManualClock) -> None:
    ids = []
    for _ in range(4):
        clock.advance(1)
        ids.append((await running(queue, clock, input=bytes(500))).request.id)
        await queue.complete(ids[-1], 1, ok(bytes(500)))
    assert (await queue.sweep()).dropped == 2
    assert [id_ for id_ in ids if await queue.get(id_) is not None] == ids[2:]
    assert (await queue.sweep()).dropped == 0


@pytest.mark.settings(retention=100.0)
async def test_what_a_webhook_still_tells_is_kept(queue: Queue, clock: ManualClock) -> None:
    id_ = (await running(queue, clock, webhook="http://hook")).request.id
    await queue.complete(id_, 1, ok())
    clock.advance(1000)
    assert (await queue.sweep()).dropped == 0
    assert await queue.get(id_) is not None


async def test_what_is_not_to_be_kept_is_dropped_once_read(queue: Queue, clock: ManualClock) -> None:
    id_ = (await running(queue, clock, store_io=False, input=b'"secret"')).request.id
    await queue.append(id_, 1, [Chunk(1.0, 1, b'"secret"')])
    await queue.complete(id_, 1, ok(b'"secret"'))
    clock.advance(100)
    await queue.sweep()
    assert await queue.wait(id_, None) == ok(b'"secret"')
    await queue.sweep()
    assert await queue.outcome(id_) == ok(b'"secret"'), "a caller whose answer was lost may ask again"
    clock.advance(100)
    await queue.sweep()
    assert b"secret" not in repr(await queue.events(id_)).encode()
    outcome, request = await queue.outcome(id_), await queue.input(id_)
    assert outcome is not None and b"secret" not in outcome.body and outcome.status == 410
    assert request is not None and request.input == b""


async def test_lists_are_newest_first_and_paged(queue: Queue, clock: ManualClock) -> None:
    ids = []
    for n in range(7):
        clock.advance(1)
        ids.append((await submitted(queue, clock, app="acme/a" if n % 2 else "acme/b", caller=f"k{n}")).id)
    claims = await queue.claim("acme/a", ["r"])
    await queue.complete(claims[0].request.id, 1, ok())
    seen: list[str] = []
    cursor = None
    while True:
        page = await queue.page(Filter(limit=3, cursor=cursor))
        seen += [view.id for view in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids[::-1]

    async def listed(**fields: object) -> list[str]:
        return [view.id for view in (await queue.page(Filter(**fields))).items]  # type: ignore[arg-type]

    assert await listed(app="acme/a") == [ids[5], ids[3], ids[1]]
    assert await listed(state=State.DONE) == [ids[1]]
    assert await listed(outcome=OutcomeKind.OK) == [ids[1]]
    assert await listed(outcome=OutcomeKind.ERROR) == []
    assert await listed(state=State.QUEUED, app="acme/a") == [ids[5], ids[3]]
    assert await listed(caller="k4") == [ids[4]]
    assert await listed(id_tail=ids[2][-12:]) == [ids[2]]
    assert await listed(error_type="nothing_of_the_kind") == []
    assert await listed(slower=10**6) == []
    assert await listed(since=clock.wall() - 1) == [ids[6], ids[5]]
    assert await listed(until=clock.wall() - 5) == [ids[0]]
    with pytest.raises(BadRequest):
        await listed(cursor="'; drop table")


async def test_failures_and_slow_ones_are_found(queue: Queue, clock: ManualClock) -> None:
    ids = []
    for n in range(6):
        request = await submitted(queue, clock, app="acme/a")
        (claim,) = await queue.claim("acme/a", ["r"])
        clock.advance(n)
        kind = Outcome.failure(500, "no", "broken" if n % 2 else "lost") if n > 1 else ok()
        await queue.complete(claim.request.id, claim.attempt, kind)
        ids.append(request.id)

    async def listed(**fields: object) -> list[str]:
        return [view.id for view in (await queue.page(Filter(**fields))).items]  # type: ignore[arg-type]

    waiting = await submitted(queue, clock, app="acme/a")
    assert await listed(error_type="broken") == [ids[5], ids[3]]
    assert await listed(error_type="lost", outcome=OutcomeKind.ERROR) == [ids[4], ids[2]]
    assert await listed(error_type="lost", outcome=OutcomeKind.OK) == []
    assert await listed(slower=3.5) == [ids[5], ids[4]]
    assert await listed(outcome=OutcomeKind.ERROR, limit=1) == [ids[5]]
    assert waiting.id in await listed()


@pytest.mark.parametrize("back", [0, 1800])
async def test_a_time_range_holds_also_where_the_clock_was_set_back(
    queue: Queue, clock: ManualClock, back: float
) -> None:
    times: dict[str, float] = {}
    for n in range(40):
        clock.advance(600)
        if n == 20:
            clock.advance(-back)
        request = await submitted(queue, clock, app="acme/a")
        times[request.id] = clock.wall()
        (claim,) = await queue.claim("acme/a", ["r"])
        await queue.complete(claim.request.id, claim.attempt, ok())
    for moment in sorted(times.values())[::7]:
        for fields in ({"since": moment}, {"until": moment}, {"since": moment, "until": moment + 3000}):
            found = {view.id for view in (await queue.page(Filter(limit=100, **fields))).items}
            low, high = fields.get("since", 0), fields.get("until", 10**12)
            assert found == {name for name, at in times.items() if low <= at < high}


async def test_apps_stay_known(engine: Engine, clock: ManualClock) -> None:
    info = AppInfo("acme/flux", [EndpointInfo("/", "call", input_schema={"type": "object"})], max_multiplexing=4)
    await engine.queue.put_app(KnownApp("acme/flux", info, 1.0, 2.0))
    await engine.queue.put_app(KnownApp("acme/flux", info, 5.0, 6.0, "it does not import"))
    assert await engine.queue.apps() == [KnownApp("acme/flux", info, 1.0, 6.0, "it does not import")]


async def test_an_app_is_forgotten_once_it_has_no_work(engine: Engine, clock: ManualClock) -> None:
    queue = engine.queue
    await queue.put_app(KnownApp(APP, AppInfo(APP, []), 1.0, 2.0))
    waiting = await submitted(queue, clock)
    assert not await queue.forget_app(APP) and [app.name for app in await queue.apps()] == [APP]
    await queue.cancel(waiting.id)
    assert await queue.forget_app(APP) and await queue.apps() == []
    assert await queue.get(waiting.id) is not None, "its history stays"


async def test_files_are_referenced_while_the_request_lives(queue: Queue, clock: ManualClock) -> None:
    claim = await running(queue, clock, files=("file1111", "file2222"))
    queue.submit(new(clock, files=("file3333",)), slot="r2", lazy=True)
    assert await queue.referenced(["file1111", "file3333", "file9999"]) == {"file1111", "file3333"}
    await queue.complete(claim.request.id, 1, ok())
    assert await queue.referenced(["file1111", "file2222"]) == set()


async def test_only_what_waits_can_be_failed(engine: Engine, clock: ManualClock) -> None:
    queue, outcome = engine.queue, Outcome.failure(500, "cannot run", "runner_scheduling_failure")
    claim = await running(queue, clock)
    waiting = await submitted(queue, clock)
    assert await queue.fail(waiting.id, outcome) and await queue.outcome(waiting.id) == outcome
    assert not await queue.fail(claim.request.id, outcome), "it runs"
    assert not await queue.fail(waiting.id, outcome), "it has ended"
    assert not await queue.fail("unknown", outcome)
    view = await queue.get(claim.request.id)
    assert view is not None and view.state is State.RUNNING and queue.depth(APP) == Depth(0, 1)
