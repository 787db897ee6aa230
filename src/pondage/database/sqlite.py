"""The database of one machine: one SQLite file in the data folder, one writer, a few readers.

WAL with `synchronous=FULL`: what was committed survives the loss of power; a torn tail of the log is what was never
committed. Incremental vacuum is chosen when the file is made, because it cannot be added without rewriting the file.
"""

from __future__ import annotations

import asyncio
import os
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from pondage.clock import Clock
from pondage.database.folder import DATABASE, FolderLock, keep_reserve, use_reserve
from pondage.database.interface import Cursor
from pondage.database.migrations import migrate, ours, version
from pondage.database.writer import Write, Writer, translated
from pondage.errors import DatabaseDamaged, SetupError, StorageFull, Unavailable

T = TypeVar("T")

READERS = 3
BUSY_TIMEOUT = 10_000
"""Milliseconds to wait for another process that writes (a command, for a few milliseconds)."""
WHOLE_CHECK_BYTES = 128 * 1024 * 1024
"""A larger file is checked only where the queue's live rows are, so that opening stays quick."""
LIVE_TABLES = ("requests", "idempotency", "apps", "api_keys")
"""What is checked of a large file: what decides about requests. Payloads may be any size; damage there is an error of
the read that meets it."""


class SqliteDatabase:
    """See `pondage.database.interface.Database`. Made by `open` or `attach`, from a running event loop."""

    def __init__(self, path: Path, lock: FolderLock | None, connection: apsw.Connection) -> None:
        self.path = path
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(connection, self._loop, str(path), alone=lock is not None)
        self._readers: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        self._connections: list[apsw.Connection] = []
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="pondage-reader")
        self._closed = False
        self._damage: DatabaseDamaged | None = None

    @classmethod
    async def open(cls, folder: Path, clock: Clock | None = None, *, check: bool = True) -> SqliteDatabase:
        """Take the data folder, check the database, bring it up to this version.

        Args:
            folder: the data folder; made if it is not there.
            clock: unused by this engine; every engine is opened in the same way.
            check: look for damage first.

        Raises:
            DataFolderInUse: another gateway has it.
            DatabaseTooNew: a newer version wrote it.
            DatabaseDamaged: it fails its check; nothing is served from it.
            SetupError: the folder cannot be used.
        """

        def prepare() -> tuple[FolderLock, apsw.Connection]:
            lock = FolderLock(folder)
            try:
                if not use_reserve(folder):
                    keep_reserve(folder)
                try:
                    connection = connect(folder / DATABASE, check=check)
                except SetupError as error:
                    # A quota, say, of which the disk itself knows nothing.
                    if not isinstance(error.__cause__, StorageFull) or not use_reserve(folder, anyway=True):
                        raise
                    connection = connect(folder / DATABASE, check=check)
                return lock, connection
            except BaseException:
                lock.release()
                raise

        lock, connection = await asyncio.get_running_loop().run_in_executor(None, prepare)
        return cls(folder / DATABASE, lock, connection)

    @classmethod
    async def attach(cls, folder: Path) -> SqliteDatabase:
        """Open the database beside a gateway that may hold the folder, for short reads and writes by a command.

        Raises:
            SetupError: there is no database in the folder.
            DataFolderInUse: a server of an older version runs on it.
            DatabaseTooNew: a newer version wrote it.
        """
        path = folder / DATABASE

        def prepare() -> apsw.Connection:
            if not path.is_file():
                raise SetupError(f"there is no database in {folder}; `--data` names another folder")
            if not up_to_date(path):
                # Never change the tables under a server of another version that runs.
                lock = FolderLock(folder)
                try:
                    return connect(path, check=False)
                finally:
                    lock.release()
            return connect(path, check=False)

        return cls(path, None, await asyncio.get_running_loop().run_in_executor(None, prepare))

    def write(
        self,
        operation: Callable[[Cursor], T],
        *,
        early: Callable[[T], None] | None = None,
        lazy: bool = False,
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        try:
            self._writer.put(Write(operation, future, early, None), lazy=lazy)
        except Unavailable as error:
            future.set_exception(error)
        return future

    def post(
        self,
        operation: Callable[[Cursor], T],
        settled: Callable[[T | None, BaseException | None], None],
        *,
        early: Callable[[T], None] | None = None,
        lazy: bool = False,
    ) -> None:
        """`write` for those who need no future: `settled(result, error)` is called on the loop, without fail."""
        try:
            self._writer.put(Write(operation, None, early, settled), lazy=lazy)
        except Unavailable as error:
            settled(None, error)

    def write_notes(self, write: Callable[[Cursor, list[Any]], None]) -> None:
        """Have `write(cursor, notes)` run at the end of each transaction whose operations noted something."""
        self._writer.write_notes(write)

    @property
    def failing(self) -> bool:
        """Whether the last commit failed: a full disk, say."""
        return self._writer.failing

    def keep_folder(self) -> str:
        """See that the data folder is still ours; what is wrong with it, or an empty text. Blocks."""
        return self._lock.keep() if self._lock is not None else ""

    async def try_writing(self) -> None:
        """Write something that changes nothing, so that `failing` says what is true now.

        Raises:
            StorageFull, Unavailable: it cannot be written still.
        """

        def operation(cursor: Cursor) -> None:
            ((number,),) = list(cursor.execute("PRAGMA user_version"))
            cursor.execute(f"PRAGMA user_version = {int(number)}")

        await self.write(operation)

    @property
    def damage(self) -> DatabaseDamaged | None:
        """The damage that a read or write has met since the start, if one has."""
        return self._damage or self._writer.damage

    async def read(self, operation: Callable[[Cursor], T]) -> T:
        if self._closed:
            raise Unavailable("the server is stopping")
        return await self._loop.run_in_executor(self._pool, self._read, operation)

    async def close(self) -> None:
        """Commit what was handed over, close the file, give the folder back. Safe to call twice."""
        self._closed = True
        await self._writer.close()
        await self._loop.run_in_executor(None, self._pool.shutdown)
        while self._connections:
            self._connections.pop().close()
        if self._lock is not None:
            self._lock.release()

    def _read(self, operation: Callable[[Cursor], T]) -> T:
        connection = self._reader()
        cursor: Any = connection.cursor()
        try:
            cursor.execute("BEGIN")
            try:
                return operation(cursor)
            finally:
                if connection.in_transaction:
                    cursor.execute("COMMIT")
        except apsw.Error as error:
            mine = translated(error, connection, str(self.path))
            if isinstance(mine, DatabaseDamaged):
                self._damage = mine
            raise mine from error
        finally:
            self._readers.put(connection)

    def _reader(self) -> apsw.Connection:
        """A free reading connection: there are never more readers than threads of the pool."""
        try:
            return self._readers.get_nowait()
        except queue.Empty:
            connection = apsw.Connection(str(self.path))
            connection.set_busy_timeout(BUSY_TIMEOUT)
            connection.pragma("query_only", True)
            self._connections.append(connection)
            return connection


def connect(path: Path, *, check: bool) -> apsw.Connection:
    """The writing connection to a database that is sound and of this version. Blocks.

    Raises:
        DatabaseTooNew, DatabaseDamaged, SetupError: as `SqliteDatabase.open`.
    """
    fresh = not path.exists() or path.stat().st_size == 0
    try:
        # Made by us and not by SQLite, so that also the log, which takes the file's mode, is the owner's only.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(str(path))
    except (OSError, apsw.Error) as error:
        raise SetupError(f"cannot open the database {path}: {error}") from error
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT)
        if fresh:
            connection.pragma("auto_vacuum", 2)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "FULL")
        connection.wal_autocheckpoint(0)
        if check and not fresh:
            find_damage(connection, path)
        migrate(connection)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        connection.close()
        raise damaged(path, str(error)) from error
    except apsw.Error as error:
        mine = translated(error, connection, str(path))
        connection.close()
        raise SetupError(f"cannot open the database {path}: {mine}") from mine
    except BaseException:
        connection.close()
        raise
    return connection


def up_to_date(path: Path) -> bool:
    """Whether all migrations of this version were applied to an existing database."""
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT)
        return version(connection) == ours()[-1].number
    except apsw.Error as error:
        raise damaged(path, str(error)) from error
    finally:
        connection.close()


def find_damage(connection: apsw.Connection, path: Path) -> None:
    """Look for damage of the main file: all of it where that is quick, else the tables that live requests are in.

    Raises:
        DatabaseDamaged: there is some.
    """
    tables: tuple[str, ...] = ("",)
    if path.stat().st_size > WHOLE_CHECK_BYTES:
        there = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        tables = tuple(f"({name})" for name in LIVE_TABLES if name in there)
    for table in tables:
        for (answer,) in connection.execute(f"PRAGMA quick_check{table or '(3)'}"):
            if answer != "ok":
                raise damaged(path, str(answer))


def damaged(path: Path, what: str) -> DatabaseDamaged:
    """The error that says what to do about a damaged database."""
    return DatabaseDamaged(
        f"the database {path} is damaged ({what.strip()[:200]}); nothing is served from it. Restore a backup with "
        "`pondage restore BACKUP --data EMPTY_FOLDER`, and keep this folder for inspection"
    )
