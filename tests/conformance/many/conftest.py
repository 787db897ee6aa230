"""Two gateways that live at once on one queue. An engine that allows it adds a factory here and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from pondage.clock import ManualClock
from pondage.database.interface import Database
from pondage.queue.interface import Queue
from pondage.queue.news import News


class Gateway(NamedTuple):
    """What a gateway has open."""

    queue: Queue
    news: News
    database: Database


class TwoSeats(NamedTuple):
    a: Gateway
    b: Gateway
    clock: ManualClock


Factory = Callable[[Path], AbstractAsyncContextManager[TwoSeats]]

ENGINES: dict[str, Factory] = {}
"""None yet: one SQLite file has one gateway, whose seat ends when the next begins."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=sorted(ENGINES) or [None])
async def seats(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TwoSeats]:
    """Two open gateways; `a` was there first."""
    if request.param is None:
        pytest.skip("no engine has two live seats: a SQLite file is held by one gateway at a time")
    async with ENGINES[request.param](tmp_path) as two:
        yield two
