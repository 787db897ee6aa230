"""A disk under the folder of stored files that is full, slow or fails, and notes what a loss of power may take.

`install` puts it in the place of the module `os` in `pondage.files.folder`, which knows nothing of it. It follows the
system calls: a file is made, bytes are written at a place, the file is synced, a folder is synced. The notes survive
`kill -9`; `lose_files` does to the folder what they allow.
"""

from __future__ import annotations

import errno
import os
import random
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pondage.testing.faults import Faults

NOTES = "files.notes"


class FaultyFiles:
    """The module `os` as the folder of stored files sees it; any call that is not here is the system's own.

    Args:
        faults: what is wrong just now.
        notes: the folder for the notes, which go on where an earlier process ended.
    """

    def __init__(self, faults: Faults, notes: Path) -> None:
        self._faults = faults
        self._paths: dict[int, Path] = {}
        self._lock = threading.Lock()
        self._notes = os.open(notes / NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        fd = os.open(path, flags, mode)
        self._paths[fd] = Path(path)
        if flags & os.O_CREAT:
            self._note("made", os.fstat(fd).st_ino)
        return fd

    def close(self, fd: int) -> None:
        self._paths.pop(fd, None)
        os.close(fd)

    def write(self, fd: int, data: Any) -> int:
        return self._written(fd, os.lseek(fd, 0, os.SEEK_CUR), os.write, data)

    def writev(self, fd: int, pieces: Sequence[Any]) -> int:
        return self._written(fd, os.lseek(fd, 0, os.SEEK_CUR), os.writev, pieces)

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        return self._written(fd, offset, os.pwrite, data, offset)

    def pwritev(self, fd: int, pieces: Sequence[Any], offset: int, flags: int = 0) -> int:
        return self._written(fd, offset, os.pwritev, pieces, offset, flags)

    def fsync(self, fd: int) -> None:
        self._synced(fd, os.fsync)

    def fdatasync(self, fd: int) -> None:
        self._synced(fd, os.fdatasync)

    def _written(self, fd: int, at: int, write: Any, *arguments: Any) -> int:
        if self._faults.plan.disk_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        length: int = write(fd, *arguments)
        self._note("wrote", os.fstat(fd).st_ino, at, length)
        return length

    def _synced(self, fd: int, sync: Any) -> None:
        plan = self._faults.plan
        if plan.sync_delay:
            time.sleep(plan.sync_delay)
        if plan.sync_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        inode = os.fstat(fd)
        # What is named when the sync begins is durable when it has ended; what comes meanwhile perhaps not.
        named = _inodes(self._paths[fd]) if stat.S_ISDIR(inode.st_mode) else None
        sync(fd)
        if named is None:
            self._note("synced", inode.st_ino)
        else:
            for number in named:
                self._note("named", number)

    def _note(self, *words: object) -> None:
        line = " ".join(map(str, words)) + "\n"
        with self._lock:
            os.write(self._notes, line.encode())


def _inodes(folder: Path) -> list[int]:
    return [entry.inode() for entry in os.scandir(folder)]


class DiskState(NamedTuple):
    """What the disk is sure of, by inode number."""

    unsynced: dict[int, list[tuple[int, int]]]
    """Offset and length of what was written to a file and not synced."""
    unnamed: set[int]
    """Files whose name in their folder was not synced since they were made."""
    named: set[int]
    """Files and folders whose name was synced."""


def held(notes: Path) -> DiskState:
    """Read the notes. Each is written when what it tells is over: what a kill has kept from being noted was not
    promised either."""
    unsynced: dict[int, list[tuple[int, int]]] = {}
    unnamed: set[int] = set()
    named: set[int] = set()
    for line in _lines(notes / NOTES):
        word, inode, *span = line[0], int(line[1]), *map(int, line[2:])
        match word:
            case "made":
                unsynced[inode] = []
                unnamed.add(inode)
                named.discard(inode)
            case "wrote":
                unsynced.setdefault(inode, []).append((span[0], span[1]))
            case "synced":
                unsynced.pop(inode, None)
            case "named":
                unnamed.discard(inode)
                named.add(inode)
    return DiskState(unsynced, unnamed, named)


def _lines(path: Path) -> Iterator[list[str]]:
    if path.exists():
        for line in path.read_text().splitlines():
            yield line.split()


def lose_files(files: Path, notes: Path, chance: random.Random) -> int:
    """Of stored bytes and names that were not synced, the disk has kept all, nothing or rubbish; returns how many.

    Args:
        files: the folder of stored files, which no process uses.
        notes: the folder with the notes. They begin anew: what is there afterwards is durable.
        chance: decides.
    """
    lost = 0
    known = held(notes)
    for path in sorted([*(files / "incoming").glob("*"), *(files / "blobs").glob("*/*")]):
        inode = path.stat().st_ino
        for at, length in known.unsynced.get(inode, ()):
            lost += 1
            _spoil(path, at, length, chance)
        if inode in known.unnamed and path.parent.name != "incoming":
            lost += 1
            fate = chance.choice(("kept", "old name", "nothing"))
            if fate == "old name":
                path.rename(files / "incoming" / secrets.token_hex(16))
            elif fate == "nothing":
                path.unlink()
    folders = sorted((files / "blobs").glob("*"))
    for folder in folders:
        if folder.stat().st_ino not in known.named and chance.random() < 0.5:
            lost += 1
            shutil.rmtree(folder)
    (notes / NOTES).write_text("".join(f"named {left.stat().st_ino}\n" for left in folders if left.exists()))
    return lost


def _spoil(path: Path, at: int, length: int, chance: random.Random) -> None:
    """Bytes that were written and not synced."""
    match chance.choice(("kept", "zeros", "rubbish", "cut")):
        case "zeros":
            _put(path, at, bytes(length))
        case "rubbish":
            _put(path, at, chance.randbytes(length))
        case "cut":
            os.truncate(path, min(at, path.stat().st_size))


def _put(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def install(faults: Faults, notes: Path) -> None:
    """Let this process's folder of stored files suffer what the plan says."""
    import pondage.files.folder

    vars(pondage.files.folder)["os"] = FaultyFiles(faults, notes)
