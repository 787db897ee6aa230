"""The data folder: one gateway at a time holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import stat
from pathlib import Path

import msgspec

from pondage.errors import DatabaseLost, DataFolderInUse, KeysLost, SetupError

DATABASE = "pondage.db"
LOCK = "pondage.lock"
KEYED = "keyed"
"""Is there once a key was made. Without a readable key beside it the server does not start: it would be open."""
FILES = "files"
RESERVE = "reserve"
RESERVE_BYTES = 1024 * 1024
"""Kept for a start on a full disk, which needs room for the log beside the database before anything can be read."""

log = logging.getLogger("pondage.server")


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
    """An exclusive lock on a data folder, held by the process until `release` or its death.

    Two locks, in fact: on the file that names the holder, and on the folder itself, so that nobody who removes the file
    lets a second gateway in. (A network file system may know no lock on a folder; there the file alone counts.)
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock; the folder is made if it is not there.

        Raises:
            DataFolderInUse: another process holds it; the message names its pid.
            SetupError: the folder cannot be made or written.
        """
        self._folder = folder
        self._path = folder / LOCK
        self._fd = self._folder_fd = -1
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = self._open()
            self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self.release()
            raise SetupError(f"cannot use the data folder {folder}: {error.strerror}") from error
        if not _locked(self._fd) or not _locked(self._folder_fd, needed=False):
            pid = os.read(self._fd, 32).decode("ascii", "replace").strip()
            self.release()
            raise DataFolderInUse(
                f"the data folder {folder} is in use by the process {pid or 'of another gateway'}; "
                "stop it first, or choose another folder with --data"
            )
        self._name_holder()
        self._narrow()

    def _narrow(self) -> None:
        """Close the folder to other users of this machine: they could list what is stored. Said where that cannot be
        done, or where the folder seems to be for more than our data."""
        there = os.fstat(self._folder_fd)
        if not there.st_mode & 0o077:
            return
        names = set(os.listdir(self._folder_fd))
        ours = DATABASE in names or names <= {LOCK}
        why = "it holds what is not ours" if not ours else "it is shared" if there.st_mode & stat.S_ISVTX else ""
        if not why:
            try:
                os.fchmod(self._folder_fd, stat.S_IMODE(there.st_mode) & ~0o077)
            except OSError as error:
                why = error.strerror or str(error)
        mode = f"{stat.S_IMODE(there.st_mode):04o}"
        if why:
            log.warning(
                "the data folder %s is open to other users (mode %s), and stays so: %s", self._folder, mode, why
            )
        else:
            log.info(
                "the data folder %s was open to other users (mode %s), and is its owner's alone now", self._folder, mode
            )

    def keep(self) -> str:
        """See that the folder is still the one that was taken, and make its lock file anew where somebody removed it.

        Returns:
            What is wrong, in a sentence; empty where all is well.
        """
        try:
            there = os.stat(self._folder)
        except OSError as error:
            return f"the data folder {self._folder} cannot be reached: {error.strerror}"
        if not os.path.samestat(there, os.fstat(self._folder_fd)):
            return f"{self._folder} is not the data folder that was opened: it was removed, or another put in its place"
        try:
            if os.path.samestat(os.stat(self._path), os.fstat(self._fd)):
                return ""
        except FileNotFoundError:
            pass
        except OSError as error:
            return f"{self._path} cannot be reached: {error.strerror}"
        try:
            fresh = self._open()
        except OSError as error:
            return f"{self._path} was removed, and cannot be made again: {error.strerror}"
        if not _locked(fresh):
            os.close(fresh)
            return f"{self._path} was removed, and another process has made and locked one of its own"
        log.warning("%s was removed under the running gateway, and is made again", self._path)
        os.close(self._fd)
        self._fd = fresh
        self._name_holder()
        return ""

    def release(self) -> None:
        """Give the folder back. Safe to call twice."""
        for fd in (self._fd, self._folder_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._folder_fd = -1

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _name_holder(self) -> None:
        # The lock holds without a name in it: on a full disk there may be no room for one.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)


def _locked(fd: int, *, needed: bool = True) -> bool:
    """Take an exclusive lock on what is open; False where another process has it.

    With `needed` False, what knows no locks counts as locked.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return not needed and error.errno not in {errno.EWOULDBLOCK, errno.EACCES}
    return True


def keep_reserve(folder: Path) -> None:
    """Set the reserve aside, unless it is there or there is no room for it."""
    path = folder / RESERVE
    with contextlib.suppress(OSError):
        if path.exists() and path.stat().st_size == RESERVE_BYTES:
            return
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(bytes(RESERVE_BYTES))
        except OSError:
            path.unlink()


def use_reserve(folder: Path, *, anyway: bool = False) -> bool:
    """Give the reserve to a start that has no other room; True if it did. With `anyway`, whatever the disk says."""
    path = folder / RESERVE
    try:
        space = os.statvfs(folder)
        if space.f_bavail * space.f_frsize >= RESERVE_BYTES and not anyway:
            return False
        path.unlink()
    except OSError:
        return False
    log.warning("the disk is full: the server starts with the room that %s kept", path)
    return True


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


class GatewayNote(msgspec.Struct, frozen=True):
    """What `<data>/gateway.json` says of the gateway that runs on this folder."""

    pid: int
    url: str
    version: str


def note_gateway(data: Path, note: GatewayNote) -> None:
    """Say for commands on this machine which gateway runs on this folder."""
    path = data / "gateway.json"
    try:
        path.with_suffix(".new").write_bytes(msgspec.json.encode(note))
        path.with_suffix(".new").rename(path)
    except OSError as error:
        log.warning("%s says nothing of this gateway: %s", path, error)


def forget_gateway(data: Path) -> None:
    """No gateway runs on this folder any more."""
    with contextlib.suppress(OSError):
        (data / "gateway.json").unlink()
