"""What a crash, a loss of power or a bad disk does to the files of a data folder whose processes are gone."""

from __future__ import annotations

import random
import shutil
import struct
from pathlib import Path

import apsw

from pondage.database.folder import DATABASE
from pondage.testing.faults import unsynced

_PAGES_SPOILED = 6
_WAL_HEAD = 32
_FRAME_HEAD = 24


def lose_power(data: Path, notes: Path, chance: random.Random) -> int:
    """Of every write that was not synced, the disk has kept all, nothing or rubbish; returns how many there were."""
    count = 0
    for note in sorted(notes.glob("*.unsynced")):
        path = data / note.name.removesuffix(".unsynced")
        if not path.exists():
            continue
        with path.open("r+b") as file:
            size = path.stat().st_size
            for offset, length in unsynced(note):
                if offset + length > size:
                    continue
                count += 1
                fate = chance.choice(("kept", "nothing", "rubbish"))
                if fate != "kept":
                    file.seek(offset)
                    file.write(bytes(length) if fate == "nothing" else chance.randbytes(length))
    (data / f"{DATABASE}-shm").unlink(missing_ok=True)
    return count


def tear_log(data: Path, chance: random.Random) -> str:
    """Cut or lengthen the write-ahead log behind its last commit; returns what was done."""
    path = data / f"{DATABASE}-wal"
    log = path.read_bytes() if path.exists() else b""
    if len(log) < _WAL_HEAD:
        return "there was no log"
    end = committed(log)
    with path.open("r+b") as file:
        if end < len(log) and chance.random() < 0.5:
            file.truncate(chance.randrange(end, len(log)))
            return f"cut behind byte {end} of {len(log)}"
        file.seek(end)
        rubbish = chance.randbytes(chance.randrange(1, 20_000))
        # A frame that looks like the next one of this log, but for its sum.
        (page_size,) = struct.unpack_from(">I", log, 8)
        frame = struct.pack(">II", 1, 1) + log[16:24] + chance.randbytes(8) + chance.randbytes(page_size)
        file.write(frame + rubbish if chance.random() < 0.5 else rubbish)
        return f"rubbish behind byte {end} of {len(log)}"


def committed(log: bytes) -> int:
    """Where the last commit of a write-ahead log ends, or what may be one: nothing before it is touched."""
    (page_size,) = struct.unpack_from(">I", log, 8)
    salts = log[16:24]
    end, at = _WAL_HEAD, _WAL_HEAD
    while at + _FRAME_HEAD + page_size <= len(log) and log[at + 8 : at + 16] == salts:
        at += _FRAME_HEAD + page_size
        if struct.unpack_from(">I", log, at - page_size - _FRAME_HEAD + 4)[0]:
            end = at
    return end


class Spoiled:
    """A database whose main file was damaged; `restore` brings the copy back that was made before."""

    def __init__(self, data: Path, chance: random.Random) -> None:
        self._path = data / DATABASE
        self._copy = data.parent / "before-damage.db"
        # The log is emptied into the main file first: what a log still holds would hide the damage.
        connection = apsw.Connection(str(self._path))
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # only now it knows that there is a log
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        (page_size,) = connection.execute("PRAGMA page_size").fetchone() or (4096,)
        connection.close()
        shutil.copyfile(self._path, self._copy)
        pages = self._path.stat().st_size // page_size
        with self._path.open("r+b") as file:
            # The first pages hold the schema and the roots of the tables.
            for page in chance.sample(range(1, min(pages, 40)), min(_PAGES_SPOILED, pages - 1)):
                file.seek(page * page_size)
                file.write(chance.randbytes(page_size))

    def restore(self) -> None:
        shutil.copyfile(self._copy, self._path)
        for tail in ("-wal", "-shm"):
            Path(f"{self._path}{tail}").unlink(missing_ok=True)
