"""Temporary targets: what a laptop is owed, also while it is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pondage.clock import ManualClock
from pondage.errors import NotFound
from pondage.webhooks.interface import Tried
from pondage.webhooks.schedule import reason_for

from .conftest import House, Receiver, opened

pytestmark = pytest.mark.anyio


def tried(house: House, status: int | None, reason: str = "") -> Tried:
    return Tried(house.clock.wall(), 0.0, status, reason or reason_for(status or 0))


async def test_a_listener_hears_of_every_request_and_of_its_app_only(house: House, receiver: Receiver) -> None:
    every, one = await house.webhooks.listen("", "", "me"), await house.webhooks.listen("local/a", "", "me")
    waiting = asyncio.create_task(house.webhooks.listeners.fetch(every, "me", 10.0))
    mine, other = await house.submit(None), await house.submit(None, app="local/b")
    await house.finish(mine)
    assert [owed.request_id for owed in await waiting] == [mine]
    await house.finish(other)
    assert [owed.request_id for owed in await house.webhooks.listeners.fetch(every, "me", 10.0)] == [other]
    assert [owed.request_id for owed in await house.webhooks.listeners.fetch(one, "me", 10.0)] == [mine]
    assert not await house.webhooks.listeners.fetch(one, "me", 0.0)
    assert not receiver.posts


async def test_what_is_reported_is_logged_and_tried_again(house: House) -> None:
    listener = await house.webhooks.listen("", "", "me")
    request = await house.submit(None)
    await house.finish(request)
    [owed] = await house.webhooks.listeners.fetch(listener, "me", 10.0)
    then = await house.webhooks.listener_tried(listener, "me", owed.id, tried(house, None, "no answer in 15 s"))
    assert then.state == "owed" and then.due_at - house.clock.wall() == 2.0
    assert not await house.webhooks.listeners.fetch(listener, "me", 0.0)
    house.advance(2.0)
    [again] = await house.webhooks.listeners.fetch(listener, "me", 10.0)
    assert again.id == owed.id and again.tries == 1
    assert (await house.webhooks.listener_tried(listener, "me", owed.id, tried(house, 204))).state == "done"
    delivery, tries = await house.state(owed.id)
    assert delivery.state == "done" and [t.reason for t in tries] == ["no answer in 15 s", ""]
    with pytest.raises(NotFound):
        await house.webhooks.listener_tried(listener, "me", owed.id, tried(house, 204))


async def test_deliveries_are_held_while_it_is_away_and_over_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    receiver = Receiver(clock)
    async with opened(tmp_path, clock, receiver) as house:
        listener = await house.webhooks.listen("", "", "me")
        first = await house.submit(None)
        await house.finish(first)
        lent = await house.webhooks.listeners.fetch(listener, "me", 10.0)
        assert len(lent) == 1
    async with opened(tmp_path, clock, receiver) as house:
        second = await house.submit(None)
        await house.finish(second)
        clock.advance(60)
        held = await house.webhooks.listeners.fetch(listener, "me", 10.0)
        assert {owed.request_id for owed in held} == {first, second}


async def test_a_listener_that_went_away_is_forgotten_with_what_it_was_owed(house: House) -> None:
    listener, other = await house.webhooks.listen("", "", "me"), await house.webhooks.listen("", "", "me")
    await house.finish(await house.submit(None))
    await house.webhooks.listeners.end(listener, "me")
    assert len(await house.webhooks.outbox.page(state="owed")) == 1
    with pytest.raises(NotFound):
        await house.webhooks.listeners.fetch(listener, "me", 0.0)
    house.advance(3601)
    async with asyncio.timeout(10):
        while await house.webhooks.outbox.page(state="owed"):
            await asyncio.sleep(0.005)
    with pytest.raises(NotFound):
        await house.webhooks.listeners.fetch(other, "me", 0.0)


async def test_a_key_hears_of_its_own_requests_only(house: House) -> None:
    listener = await house.webhooks.listen("", "someone", "me")
    await house.finish(await house.submit(None))
    assert not await house.webhooks.listeners.fetch(listener, "me", 0.0)


async def test_a_listener_is_its_keys_alone(house: House) -> None:
    listener = await house.webhooks.listen("", "", "me")
    await house.finish(await house.submit(None))
    [owed] = await house.webhooks.listeners.fetch(listener, "me", 10.0)
    with pytest.raises(NotFound):
        await house.webhooks.listeners.fetch(listener, "another", 0.0)
    with pytest.raises(NotFound):
        await house.webhooks.listener_tried(listener, "another", owed.id, tried(house, 200))
    with pytest.raises(NotFound):
        await house.webhooks.listeners.end(listener, "another")
    assert (await house.webhooks.listener_tried(listener, "me", owed.id, tried(house, 200))).state == "done"
