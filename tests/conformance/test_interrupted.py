"""Runs that the end of a gateway cuts off: one repeat of each finds it."""

from __future__ import annotations

import asyncio

import pytest

from pondage.clock import ManualClock
from pondage.queue.interface import NewRequest
from pondage.wire.events import Outcome
from pondage.wire.states import State

from .conftest import Engine, new, ok

pytestmark = pytest.mark.anyio

WINDOW = 60.0


def run(clock: ManualClock, **more: object) -> NewRequest:
    return new(clock, **{"bound": "cancel", "input": b'{"x": 1, "y": 2}', **more})


async def begun(engine: Engine, request: NewRequest) -> None:
    await engine.queue.submit(request).receipt
    assert await engine.queue.claim(request.app, ["r1"])
    while (view := await engine.queue.get(request.id)) is None or view.state is State.QUEUED:
        await asyncio.sleep(0.001)  # a claim is told of before it is on the disk


async def test_a_run_that_was_begun_is_found_once(engine: Engine, clock: ManualClock) -> None:
    cut = run(clock, caller="k1")
    await begun(engine, cut)
    engine = await engine.crash()
    try:
        queue = engine.queue
        assert not queue.resumable
        assert await queue.interrupted(WINDOW) == []
        assert queue.resumable
        for unlike in (
            run(clock, caller="k2"),
            run(clock, caller="k1", subject="u"),
            run(clock, caller="k1", path="/dev"),
            run(clock, caller="k1", input=b'{"x": 1}'),
        ):
            assert await queue.resume(unlike) is None
        assert await queue.resume(run(clock, caller="k1", input=b'{"y":2,"x":1}')) == cut.id
        assert await queue.resume(run(clock, caller="k1")) is None, "one repeat, not two"
    finally:
        await engine.close()


async def test_it_is_found_after_its_end_and_over_a_second_crash(engine: Engine, clock: ManualClock) -> None:
    cut = run(clock)
    await begun(engine, cut)
    engine = await engine.crash()
    await engine.queue.interrupted(WINDOW)
    await engine.queue.orphans()
    await engine.queue.complete(cut.id, 1, ok())
    engine = await engine.crash()
    try:
        assert await engine.queue.interrupted(WINDOW) == []
        assert await engine.queue.resume(run(clock)) == cut.id
        outcome = await engine.queue.wait(cut.id, None)
        assert isinstance(outcome, Outcome)
    finally:
        await engine.close()


async def test_nobody_finds_it_after_the_window(engine: Engine, clock: ManualClock) -> None:
    await begun(engine, run(clock))
    engine = await engine.crash()
    try:
        await engine.queue.interrupted(WINDOW)
        clock.advance(WINDOW + 1)
        assert not engine.queue.resumable
        assert await engine.queue.resume(run(clock)) is None
    finally:
        await engine.close()


async def test_what_was_not_begun_is_named(engine: Engine, clock: ManualClock) -> None:
    waits, kept, named, back = run(clock), run(clock, bound="keep", path="/k"), new(clock), run(clock, path="/b")
    await begun(engine, back)
    await engine.queue.retry(back.id, 1, reason="the server was stopped")
    for request in (waits, kept, named):
        await engine.queue.submit(request).receipt
    engine = await engine.crash()
    try:
        queue = engine.queue
        assert await queue.interrupted(WINDOW) == [waits.id]
        assert await queue.resume(run(clock)) is None
        assert await queue.resume(run(clock, path="/k")) == kept.id
        assert await queue.resume(run(clock, path="/b")) == back.id
        views = [await queue.get(request.id) for request in (waits, kept, named, back)]
        assert {view.state for view in views if view} == {State.QUEUED}, "ending them is the caller's"
    finally:
        await engine.close()
