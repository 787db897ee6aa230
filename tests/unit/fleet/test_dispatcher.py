"""The accounts of who runs what, where things happen in an order that nobody wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from pondage.clock import ManualClock
from pondage.database.sqlite import SqliteDatabase
from pondage.fleet.channels import Channels
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.runners import Runner, RunnerPhase
from pondage.queue.interface import NewRequest
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.wire.events import Chunk, Outcome
from pondage.wire.frames import AppInfo, Cancel, Entries, Execute, Finished, Frame
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind, State

pytestmark = pytest.mark.anyio
APP = "acme/echo"
OK = Outcome(OutcomeKind.OK, 200, b"{}")


class Line:
    """A link that only remembers."""

    def __init__(self) -> None:
        self.sent: list[Frame] = []

    def send_later(self, frame: Frame) -> None:
        self.send(frame)

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)

    async def drained(self) -> None: ...

    def close(self) -> None: ...

    @property
    def executed(self) -> list[str]:
        return [frame.request_id for frame in self.sent if isinstance(frame, Execute)]


class House(NamedTuple):
    queue: SqliteQueue
    dispatcher: Dispatcher

    def runner(self, name: str = "a", slots: int = 4) -> tuple[Runner, Line]:
        made = Runner(name, APP, pid=1, started_at=0.0, heard_at=0.0)
        made.phase = RunnerPhase.READY
        made.declares(AppInfo(APP, [], max_multiplexing=slots))
        made.link = line = Line()
        self.dispatcher.accounts.enrol(made)
        return made, line

    async def until(self, state: State, request_id: str) -> None:
        async with self.queue.watch(request_id) as watch:
            while (view := await self.queue.get(request_id)) is None or view.state is not state:
                await watch.changed(0.2)


def new(**more: object) -> NewRequest:
    return NewRequest(new_request_id(), APP, "/", "call", b"{}", 0.0, **more)  # type: ignore[arg-type]  # of the struct


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = ManualClock()
    database = await SqliteDatabase.open(tmp_path, clock)
    news = News()
    queue = await SqliteQueue.open(database, clock, Settings(), news)
    dispatcher = Dispatcher(queue, news, Channels(1), asyncio.Event(), clock, Settings())
    yield House(queue, dispatcher)
    await dispatcher.stop()
    await queue.close()
    await database.close()


async def test_a_runner_that_dies_before_its_offer_is_answered_keeps_nothing(house: House) -> None:
    runner, line = house.runner()
    request = new(idempotency_key="k", fingerprint=b"f")
    ticket = house.dispatcher.submit(request)
    house.dispatcher.runner_lost(runner, "killed")
    await ticket.receipt
    await house.until(State.QUEUED, request.id)
    assert not runner.running and runner.slots.offered == 0 and line.executed == []
    successor, other = house.runner("b")
    house.dispatcher.ready(successor)
    await house.until(State.RUNNING, request.id)
    assert other.executed == [request.id]


async def test_a_suspect_has_no_neighbours_that_were_claimed_with_it(house: House) -> None:
    requests = [new() for _ in range(3)]
    for request in requests:
        await house.dispatcher.submit(request).receipt
    (claim,) = await house.queue.claim(APP, ["x"])
    await house.queue.retry(claim.request.id, claim.attempt, reason="a suspect", alone=True)
    runner, line = house.runner()
    house.dispatcher.ready(runner)
    for n in range(3):
        while len(line.executed) <= n:
            await asyncio.sleep(0)
        assert len(runner.running) == 1 and runner.free == 0
        ((request_id, running),) = runner.running.items()
        house.dispatcher.finished(runner, Finished(request_id, running.claim.attempt, OK))
    assert set(line.executed) == {request.id for request in requests}
    assert runner.free == 4


async def test_nothing_that_waits_begins_in_a_runner_that_leaves(house: House) -> None:
    suspect, other = new(), new()
    await house.dispatcher.submit(suspect).receipt
    (claim,) = await house.queue.claim(APP, ["x"])
    await house.queue.retry(suspect.id, claim.attempt, reason="a suspect", alone=True)
    await house.dispatcher.submit(other).receipt
    runner, line = house.runner()
    house.dispatcher.ready(runner)
    while not runner.slots.waiting:
        await asyncio.sleep(0)
    runner.phase = RunnerPhase.DRAINING
    house.dispatcher.finished(runner, Finished(suspect.id, 2, OK))
    await house.until(State.QUEUED, other.id)
    assert line.executed == [suspect.id] and not runner.slots.waiting


async def test_a_stream_that_is_tried_again_leaves_nothing(house: House) -> None:
    runner, _ = house.runner()
    request = new()
    await house.dispatcher.submit(request).receipt
    house.dispatcher.entries(runner, Entries(request.id, 1, [Chunk(0.0, 1, b"1")]))
    house.dispatcher.finished(
        runner, Finished(request.id, 1, Outcome.failure(500, "again", "internal_error"), retry=True)
    )
    while (request.id, 2) not in {(r, a.claim.attempt) for r, a in runner.running.items()}:
        await asyncio.sleep(0)
    house.dispatcher.finished(runner, Finished(request.id, 2, OK))
    await house.until(State.DONE, request.id)
    assert not house.dispatcher.chunks._logs


async def test_a_reader_that_fell_behind_leaves_nothing(house: House) -> None:
    runner, _ = house.runner()
    request = new()
    ticket = house.dispatcher.submit(request)
    await ticket.receipt
    stop = house.dispatcher.chunks.listen(request.id, lambda attempt, chunk: False)
    for n in (1, 2):
        house.dispatcher.entries(runner, Entries(request.id, 1, [Chunk(0.0, n, b"1")]))
        while len(await house.queue.chunks(request.id, after=(0, 0), limit=9)) < n:
            await asyncio.sleep(0)
    stop()
    assert not house.dispatcher.chunks._sinks
    house.dispatcher.finished(runner, Finished(request.id, 1, OK))
    await ticket.outcome()
    assert not house.dispatcher.chunks._logs and house.dispatcher.accounts.holder(request.id) is None


async def test_a_claim_that_is_not_committed_is_stopped_and_leaves_no_trace(house: House) -> None:
    request = new()
    await house.dispatcher.submit(request).receipt
    first, line = house.runner("a", slots=1)
    heard: list[Chunk] = []
    house.dispatcher.chunks.listen(request.id, lambda attempt, chunk: heard.append(chunk) is None)
    connection = house.queue._database._writer._connection
    connection.set_commit_hook(lambda: True)  # every commit fails
    house.dispatcher.ready(first)
    while not any(isinstance(frame, Cancel) for frame in line.sent):
        await asyncio.sleep(0)
    assert line.executed == [request.id]
    assert Cancel(request.id, 1, "its start could not be written") in line.sent
    house.dispatcher.entries(first, Entries(request.id, 1, [Chunk(0.0, 1, b'"lost"')]))
    connection.set_commit_hook(None)
    second, other = house.runner("b", slots=1)
    house.dispatcher.ready(second)
    await house.until(State.RUNNING, request.id)
    assert other.executed == [request.id] and second.running[request.id].claim.attempt == 2
    # The first attempt comes to its end nevertheless: its slot is free, and the second one keeps the request.
    house.dispatcher.finished(first, Finished(request.id, 1, Outcome(OutcomeKind.OK, 200, b'"lost"')))
    assert not first.running
    await house.dispatcher.cancel(request.id, "test")
    assert Cancel(request.id, 2, "test") in other.sent
    assert heard == [] and not await house.queue.chunks(request.id, after=(0, 0))


@pytest.mark.parametrize("key", ["k", None])
async def test_an_insert_that_is_not_committed_leaves_nothing_running(house: House, key: str | None) -> None:
    runner, line = house.runner("a", slots=1)
    connection = house.queue._database._writer._connection
    connection.set_commit_hook(lambda: True)  # every commit fails
    request = new(idempotency_key=key, fingerprint=b"f" if key else b"")
    ticket = house.dispatcher.submit(request)
    with pytest.raises(apsw.ConstraintError):
        await ticket.receipt
    connection.set_commit_hook(None)
    while not any(isinstance(frame, Cancel) for frame in line.sent):
        await asyncio.sleep(0)
    assert line.executed == [request.id]
    house.dispatcher.finished(runner, Finished(request.id, 1, OK))
    assert runner.free == 1
    again = new(idempotency_key=key, fingerprint=b"f" if key else b"")
    await house.dispatcher.submit(again).receipt
    while again.id not in line.executed:
        await asyncio.sleep(0)
