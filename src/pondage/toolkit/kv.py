"""fal's `KVStore`: texts by their keys, for all runners of this machine. There it is a service; here it is a file."""

from __future__ import annotations

import re
import time
from contextlib import closing

from pondage.toolkit.download import FAL_PERSISTENT_DIR
from pondage.toolkit.exceptions import KVStoreException

SHORTEST, LONGEST = 60, 30 * 24 * 3600
"""Seconds that a value may be kept for, and, without a word, the longest."""
_PATIENCE = 10.0
"""Seconds to wait for another process that writes."""
_NAME = re.compile(r"[\w.@-]{1,200}")


class KVStore:
    """A store of texts. Its methods may be called from any thread, and by several runners at once.

    Args:
        db_name: letters, digits, `_`, `.`, `@`, `-`; the store is a file of this name below `FAL_PERSISTENT_DIR`.

    Raises:
        KVStoreException: the name cannot be a file's.
    """

    def __init__(self, db_name: str) -> None:
        if not _NAME.fullmatch(db_name) or not db_name.strip("."):
            raise KVStoreException(f"{db_name!r} is no name of a store: letters, digits, _ . @ - are taken")
        self.db_name = db_name
        self._path = FAL_PERSISTENT_DIR / "kv" / f"{db_name}.sqlite"

    def get(self, key: str) -> str | None:
        """The text, or None where there is none, or its time is over.

        Raises:
            KVStoreException: the file cannot be read.
        """
        found = self._run("SELECT value FROM texts WHERE key = ? AND ends > ?", key, time.time())
        return str(found[0][0]) if found else None

    def set(self, key: str, value: str, ttl: int | None = None) -> None:
        """Keep a text, for `ttl` seconds: 60 to 2,592,000 (30 days), which is also the default.

        Raises:
            KVStoreException: `ttl` is out of bounds, `value` is no text, or the file cannot be written.
        """
        if not isinstance(value, str):
            raise KVStoreException(f"a value is text, got a {type(value).__name__}")
        if ttl is not None and not SHORTEST <= ttl <= LONGEST:
            raise KVStoreException(f"ttl is {SHORTEST} to {LONGEST} seconds, got {ttl}")
        now = time.time()
        self._run("DELETE FROM texts WHERE ends <= ?", now)
        self._run(
            "INSERT OR REPLACE INTO texts (key, value, ends) VALUES (?, ?, ?)", key, value, now + (ttl or LONGEST)
        )

    def delete(self, key: str) -> None:
        """Forget a text, if there is one.

        Raises:
            KVStoreException: the file cannot be written.
        """
        self._run("DELETE FROM texts WHERE key = ?", key)

    def _run(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        import sqlite3  # here: most apps keep no texts

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as connection, connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS texts (key TEXT PRIMARY KEY, value TEXT NOT NULL, ends REAL NOT NULL)"
                )
                return connection.execute(sql, values).fetchall()
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise KVStoreException(f"the store {self._path}: {error}") from error
