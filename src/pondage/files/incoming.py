"""The folder of what is being written, which the gateways of one store share.

Each has a name and holds a lock on a file of that name; what it writes begins with the name. So a gateway that starts
drops what the dead have left, at once, and nothing of the living. A lock ends with its process, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

_LOCK = ".lock"


class Incoming:
    """This gateway's part of the folder. Its methods block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = secrets.token_hex(8)
        self._fd = -1

    def open(self) -> None:
        """Take a name, and drop what gateways that live no more have left.

        Raises:
            OSError: the folder cannot be used.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._fd = _locked(self._folder / f"{self._name}{_LOCK}", create=True)
        alive: dict[str, bool] = {self._name: True}
        for left in self._folder.iterdir():
            name = left.name.removesuffix(_LOCK).partition("-")[0]
            if name not in alive:
                alive[name] = _is_held(self._folder / f"{name}{_LOCK}")
            if not alive[name]:
                left.unlink(missing_ok=True)

    def path(self) -> Path:
        """Where the next file is written."""
        return self._folder / f"{self._name}-{secrets.token_hex(8)}"

    def close(self) -> None:
        """Give the name back. Safe to call twice."""
        if self._fd >= 0:
            # A lock file that cannot be removed is one that nobody holds: the next gateway removes it.
            with contextlib.suppress(OSError):
                (self._folder / f"{self._name}{_LOCK}").unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


def _locked(path: Path, *, create: bool = False) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _is_held(path: Path) -> bool:
    """Whether the owner of a lock lives."""
    with contextlib.suppress(FileNotFoundError):
        try:
            os.close(_locked(path))
        except BlockingIOError:
            return True
    return False
