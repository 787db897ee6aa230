"""The data folder: one gateway at a time holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from pondage.errors import DatabaseLost, DataFolderInUse, KeysLost, SetupError

DATABASE = "pondage.db"
LOCK = "pondage.lock"
KEYED = "keyed"
"""Is there once a key was made. Without a readable key beside it the server does not start: it would be open."""
FILES = "files"


def is_new(folder: Path) -> bool:
    """Whether the folder holds no database, or one without a byte: what is made there then begins anew."""
    database = folder / DATABASE
    return not database.exists() or database.stat().st_size == 0


def refuse_lost(folder: Path, files: str = "") -> None:
    """Stop where a database is missing that must have been there. Blocks.

    Args:
        files: the folder of stored files, if it is another than `files` in the data folder.

    Raises:
        DatabaseLost: files are stored, and no row tells of them; the next sweep would delete them all.
    """
    place = Path(files) if files else folder / FILES
    stored = place / "blobs"
    if is_new(folder) and any(path.is_file() for path in stored.rglob("*")):
        raise DatabaseLost(
            f"{folder / DATABASE} is missing or empty, but {stored} is not: the database was lost, and without it "
            f"these files would be deleted. Restore a backup (pondage restore BACKUP --data NEW), or move {place} away "
            "to begin anew"
        )


def refuse_open(folder: Path, *, keys: bool) -> None:
    """Stop where keys were made and there are none. Blocks.

    Args:
        keys: whether the database has any, revoked ones too.

    Raises:
        KeysLost: the server would be open to every program of this machine.
    """
    if not keys and (folder / KEYED).exists():
        raise KeysLost(
            f"the file {folder / KEYED} says that keys were made, but {folder / DATABASE} has none: it is not the "
            "database that was here. Restore a backup (pondage restore BACKUP --data NEW), or make a new key (pondage "
            f"keys create NAME --scopes admin --data {folder}); delete the file only if the server is to be open again"
        )


def mark_keyed(folder: Path) -> None:
    """Note for every later start that keys were made. Durable when it returns. Blocks."""
    path = folder / KEYED
    if path.exists():
        return
    for name, flags in ((path, os.O_WRONLY | os.O_CREAT), (folder, os.O_RDONLY)):
        opened = os.open(name, flags | os.O_CLOEXEC, 0o600)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


class FolderLock:
    """An exclusive lock on a data folder, held by the process until `release` or its death."""

    def __init__(self, folder: Path) -> None:
        """Take the lock; the folder is made if it is not there.

        Raises:
            DataFolderInUse: another process holds it; the message names its pid.
            SetupError: the folder cannot be made or written.
        """
        self._path = folder / LOCK
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupError(f"cannot use the data folder {folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(self._fd, 32).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise DataFolderInUse(
                f"the data folder {folder} is in use by the process {pid or 'of another gateway'}; "
                "stop it first, or choose another folder with --data"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the folder back. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def secret(path: Path) -> bytes:
    """32 random bytes that stay the same over restarts; readable by this user only."""
    with contextlib.suppress(FileExistsError):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
    found = path.read_bytes()
    if len(found) != 32:
        raise SetupError(f"{path} is damaged: it must hold 32 bytes; delete it, and a new one is made")
    return found
