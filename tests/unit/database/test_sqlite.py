"""Opening: the lock, versions, damage, a torn log; commands beside a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from pondage.database.migrations import Migration, migrate, ours, version
from pondage.database.named import load, parse
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import DatabaseDamaged, DatabaseTooNew, DataFolderInUse, SetupError

pytestmark = pytest.mark.anyio


async def fill(folder: Path, rows: int) -> None:
    database = await SqliteDatabase.open(folder)
    await database.write(lambda c: c.execute("CREATE TABLE words (word TEXT)"))
    for n in range(rows):
        await database.write(lambda c, n=n: c.execute("INSERT INTO words VALUES (?)", (f"{n:0500}",)))
    await database.close()


async def count(folder: Path) -> int:
    database = await SqliteDatabase.open(folder)
    try:
        return await database.read(lambda c: int(c.execute("SELECT count(*) FROM words").fetchone()[0]))
    finally:
        await database.close()


async def test_choices_that_are_made_at_creation(tmp_path: Path) -> None:
    await fill(tmp_path / "data", 1)
    connection = apsw.Connection(str(tmp_path / "data" / "pondage.db"))
    assert connection.pragma("auto_vacuum") == 2
    assert connection.pragma("journal_mode") == "wal"
    assert version(connection) == ours()[-1].number
    connection.close()
    assert (tmp_path / "data" / "pondage.db").stat().st_mode & 0o077 == 0


async def test_all_files_are_the_owners_only(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path)
    await database.write(lambda c: c.execute("CREATE TABLE words (word TEXT)"))
    modes = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}
    await database.close()
    assert modes == dict.fromkeys(["pondage.lock", "reserve", "pondage.db", "pondage.db-wal", "pondage.db-shm"], 0)


async def test_commits_are_synced(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path)
    assert await database.write(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (2,)
    await database.close()


async def test_a_folder_in_use_names_the_process(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path)
    with pytest.raises(DataFolderInUse, match=str(os.getpid())):
        await SqliteDatabase.open(tmp_path)
    await database.close()
    await (await SqliteDatabase.open(tmp_path)).close()


async def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from pondage.database.folder import FolderLock\n"
        "FolderLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    with pytest.raises(DataFolderInUse, match=str(process.pid)):
        await SqliteDatabase.open(tmp_path)
    process.kill()
    process.communicate()
    await (await SqliteDatabase.open(tmp_path)).close()


async def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    await fill(tmp_path, 1)
    connection = apsw.Connection(str(tmp_path / "pondage.db"))
    connection.pragma("user_version", 9999)
    connection.close()
    with pytest.raises(DatabaseTooNew, match="9999"):
        await SqliteDatabase.open(tmp_path)
    with pytest.raises(DatabaseTooNew):
        await SqliteDatabase.open(tmp_path)


async def test_a_torn_tail_loses_nothing_committed(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    database = await SqliteDatabase.open(source)
    await database.write(lambda c: c.execute("CREATE TABLE words (word TEXT)"))
    for n in range(50):
        await database.write(lambda c, n=n: c.execute("INSERT INTO words VALUES (?)", (f"{n:0500}",)))
    whole = (source / "pondage.db-wal").stat().st_size
    await database.write(lambda c: c.execute("INSERT INTO words VALUES (?)", ("torn" * 2000,)))
    copy.mkdir()
    for name in ("pondage.db", "pondage.db-wal"):
        shutil.copyfile(source / name, copy / name)
    await database.close()
    log = bytearray((copy / "pondage.db-wal").read_bytes())
    # The last transaction is torn: its first frame is there, the rest is what the disk held before.
    del log[whole + 2000 :]
    log += b"\xa5" * 5000
    (copy / "pondage.db-wal").write_bytes(log)
    assert await count(copy) == 50


@pytest.mark.parametrize("where", ["header", "middle", "short"])
async def test_damage_is_found_and_refused(tmp_path: Path, where: str) -> None:
    await fill(tmp_path, 2000)
    path = tmp_path / "pondage.db"
    data = bytearray(path.read_bytes())
    if where == "header":
        data[:100] = bytes(100)
    elif where == "middle":
        middle = len(data) // 2 // 4096 * 4096
        data[middle : middle + 4096] = b"\x5a" * 4096
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    with pytest.raises(DatabaseDamaged, match="restore"):
        await SqliteDatabase.open(tmp_path)
    assert path.read_bytes() == data


async def test_a_large_file_is_checked_where_it_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pondage.database.sqlite.WHOLE_CHECK_BYTES", 0)
    database = await SqliteDatabase.open(tmp_path)
    await database.write(lambda c: [c.execute("INSERT INTO idempotency VALUES ('', ?, x'', '', 1)", (f"{n:0400}",))
                                    for n in range(500)])  # fmt: skip
    root = await database.read(
        lambda c: c.execute("SELECT max(pageno) FROM dbstat WHERE name='idempotency'").fetchone()
    )
    await database.close()
    await (await SqliteDatabase.open(tmp_path)).close()
    path = tmp_path / "pondage.db"
    data = bytearray(path.read_bytes())
    data[(root[0] - 1) * 4096 : root[0] * 4096] = b"\x5a" * 4096
    path.write_bytes(data)
    with pytest.raises(DatabaseDamaged):
        await SqliteDatabase.open(tmp_path)


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="data folder"):
        await SqliteDatabase.open(tmp_path / "file" / "data")


async def test_a_command_writes_beside_the_server(tmp_path: Path) -> None:
    server = await SqliteDatabase.open(tmp_path)
    await server.write(lambda c: c.execute("CREATE TABLE words (word TEXT)"))
    command = await SqliteDatabase.attach(tmp_path)
    await command.write(lambda c: c.execute("INSERT INTO words VALUES ('from the command')"))
    await server.write(lambda c: c.execute("INSERT INTO words VALUES ('from the server')"))
    found = await command.read(lambda c: c.execute("SELECT count(*) FROM words").fetchone())
    await command.close()
    await server.write(lambda c: c.execute("INSERT INTO words VALUES ('after the command')"))
    await server.close()
    assert found == (2,)
    assert await count(tmp_path) == 3


async def test_a_command_needs_a_database(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no database"):
        await SqliteDatabase.attach(tmp_path)


async def test_a_command_never_migrates_under_a_running_server(tmp_path: Path) -> None:
    server = await SqliteDatabase.open(tmp_path)
    older = ours()[-1].number - 1
    await server.write(lambda c: c.execute(f"PRAGMA user_version = {older}").fetchall())
    with pytest.raises(DataFolderInUse):
        await SqliteDatabase.attach(tmp_path)
    await server.write(lambda c: c.execute(f"PRAGMA user_version = {older + 1}").fetchall())
    await (await SqliteDatabase.attach(tmp_path)).close()
    await server.close()


def test_migrations_are_applied_once_and_in_order(tmp_path: Path) -> None:
    first = Migration(1, "0001_a.sql", "CREATE TABLE a (x);")
    second = Migration(2, "0002_b.sql", "ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2);")
    connection = apsw.Connection(str(tmp_path / "db"))
    assert migrate(connection, [first]) == ["0001_a.sql"]
    assert migrate(connection, [first, second]) == ["0002_b.sql"]
    assert migrate(connection, [first, second]) == []
    assert connection.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
    connection.close()


def test_a_failing_migration_leaves_nothing(tmp_path: Path) -> None:
    bad = Migration(1, "0001_a.sql", "CREATE TABLE a (x); INSERT INTO nowhere VALUES (1);")
    connection = apsw.Connection(str(tmp_path / "db"))
    with pytest.raises(apsw.SQLError):
        migrate(connection, [bad])
    assert version(connection) == 0
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    connection.close()


def test_statements_have_names() -> None:
    found = parse("-- about the file\n-- name: one\n-- why\nSELECT 1;\n-- name: two\nSELECT\n  2;\n")
    assert found == {"one": "SELECT 1", "two": "SELECT\n2"}
    with pytest.raises(KeyError, match="there are one, two"):
        found["three"]
    for bad in ("-- name: a\nSELECT 1;\n-- name: a\n", "SELECT 1;\n"):
        with pytest.raises(ValueError, match=r"twice|before"):
            parse(bad)
    assert "claim" in load("pondage.queue.sqlite", "sql/moves.sql")
