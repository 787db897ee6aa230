"""wait and watch: told by the commit, never by a poll."""

from __future__ import annotations

import asyncio

import pytest

from pondage.clock import ManualClock
from pondage.queue.interface import Queue
from pondage.wire.events import Log

from .conftest import Engine, new, ok, running, submitted

pytestmark = pytest.mark.anyio


async def test_many_wait_for_one_outcome(queue: Queue, clock: ManualClock) -> None:
    claim = await running(queue, clock)
    waiters = [asyncio.ensure_future(queue.wait(claim.request.id, None)) for _ in range(20)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await queue.complete(claim.request.id, 1, ok())
    assert await asyncio.gather(*waiters[1:]) == [ok()] * 19
    assert await queue.wait(claim.request.id, 0) == ok()


async def test_a_wait_ends_without_an_outcome(queue: Queue, clock: ManualClock) -> None:
    request = await submitted(queue, clock)
    assert await queue.wait(request.id, 0.001) is None
    assert await queue.wait("nobody", None) is None


async def test_a_wait_sees_a_submit_under_way(queue: Queue, clock: ManualClock) -> None:
    request = new(clock)
    queue.submit(request)
    waiter = asyncio.ensure_future(queue.wait(request.id, None))
    await asyncio.sleep(0)
    await queue.claim(request.app, ["r1"])
    await queue.complete(request.id, 1, ok())
    assert await waiter == ok()


async def test_a_wait_hears_of_a_cancel(queue: Queue, clock: ManualClock) -> None:
    request = await submitted(queue, clock)
    waiter = asyncio.ensure_future(queue.wait(request.id, None))
    await asyncio.sleep(0)
    await queue.cancel(request.id)
    outcome = await waiter
    assert outcome is not None and outcome.status == 499


async def test_a_watch_hears_every_step(queue: Queue, clock: ManualClock) -> None:
    request = await submitted(queue, clock)
    seen = 0
    kinds: list[str] = []

    async def follow() -> None:
        nonlocal seen
        async with queue.watch(request.id) as watch:
            while "completed" not in kinds:
                for event in await queue.events(request.id, after=seen):
                    seen = event.n
                    kinds.append(event.kind)
                if "completed" not in kinds:
                    assert await watch.changed(30)

    follower = asyncio.ensure_future(follow())
    await queue.claim(request.app, ["r1"])
    await queue.append(request.id, 1, [Log(1.0, "INFO", "hello")])
    await queue.complete(request.id, 1, ok())
    await follower
    assert kinds == ["queued", "started", "log", "completed"]


async def test_a_watch_remembers_what_came_between(queue: Queue, clock: ManualClock) -> None:
    request = await submitted(queue, clock)
    async with queue.watch(request.id) as watch:
        assert not await watch.changed(0.001)
        await queue.cancel(request.id)
        assert await watch.changed(30)
        assert not await watch.changed(0.001)


async def test_close_lets_everybody_go(engine: Engine, clock: ManualClock) -> None:
    request = await submitted(engine.queue, clock)
    waiter = asyncio.ensure_future(engine.queue.wait(request.id, None))
    async with engine.queue.watch(request.id) as watch:
        watching = asyncio.ensure_future(watch.changed(60))
        assert await engine.queue.wait(request.id, 0.001) is None
        await engine.close()
        assert await waiter is None
        await watching
