"""Partial output reaches the log in order and without a gap, also over writes that fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pondage.clock import ManualClock
from pondage.errors import StorageFull
from pondage.fleet.channels import Channels
from pondage.fleet.chunks import ChunkLog
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.runners import Runner
from pondage.fleet.slots import Running
from pondage.queue.interface import Claim, NewRequest
from pondage.queue.news import News
from pondage.settings import Settings
from pondage.wire.events import Chunk, Entry, Outcome
from pondage.wire.frames import Entries, Finished
from pondage.wire.states import OutcomeKind

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Queue:
    """Only `append`, which the test settles."""

    def __init__(self) -> None:
        self.writes: list[tuple[list[int], asyncio.Future[bool]]] = []

    def append(self, request_id: str, attempt: int, entries: list[Entry]) -> asyncio.Future[bool]:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.writes.append(([entry.n for entry in entries if isinstance(entry, Chunk)], future))
        return future


def chunks(*numbers: int) -> list[Entry]:
    return [Chunk(1.0, n, b"0") for n in numbers]


async def settle(queue: Queue, result: Any) -> None:
    future = queue.writes[-1][1]
    future.set_exception(result) if isinstance(result, Exception) else future.set_result(result)
    for _ in range(3):
        await asyncio.sleep(0)


class Heard(list[int]):
    """Which chunks readers were shown."""

    def __call__(self, entries: list[Entry]) -> None:
        self += [entry.n for entry in entries if isinstance(entry, Chunk)]


async def test_one_write_at_a_time_and_the_outcome_behind_all() -> None:
    queue, heard, told, ended = Queue(), Heard(), [], []
    log = ChunkLog(queue, "r", 1, show=heard, committed=lambda e, held: told.append((len(e), held)), pause=0.0)  # type: ignore[arg-type]
    log.add(chunks(1))
    log.add(chunks(2))
    log.add(chunks(3))
    log.after(lambda: ended.append(True))
    assert [write[0] for write in queue.writes] == [[1]] and not heard
    await settle(queue, True)
    assert [write[0] for write in queue.writes] == [[1], [2, 3]] and not ended
    assert heard == [1, 2, 3], "what came while the first was written waits for nothing more"
    log.add(chunks(4))
    assert heard == [1, 2, 3, 4]
    await settle(queue, True)
    await settle(queue, True)
    assert heard == [1, 2, 3, 4]
    assert ended == [True] and told == [(1, True), (2, True), (1, True)]
    log.after(lambda: ended.append(False))
    assert ended == [True, False], "there is nothing to wait for"


async def test_a_write_that_failed_is_repeated_before_anything_later() -> None:
    queue, heard, told, ended = Queue(), Heard(), [], []
    log = ChunkLog(queue, "r", 1, show=heard, committed=lambda e, held: told.append(held), pause=0.0)  # type: ignore[arg-type]
    log.add(chunks(1, 2))
    log.add(chunks(3))
    log.after(lambda: ended.append(True))
    await settle(queue, StorageFull("the disk is full"))
    assert not heard and not told and not ended
    while len(queue.writes) < 2:
        await asyncio.sleep(0)
    assert queue.writes[-1][0] == [1, 2]
    await settle(queue, True)
    assert queue.writes[-1][0] == [3] and not ended
    assert heard == [1, 2, 3]
    await settle(queue, False)
    assert ended == [True] and told == [True, False]


async def test_an_attempt_that_no_longer_holds_its_request_is_not_shown() -> None:
    queue, heard = Queue(), Heard()
    log = ChunkLog(queue, "r", 1, show=heard, committed=lambda e, held: None, pause=0.0)  # type: ignore[arg-type]
    log.add(chunks(1))
    log.add(chunks(2))
    await settle(queue, False)
    await settle(queue, False)
    log.add(chunks(3))
    assert not heard


async def test_an_outcome_that_comes_twice_does_not_overtake_the_chunks() -> None:
    """Through the dispatcher, where the second one once did."""
    queue, committed = Queue(), []
    queue.complete = lambda *outcome: committed.append(outcome) or asyncio.get_running_loop().create_future()  # type: ignore[attr-defined]
    queue.lines = {}  # type: ignore[attr-defined]
    dispatcher = Dispatcher(queue, News(), Channels(1), asyncio.Event(), ManualClock(), Settings())  # type: ignore[arg-type]
    runner = Runner("r1", "acme/echo", pid=1, started_at=0.0, heard_at=0.0)
    request = NewRequest("r", "acme/echo", "/", "stream", b"{}", 0.0)
    runner.running["r"] = Running(Claim(request, 1, "r1"), None)
    dispatcher.entries(runner, Entries("r", 1, chunks(1)))
    finished = Finished("r", 1, Outcome(OutcomeKind.OK, 200, b"0"))
    dispatcher.finished(runner, finished)
    dispatcher.finished(runner, finished)
    assert not committed
    await settle(queue, True)
    assert len(committed) == 1
