"""What the auditor reads of counts: of a real database, folded in part, and after something was taken away."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from pondage.clock import ManualClock
from pondage.database.folder import DATABASE
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.interface import NewRequest, Spending
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.torture.counted import differences, read_counted, read_requests
from pondage.wire.events import Outcome
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind

pytestmark = pytest.mark.anyio
APP = "acme/flux"


async def _lived(folder: Path) -> None:
    """One that ran twice, one that failed, one that was cancelled as it waited, one that waits still."""
    clock = ManualClock()
    database = await SqliteDatabase.open(folder)
    queue = await SqliteQueue.open(database, clock, Settings(), News())
    ids = []
    for n in range(4):
        new = NewRequest(new_request_id(), APP, "/", "call", b"x" * n, clock.wall(), caller="k")
        ids.append((await queue.submit(new).receipt).request_id)
        clock.advance(1)
    await queue.claim(APP, ["r1", "r2"])
    await queue.retry(ids[0], 1, reason="its runner died", spent=Spending(2.0))
    await queue.counts.fold()
    await queue.claim(APP, ["r1"])
    clock.advance(1)
    await queue.complete(ids[0], 2, Outcome(OutcomeKind.OK, 200, b"{}"), Spending(1.0))
    await queue.complete(ids[1], 1, Outcome(OutcomeKind.ERROR, 500, b"{}", error="it broke"), Spending(1.0))
    await queue.cancel(ids[2])
    await queue.close()
    await database.close()


async def test_counts_are_what_the_requests_add_up_to(tmp_path: Path) -> None:
    await _lived(tmp_path)
    connection = apsw.Connection(str(tmp_path / DATABASE))
    counted, found = read_counted(connection), read_requests(connection)
    assert differences(counted, found) == []
    assert (found.submitted, found.ok, found.error, found.cancelled, found.lost) == (4, 1, 1, 1, 1)
    assert (found.input_bytes, counted.usage.runner, counted.errors) == (6, 4.0, 1)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM facts", "usage says ok 0"),
        ("DELETE FROM usage", "usage says submitted"),
        ("DELETE FROM rollup_minutes", "the minutes say"),
        ("DELETE FROM rollup_hours", "the hours say"),
        ("DELETE FROM rollup_totals", "the totals say"),
        ("DELETE FROM finished WHERE kind = 'ok'", "usage says ok 1"),
        ("DELETE FROM requests", "usage says submitted 4"),
        ("UPDATE finished SET started_at = started_at - 1", "s waited"),
    ],
)
async def test_whatever_is_missing_shows(tmp_path: Path, statement: str, said: str) -> None:
    await _lived(tmp_path)
    connection = apsw.Connection(str(tmp_path / DATABASE))
    connection.execute(statement)
    wrong = differences(read_counted(connection), read_requests(connection))
    connection.close()
    assert any(said in line for line in wrong), wrong
