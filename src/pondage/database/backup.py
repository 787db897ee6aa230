"""Backups: a copy of a running database, and the way back.

The copy is made with SQLite's online backup by a connection of its own, so that the server goes on meanwhile; what is
copied is one committed state. Both functions block and are meant for a command.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from pondage.database.folder import DATABASE, FolderLock
from pondage.database.migrations import ours, version
from pondage.database.sqlite import BUSY_TIMEOUT, damaged, find_damage
from pondage.errors import DatabaseDamaged, DatabaseTooNew, SetupError


def back_up(data: Path, target: Path) -> Path:
    """Copy the database of a data folder, in use or not, into the folder `target`; returns the copy's path.

    Raises:
        SetupError: there is no database, or `target` holds one already.
        DatabaseDamaged: the copy fails its check; it is removed.
    """
    source, copy = data / DATABASE, target / DATABASE
    if not source.is_file():
        raise SetupError(f"there is no database in {data}")
    if copy.exists():
        raise SetupError(f"{target} holds a backup already; name an empty folder")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target / f"{DATABASE}.part"
    part.unlink(missing_ok=True)
    reader = apsw.Connection(str(source))
    try:
        reader.set_busy_timeout(BUSY_TIMEOUT)
        # VACUUM INTO reads one snapshot however much is written meanwhile; copying page by page would begin again.
        reader.execute("VACUUM INTO ?", (str(part),))
    except (apsw.CorruptError, apsw.NotADBError) as error:
        part.unlink(missing_ok=True)
        raise damaged(source, str(error)) from error
    except apsw.Error as error:
        part.unlink(missing_ok=True)
        raise SetupError(f"cannot back up {source} to {target}: {error}") from error
    finally:
        reader.close()
    try:
        verify(part)
    except DatabaseDamaged:
        part.unlink(missing_ok=True)
        raise
    part.chmod(0o600)
    _durable(part, copy)
    return copy


def restore(backup: Path, data: Path) -> Path:
    """Put a backup into an empty data folder; returns the database's path.

    Raises:
        SetupError: there is no backup, or the data folder holds a database already.
        DataFolderInUse: a gateway runs in the data folder.
        DatabaseDamaged, DatabaseTooNew: the backup is not one that this version can serve.
    """
    source, place = backup / DATABASE, data / DATABASE
    if not source.is_file():
        raise SetupError(f"there is no backup in {backup}: {DATABASE} is missing")
    verify(source)
    lock = FolderLock(data)
    try:
        if place.exists():
            raise SetupError(f"{data} holds a database already; restore into an empty folder")
        part = data / f"{DATABASE}.part"
        with source.open("rb") as there, part.open("wb") as here:
            while block := there.read(1024 * 1024):
                here.write(block)
        part.chmod(0o600)
        verify(part)
        _durable(part, place)
    finally:
        lock.release()
    return place


def verify(path: Path) -> None:
    """Check that a file is a whole database that this version can read.

    Raises:
        DatabaseDamaged, DatabaseTooNew
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            find_damage(connection, path)
            newest = ours()[-1].number
            if version(connection) > newest:
                raise DatabaseTooNew(f"{path} has schema {version(connection)}, this version reads up to {newest}")
        finally:
            connection.close()
    except apsw.Error as error:
        raise damaged(path, str(error)) from error


def _durable(part: Path, whole: Path) -> None:
    """Give a finished file its name; file and name are on disk afterwards."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.rename(whole)
    folder = os.open(whole.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
