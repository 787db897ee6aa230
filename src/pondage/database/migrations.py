"""Numbered SQL files, applied in order, each in one transaction; `PRAGMA user_version` holds the last number.

A file is never edited after a release. A database whose number is higher than any file's was written by a newer
version and is left alone.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import NamedTuple

import apsw

from pondage.errors import DatabaseTooNew

_NAME = re.compile(r"(\d{4})_[a-z_]+\.sql\Z")


class Migration(NamedTuple):
    number: int
    name: str
    sql: str


def ours() -> list[Migration]:
    """The migrations of this version, in order.

    Raises:
        ValueError: two files bear one number.
    """
    found = []
    for file in resources.files("pondage.database").joinpath("sql").iterdir():
        if match := _NAME.match(file.name):
            found.append(Migration(int(match[1]), file.name, file.read_text("utf-8")))
    found.sort()
    numbers = [m.number for m in found]
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"two migrations bear one number: {[m.name for m in found]}")
    return found


def version(connection: apsw.Connection) -> int:
    """The number of the last migration that was applied."""
    return int(connection.pragma("user_version") or 0)


def migrate(connection: apsw.Connection, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing; returns the names of what was applied.

    Raises:
        DatabaseTooNew: the database is ahead of this version.
    """
    migrations = ours() if migrations is None else migrations
    at = version(connection)
    newest = migrations[-1].number if migrations else 0
    if at > newest:
        raise DatabaseTooNew(
            f"the database has schema {at}, this version knows schemas up to {newest}: it was written by a newer "
            "version of Pondage; install that version again, or restore a backup made before the change"
        )
    applied = []
    for migration in migrations:
        if migration.number <= at:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have applied it while we waited for the lock.
            if version(connection) < migration.number:
                connection.execute(migration.sql)
                connection.pragma("user_version", migration.number)
                applied.append(migration.name)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return applied
