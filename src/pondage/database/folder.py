"""The data folder: one gateway at a time holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from pondage.errors import DataFolderInUse, SetupError

DATABASE = "pondage.db"
LOCK = "pondage.lock"


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
