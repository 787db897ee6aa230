from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pondage.database.sqlite import SqliteDatabase


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An open database with one small table of its own."""
    made = await SqliteDatabase.open(tmp_path / "data")
    await made.write(lambda cursor: cursor.execute("CREATE TABLE words (word TEXT UNIQUE NOT NULL)"))
    yield made
    await made.close()
