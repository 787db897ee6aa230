"""Requests that came with a page's token: found by whom it was for, and by the files that they name."""

from __future__ import annotations

import pytest

from pondage.clock import ManualClock
from pondage.queue.interface import Filter, Queue

from .conftest import ok, running, submitted

pytestmark = pytest.mark.anyio


async def listed(queue: Queue, **fields: object) -> list[str]:
    return [view.id for view in (await queue.page(Filter(**fields))).items]  # type: ignore[arg-type]  # of the struct


async def test_a_request_keeps_whom_it_was_for(queue: Queue, clock: ManualClock) -> None:
    for subject in (None, "", "ann"):
        claim = await running(queue, clock, caller="k", subject=subject)
        for _ in range(2):
            view, brought = await queue.get(claim.request.id), await queue.input(claim.request.id)
            assert view is not None and brought is not None
            assert view.subject == brought.subject == claim.request.subject == subject
            await queue.complete(claim.request.id, claim.attempt, ok())


async def test_lists_of_one_subject_hold_its_requests_of_that_key(queue: Queue, clock: ManualClock) -> None:
    ended = await running(queue, clock, caller="k", subject="ann")
    await queue.complete(ended.request.id, ended.attempt, ok())
    waiting = await submitted(queue, clock, caller="k", subject="ann")
    for other in ({"caller": "k", "subject": "bob"}, {"caller": "j", "subject": "ann"}, {"caller": "k"}):
        await submitted(queue, clock, **other)
    assert await listed(queue, caller="k", subject="ann") == [waiting.id, ended.request.id]
    assert len(await listed(queue, caller="k")) == 4
    clock.advance(8 * 86_400)
    await queue.sweep()
    assert await listed(queue, caller="k", subject="ann") == [waiting.id]


async def test_lists_of_some_apps(queue: Queue, clock: ManualClock) -> None:
    one = await submitted(queue, clock)
    two = await submitted(queue, clock, app="acme/other")
    await submitted(queue, clock, app="acme/third")
    assert await listed(queue, apps=("acme/flux", "acme/other")) == [two.id, one.id]
    assert await listed(queue, apps=("acme/flux",), app="acme/third") == []
    assert await listed(queue, apps=()) == []


async def test_a_file_is_named_by_requests_of_tokens(queue: Queue, clock: ManualClock) -> None:
    file_id = "f" * 32
    await submitted(queue, clock, caller="k", files=(file_id,))
    first = await running(queue, clock, app="acme/other", caller="k", subject="", files=(file_id, "e" * 32))
    await queue.complete(first.request.id, first.attempt, ok())
    second = await submitted(queue, clock, caller="k", subject="ann", files=(file_id,))
    assert [view.id for view in await queue.naming(file_id, "k")] == [second.id, first.request.id]
    assert await queue.naming(file_id, "j") == await queue.naming("d" * 32, "k") == []
