"""What only the SQLite engine can be asked: a full disk, a closed database, one row for a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pondage.clock import ManualClock
from pondage.database.interface import Cursor
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import StorageFull, Unavailable
from pondage.queue.interface import Claim, Depth, NewRequest
from pondage.queue.news import Listener, News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.wire.events import Chunk, Outcome, Retried
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind, State

pytestmark = pytest.mark.anyio

APP = "acme/flux"
LARGE = bytes(500_000)


def new(body: bytes = b"{}", **fields: Any) -> NewRequest:
    return NewRequest(new_request_id(), APP, "/", "call", body, 1.0, **fields)


def ok(body: bytes = b"{}") -> Outcome:
    return Outcome(OutcomeKind.OK, 200, body)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    made = await SqliteDatabase.open(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def news() -> News:
    return News()


@pytest.fixture
async def queue(database: SqliteDatabase, news: News) -> AsyncIterator[SqliteQueue]:
    made = await SqliteQueue.open(database, ManualClock(), Settings(), news)
    yield made
    await made.close()


def room(pages: int) -> Any:
    def operation(cursor: Cursor) -> None:
        (now,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {now + pages}").fetchall()

    return operation


async def test_a_full_disk_refuses_and_forgets(database: SqliteDatabase, queue: SqliteQueue) -> None:
    waiting = new()
    await queue.submit(waiting).receipt
    await database.write(room(20))
    with pytest.raises(StorageFull):
        await queue.submit(new(LARGE)).receipt
    with pytest.raises(StorageFull):
        await queue.submit(new(LARGE, idempotency_key="k"), slot="r1").receipt
    assert queue.depth(APP) == Depth(1, 0)
    view = await queue.get(waiting.id)
    assert view is not None and view.position == 0
    await database.write(room(100_000))
    receipt = await queue.submit(new(LARGE, idempotency_key="k")).receipt
    assert (receipt.position, receipt.replayed) == (1, False)


async def test_a_full_disk_under_a_run_is_told_to_its_waiters(database: SqliteDatabase, queue: SqliteQueue) -> None:
    await database.write(room(20))
    request = new(LARGE)
    assert queue.submit(request, slot="r1", lazy=True).claim is not None
    waiter = asyncio.ensure_future(queue.wait(request.id, None))
    await asyncio.sleep(0)
    with pytest.raises(StorageFull):
        await queue.complete(request.id, 1, ok())
    with pytest.raises(StorageFull):
        await waiter
    assert queue.depth(APP) == Depth(0, 0)


async def test_an_outcome_that_found_no_room_can_be_handed_in_again(
    database: SqliteDatabase, queue: SqliteQueue
) -> None:
    request = new()
    await queue.submit(request, slot="r1").receipt
    await database.write(room(20))
    with pytest.raises(StorageFull):
        await queue.complete(request.id, 1, ok(LARGE))
    assert queue.depth(APP) == Depth(0, 1)
    await database.write(room(100_000))
    assert (await queue.complete(request.id, 1, ok(LARGE))).verdict == "applied"
    assert await queue.outcome(request.id) == ok(LARGE)


async def test_an_attempt_whose_claim_is_not_committed_is_never_the_next_one(
    database: SqliteDatabase, queue: SqliteQueue, news: News
) -> None:
    taken_back: list[Claim] = []

    class Hears(Listener):
        def taken_back(self, claim: Claim) -> None:
            taken_back.append(claim)

    news.listen(Hears())
    request = new()
    await queue.submit(request).receipt
    writer = database._writer
    writer._connection.set_commit_hook(lambda: True)  # every commit fails
    (lost,) = await queue.claim(APP, ["r1"])
    while not taken_back:
        await asyncio.sleep(0)
    assert taken_back == [lost] and lost.attempt == 1 and queue.depth(APP) == Depth(1, 0)
    writer._connection.set_commit_hook(None)
    assert (await queue.complete(request.id, 1, ok(b'"early"'))).verdict == "stale"
    (claim,) = await queue.claim(APP, ["r2"])
    assert claim.attempt == 2
    assert not await queue.append(request.id, 1, [Chunk(0.0, 1, b'"of the lost attempt"')])
    assert (await queue.complete(request.id, 1, ok(b'"late"'))).verdict == "stale"
    assert await queue.append(request.id, 2, [Chunk(0.0, 1, b'"seen"')])
    assert (await queue.complete(request.id, 2, ok())).verdict == "applied"
    told = [(event.attempt, event.entry) for event in await queue.events(request.id)]
    assert [entry.reason for attempt, entry in told if attempt == 1 and isinstance(entry, Retried)] == [
        "its start could not be written"
    ]
    assert [entry.data for _, entry in told if isinstance(entry, Chunk)] == [b'"seen"']


async def test_attempts_that_fail_to_be_claimed_again_and_again(database: SqliteDatabase, queue: SqliteQueue) -> None:
    request, gone = new(), new()
    for one in (request, gone):
        await queue.submit(one).receipt
    writer = database._writer
    for attempt in (1, 2, 3):
        writer._connection.set_commit_hook(lambda: True)
        writer.failing = False  # as if a small commit had gone through in between
        assert {claim.attempt for claim in await queue.claim(APP, ["r1", "r1"])} == {attempt}
        while queue.depth(APP) != Depth(2, 0):
            await asyncio.sleep(0)
    writer._connection.set_commit_hook(None)
    await queue.cancel(gone.id)
    (claim,) = await queue.claim(APP, ["r1", "r1"])
    assert (claim.request.id, claim.attempt) == (request.id, 4)
    await queue.retry(request.id, 4, reason="the runner died")
    (claim,) = await queue.claim(APP, ["r1"])
    assert claim.attempt == 5 and not queue._taken_back


async def test_a_closed_database_answers_every_verb(database: SqliteDatabase, queue: SqliteQueue) -> None:
    waiting, running = new(), new()
    await queue.submit(running, slot="r1").receipt
    await queue.submit(waiting).receipt
    await database.close()
    lazy = queue.submit(new(), slot="r2", lazy=True)
    verbs = [
        queue.submit(new()).receipt,
        queue.claim(APP, ["r"]),
        queue.append(running.id, 1, []),
        queue.complete(running.id, 1, ok()),
        queue.complete(lazy.request.id, 1, ok()),
        queue.retry(running.id, 1, reason=""),
        queue.cancel(waiting.id),
        queue.get(waiting.id),
        queue.sweep(),
        queue.wait(waiting.id, 1),
    ]
    answers = await asyncio.wait_for(asyncio.gather(*verbs, return_exceptions=True), 30)
    assert [type(answer) for answer in answers] == [Unavailable] * len(verbs)


async def test_a_run_is_one_row_with_its_facts_in_one_commit(database: SqliteDatabase, queue: SqliteQueue) -> None:
    def changes(cursor: Cursor) -> int:
        return int(cursor.execute("SELECT total_changes()").fetchone()[0])

    before = await database.write(changes)
    request = new()
    queue.submit(request, slot="r1", lazy=True)
    await queue.complete(request.id, 1, ok())
    assert await database.write(changes) == before + 2


async def test_a_held_insert_is_written_after_a_while(queue: SqliteQueue) -> None:
    request = new()
    submission = queue.submit(request, slot="r1", lazy=True)
    assert (await submission.receipt).request_id == request.id
    view = await queue.get(request.id)
    assert view is not None and view.state is State.RUNNING


async def test_close_writes_what_is_held(database: SqliteDatabase, queue: SqliteQueue) -> None:
    request = new()
    queue.submit(request, slot="r1", lazy=True)
    await queue.close()
    again = await SqliteQueue.open(database, ManualClock(), Settings(), News())
    assert [claim.request.id for claim in await again.orphans()] == [request.id]
    await again.close()


async def test_the_file_shrinks_when_requests_are_dropped(database: SqliteDatabase, tmp_path: Path) -> None:
    """What retention frees goes back to the file system, sweep by sweep, until no page is free."""
    clock = ManualClock()
    queue = await SqliteQueue.open(database, clock, Settings(retention=60.0), News())
    try:
        for _ in range(12):
            claim = queue.submit(new(LARGE), slot="r1").claim
            assert claim is not None
            await queue.complete(claim.request.id, 1, ok(LARGE))
        before = await database.read(lambda cursor: cursor.execute("PRAGMA page_count").fetchone()[0])
        clock.advance(120.0)
        assert (await queue.sweep()).dropped == 12
        while await database.read(_free_pages) > 0:
            left = await database.read(_free_pages)
            await queue.sweep()
            assert await database.read(_free_pages) < left, "each sweep gives some back"
        after = await database.read(lambda cursor: cursor.execute("PRAGMA page_count").fetchone()[0])
        assert after < before / 10
    finally:
        await queue.close()


def _free_pages(cursor: Cursor) -> int:
    return int(cursor.execute("PRAGMA freelist_count").fetchone()[0])
