"""What is done to files: a torn log loses nothing that was committed, lost power nothing that was synced."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import apsw
import msgspec
import pytest

from pondage.database.sqlite import connect
from pondage.errors import DatabaseDamaged
from pondage.testing.faults import Unsynced, unsynced
from pondage.torture import damage


def written(folder: Path, rows: int) -> Path:
    """A folder as a process leaves it that was killed after `rows` commits."""
    live = folder / "live"
    live.mkdir()
    connection = apsw.Connection(str(live / "pondage.db"))
    connection.pragma("journal_mode", "wal")
    connection.wal_autocheckpoint(0)
    connection.execute("CREATE TABLE t (n)")
    connection.execute(
        "INSERT INTO t SELECT value FROM json_each(?)", (msgspec.json.encode(list(range(rows - 3))).decode(),)
    )
    for n in range(3):
        connection.execute("INSERT INTO t VALUES (?)", (n,))
    dead = folder / "dead"
    dead.mkdir()
    for name in ("pondage.db", "pondage.db-wal"):
        shutil.copyfile(live / name, dead / name)
    connection.close()
    return dead


def count(folder: Path) -> int:
    connection = apsw.Connection(str(folder / "pondage.db"))
    try:
        (number,) = connection.execute("SELECT count(*) FROM t").fetchone() or (0,)
        return int(number)
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_torn_log_keeps_what_was_committed(tmp_path: Path, seed: int) -> None:
    folder = written(tmp_path, 20)
    before = (folder / "pondage.db-wal").read_bytes()
    said = damage.tear_log(folder, random.Random(seed))
    assert "behind byte" in said
    assert (folder / "pondage.db-wal").read_bytes() != before
    assert count(folder) == 20


def test_the_end_of_the_last_commit(tmp_path: Path) -> None:
    folder = written(tmp_path, 3)
    log = (folder / "pondage.db-wal").read_bytes()
    assert damage.committed(log) == len(log)
    assert damage.committed(log[:-1]) < len(log)
    assert damage.committed(log + b"x" * 9000) == len(log)


def test_lost_power_takes_what_was_not_synced(tmp_path: Path) -> None:
    folder = written(tmp_path, 20)
    notes = tmp_path / "notes"
    notes.mkdir()
    kept = Unsynced(notes / "pondage.db-wal.unsynced")
    kept.wrote(0, 100)
    kept.synced()
    size = (folder / "pondage.db-wal").stat().st_size
    kept.wrote(size - 50, 50)
    assert unsynced(notes / "pondage.db-wal.unsynced") == [(size - 50, 50)]
    before = (folder / "pondage.db-wal").read_bytes()
    for seed in range(9):
        assert damage.lose_power(folder, notes, random.Random(seed)) == 1
    after = (folder / "pondage.db-wal").read_bytes()
    assert after != before and after[:-50] == before[:-50]
    assert count(folder) == 19


def test_a_spoiled_database_is_refused_until_its_copy_is_back(tmp_path: Path) -> None:
    folder = written(tmp_path, 20_000)
    spoiled = damage.Spoiled(folder, random.Random(1))
    with pytest.raises(DatabaseDamaged):
        connect(folder / "pondage.db", check=True)
    spoiled.restore()
    assert count(folder) == 20_000
