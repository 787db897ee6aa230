"""Backups of a running database, and the way back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pondage.database.backup import back_up, restore
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import DatabaseDamaged, DataFolderInUse, SetupError

pytestmark = pytest.mark.anyio


async def count(folder: Path) -> int:
    database = await SqliteDatabase.open(folder)
    try:
        return await database.read(lambda c: int(c.execute("SELECT count(*) FROM words").fetchone()[0]))
    finally:
        await database.close()


async def test_a_running_database_is_backed_up_and_restored(database: SqliteDatabase, tmp_path: Path) -> None:
    async def write_on() -> None:
        for n in range(200):
            await database.write(lambda c, n=n: c.execute("INSERT INTO words VALUES (?)", (f"meanwhile {n}",)))

    for n in range(100):
        await database.write(lambda c, n=n: c.execute("INSERT INTO words VALUES (?)", (f"before {n}",)))
    writing = asyncio.ensure_future(write_on())
    await asyncio.to_thread(back_up, database.path.parent, tmp_path / "backup")
    await writing
    await asyncio.to_thread(restore, tmp_path / "backup", tmp_path / "new")
    assert 100 <= await count(tmp_path / "new") <= 300


async def test_what_is_in_the_way_is_not_overwritten(database: SqliteDatabase, tmp_path: Path) -> None:
    folder = database.path.parent
    back_up(folder, tmp_path / "backup")
    with pytest.raises(SetupError, match="empty folder"):
        back_up(folder, tmp_path / "backup")
    with pytest.raises(DataFolderInUse):
        restore(tmp_path / "backup", folder)
    restore(tmp_path / "backup", tmp_path / "new")
    with pytest.raises(SetupError, match="empty folder"):
        restore(tmp_path / "backup", tmp_path / "new")
    with pytest.raises(SetupError, match="no backup"):
        restore(tmp_path, tmp_path / "other")
    with pytest.raises(SetupError, match="no database"):
        back_up(tmp_path, tmp_path / "other")


async def test_a_damaged_backup_is_not_restored(database: SqliteDatabase, tmp_path: Path) -> None:
    for n in range(500):
        await database.write(lambda c, n=n: c.execute("INSERT INTO words VALUES (?)", (f"{n:0500}",)))
    copy = back_up(database.path.parent, tmp_path / "backup")
    data = bytearray(copy.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\x5a" * 4096
    copy.write_bytes(data)
    with pytest.raises(DatabaseDamaged):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new" / "pondage.db").exists()
