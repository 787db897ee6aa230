"""What two gateways on one queue owe one another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from tests.conformance.conftest import new, ok, running
from tests.conformance.many.conftest import TwoSeats

from pondage.queue.news import Listener
from pondage.settings import Settings
from pondage.webhooks.interface import Answer
from pondage.webhooks.service import Webhooks
from pondage.wire.events import Chunk
from pondage.wire.states import OutcomeKind, State

pytestmark = pytest.mark.anyio

PATIENCE = 20.0


class Hears(Listener):
    """Which requests have ended."""

    def __init__(self) -> None:
        self.ids: asyncio.Queue[str] = asyncio.Queue()

    def ended(self, request_id: str) -> None:
        self.ids.put_nowait(request_id)


async def test_a_start_leaves_alone_what_another_runs(seats: TwoSeats) -> None:
    claim = await running(seats.a.queue, seats.clock)
    assert await seats.b.queue.orphans() == []
    assert (await seats.a.queue.complete(claim.request.id, 1, ok())).verdict == "applied"


async def test_one_waits_for_what_the_other_completes(seats: TwoSeats) -> None:
    claim = await running(seats.a.queue, seats.clock)
    waiting = asyncio.ensure_future(seats.b.queue.wait(claim.request.id, PATIENCE))
    await asyncio.sleep(0)
    await seats.a.queue.complete(claim.request.id, 1, ok())
    assert await waiting == ok()


async def test_who_runs_it_hears_of_a_cancel_elsewhere(seats: TwoSeats) -> None:
    heard = Hears()
    seats.a.news.listen(heard)
    claim = await running(seats.a.queue, seats.clock)
    assert (await seats.b.queue.cancel(claim.request.id)).was is State.RUNNING
    assert await asyncio.wait_for(heard.ids.get(), PATIENCE) == claim.request.id
    outcome = await seats.a.queue.outcome(claim.request.id)
    assert outcome is not None and outcome.kind is OutcomeKind.CANCELLED


async def test_chunks_are_read_at_the_other(seats: TwoSeats) -> None:
    claim = await running(seats.a.queue, seats.clock, mode="stream")
    async with seats.b.queue.watch(claim.request.id) as watch:
        assert await seats.a.queue.append(claim.request.id, 1, [Chunk(0.0, 1, b'"one"')])
        assert await watch.changed(PATIENCE)
        (event,) = await seats.b.queue.chunks(claim.request.id, after=(0, 0))
    assert isinstance(event.entry, Chunk) and event.entry.data == b'"one"'


class Receiver:
    """Takes every delivery, and remembers it."""

    def __init__(self) -> None:
        self.posts: list[str] = []
        self.came = asyncio.Event()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, keep: int) -> Answer:
        self.posts.append(headers["webhook-id"])
        self.came.set()
        await asyncio.sleep(0)
        return Answer(200, {}, b"")

    async def close(self) -> None:
        return None


async def test_a_delivery_has_one_sender(seats: TwoSeats) -> None:
    receiver, settings = Receiver(), Settings()
    senders = []
    for gateway in (seats.a, seats.b):
        webhooks = await Webhooks.open(
            settings, gateway.database, gateway.queue, gateway.news, seats.clock,
            listening_on_loopback=True, poster=receiver,
        )  # fmt: skip
        webhooks.check("https://receiver.example/hook", None)
        senders.append(asyncio.create_task(webhooks.run()))
    request = new(seats.clock, webhook="https://receiver.example/hook")
    await seats.a.queue.submit(request).receipt
    await seats.b.queue.claim(request.app, ["r1"])
    await seats.b.queue.complete(request.id, 1, ok())
    await asyncio.wait_for(receiver.came.wait(), PATIENCE)
    for sender in senders:
        sender.cancel()
    await asyncio.gather(*senders, return_exceptions=True)
    assert receiver.posts == [request.id]
