"""The engines under test. A new engine adds a factory here and nothing else."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pondage.clock import ManualClock
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.interface import Claim, NewRequest, Queue
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.wire.events import Outcome
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind


class Engine:
    """One queue with what a test needs beside its verbs."""

    def __init__(self, folder: Path, clock: ManualClock | None = None, settings: Settings | None = None) -> None:
        self.folder = folder
        self.clock = clock or ManualClock()
        self.settings = settings or Settings()
        self.news: News
        self.queue: Queue

    async def open(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def crash(self) -> Engine:
        """Another engine on what a `kill -9` at this moment would leave; this one is closed afterwards."""
        raise NotImplementedError

    async def reopen(self) -> None:
        """The next life of a gateway on what this one has closed."""
        await self.close()
        await self.open()

    async def owed(self) -> list[tuple[Any, ...]]:
        """The outbox: (delivery_id, request_id, target, event, seq, state), oldest first."""
        raise NotImplementedError


_copies = itertools.count(1)


class SqliteEngine(Engine):
    async def open(self) -> None:
        self.news = News()
        self.database = await SqliteDatabase.open(self.folder, self.clock)
        self.queue = self.sqlite = await SqliteQueue.open(self.database, self.clock, self.settings, self.news)

    async def close(self) -> None:
        await self.sqlite.close()
        await self.database.close()

    async def crash(self) -> Engine:
        copy = self.folder.parent / f"{self.folder.name.split('~')[0]}~{next(_copies)}"
        copy.mkdir()
        # What the writer has not handed to the system yet is lost, as after a kill; the log file is copied last to
        # first, so that its tail may be torn but the main file is never ahead of it.
        for name in ("pondage.db", "pondage.db-wal"):
            if (self.folder / name).exists():
                shutil.copyfile(self.folder / name, copy / name)
        await self.close()
        other = SqliteEngine(copy, self.clock, self.settings)
        await other.open()
        return other

    async def owed(self) -> list[tuple[Any, ...]]:
        columns = "delivery_id, request_id, target, event, seq, state"
        return await self.database.read(lambda c: c.execute(f"SELECT {columns} FROM deliveries ORDER BY id").fetchall())


ENGINES: dict[str, type[Engine]] = {"sqlite": SqliteEngine}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(**changes): settings of the engine under test")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An open engine on a fresh folder; a marker `settings(**changes)` changes its settings."""
    marker = request.node.get_closest_marker("settings")
    made = ENGINES[request.param](tmp_path / "data", settings=Settings(**(marker.kwargs if marker else {})))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def queue(engine: Engine) -> Queue:
    return engine.queue


@pytest.fixture
def clock(engine: Engine) -> ManualClock:
    return engine.clock


def new(clock: ManualClock, **fields: Any) -> NewRequest:
    """A request of the app `acme/flux`, unless `fields` say otherwise."""
    values: dict[str, Any] = {
        "id": new_request_id(),
        "app": "acme/flux",
        "path": "/",
        "mode": "call",
        "input": b'{"x": 1}',
        "submitted_at": clock.wall(),
    }
    return NewRequest(**(values | fields))


def ok(body: bytes = b'{"y": 2}') -> Outcome:
    return Outcome(OutcomeKind.OK, 200, body, {"content-type": "application/json"}, inference_time=0.5)


async def submitted(queue: Queue, clock: ManualClock, **fields: Any) -> NewRequest:
    """A request that was submitted and acknowledged."""
    request = new(clock, **fields)
    await queue.submit(request).receipt
    return request


async def running(queue: Queue, clock: ManualClock, **fields: Any) -> Claim:
    """A request that was submitted and claimed by the runner `r1`."""
    request = await submitted(queue, clock, **fields)
    claims = await queue.claim(request.app, ["r1"])
    assert [c.request.id for c in claims] == [request.id]
    # A claim returns before its commit; whatever is awaited next comes after it.
    assert await queue.append(request.id, claims[0].attempt, [])
    return claims[0]
