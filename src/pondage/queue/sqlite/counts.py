"""The counts on SQLite: facts are left by the transactions that move requests, and folded beside them.

Adding up happens in a reader's thread; the writer only merges the sums, and deletes exactly the rows that were read.
There is one folder of facts a file, so each is folded once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from pondage.clock import Clock
from pondage.database import named
from pondage.database.interface import Cursor
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.counts import (
    DAY,
    HOUR,
    MINUTE,
    Counted,
    ErrorGroup,
    ErrorKind,
    Errors,
    Fact,
    Rolled,
    Rollup,
    Usage,
    Used,
    count,
)
from pondage.settings import Settings

SQL = named.load("pondage.queue.sqlite", "sql/counts.sql")

FOLDED_AT_ONCE = 500
"""Rows of facts that one fold takes, so that it never holds up the writer for long."""
MOST_KINDS = 1000
"""Kinds of errors of one app that are kept apart in an hour; what comes beyond is one kind without a message."""

_encode = msgspec.msgpack.Encoder().encode
_facts = msgspec.msgpack.Decoder(list[Fact]).decode
_rollup = msgspec.msgpack.Decoder(Rollup).decode
_usage = msgspec.msgpack.Decoder(Usage).decode
_errors = msgspec.msgpack.Decoder(Errors).decode


def put_facts(cursor: Cursor, facts: list[Any]) -> None:
    """What a transaction leaves at its end."""
    cursor.execute(SQL["put_facts"], (_encode(facts),))


class SqliteCounts:
    """See `pondage.queue.counts.Counts`."""

    def __init__(self, database: SqliteDatabase, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    async def fold(self) -> int:
        folded = 0
        while True:
            last, rows, counted = await self._database.read(_unfolded)
            if not rows:
                break
            await self._database.write(partial(_merged, counted=counted, last=last), lazy=True)
            folded += rows
            if rows < FOLDED_AT_ONCE:
                break
        now, kept = self._clock.wall(), self._settings
        oldest = (now - kept.rollup_minutes_kept, now - kept.rollup_hours_kept, now - kept.usage_kept)
        await self._database.write(lambda cursor: _forget(cursor, *oldest), lazy=True)
        return folded

    async def rollups(
        self, *, since: float, until: float, app: str | None = None, hourly: bool = False
    ) -> list[Rolled]:
        width = HOUR if hourly else MINUTE
        first = since // width * width
        asked = {"since": first, "until": until, "app": app}
        statement = SQL["hours" if hourly else "minutes"]

        def read(cursor: Cursor) -> list[Rolled]:
            stored = {(name, at): _rollup(data) for name, at, data in cursor.execute(statement, asked)}
            counted = _everything_unfolded(cursor)
            fresh = counted.hours if hourly else counted.minutes
            for (name, at), rollup in fresh.items():
                if first <= at < until and app in (None, name):
                    if (known := stored.get((name, at))) is None:
                        stored[name, at] = rollup
                    else:
                        known.add(rollup)
            return [Rolled(name, at, stored[name, at]) for name, at in sorted(stored, key=lambda key: key[::-1])]

        return await self._database.read(read)

    async def totals(self) -> dict[str, Rollup]:
        def read(cursor: Cursor) -> dict[str, Rollup]:
            sums = {app: _rollup(data) for app, data in cursor.execute(SQL["totals"])}
            for (app, _), rollup in _everything_unfolded(cursor).hours.items():
                sums.setdefault(app, Rollup()).add(rollup)
            return sums

        return await self._database.read(read)

    async def usage(self, *, since: float, until: float, caller: str | None = None) -> list[Used]:
        first = since // DAY * DAY
        asked = {"since": first, "until": until, "caller": caller}

        def read(cursor: Cursor) -> list[Used]:
            stored = {(who, app, day): _usage(data) for who, app, day, data in cursor.execute(SQL["days"], asked)}
            for key, usage in _everything_unfolded(cursor).usage.items():
                if first <= key[2] < until and caller in (None, key[0]):
                    if (known := stored.get(key)) is None:
                        stored[key] = usage
                    else:
                        known.add(usage)
            return [Used(*key, stored[key]) for key in sorted(stored, key=lambda key: (key[2], key[0], key[1]))]

        return await self._database.read(read)

    async def errors(self, *, since: float, until: float, app: str | None = None) -> list[ErrorGroup]:
        first = since // HOUR * HOUR
        asked = {"since": first, "until": until, "app": app}

        def read(cursor: Cursor) -> list[ErrorGroup]:
            groups: dict[tuple[str, str, str], Errors] = {}
            rows = [(ErrorKind(*row[:4]), _errors(row[4])) for row in cursor.execute(SQL["error_hours"], asked)]
            for kind, errors in (*rows, *_everything_unfolded(cursor).errors.items()):
                if not first <= kind.hour < until or app not in (None, kind.app):
                    continue
                key = (kind.app, kind.error_type, kind.message)
                if (known := groups.get(key)) is None:
                    groups[key] = errors
                else:
                    known.add(errors)
            found = [ErrorGroup(*key, errors) for key, errors in groups.items()]
            return sorted(found, key=lambda group: (-group.errors.count, -group.errors.last))

        return await self._database.read(read)


def _unfolded(cursor: Cursor) -> tuple[int, int, Counted]:
    """The oldest rows of facts: the number of the last, how many, and what they add up to."""
    rows = cursor.execute(SQL["facts"], (FOLDED_AT_ONCE,)).fetchall()
    return (rows[-1][0] if rows else 0), len(rows), count(_each(rows))


def _everything_unfolded(cursor: Cursor) -> Counted:
    return count(_each(cursor.execute(SQL["facts"], (-1,))))


def _each(rows: Iterable[tuple[int, bytes]]) -> Iterable[Fact]:
    for _, facts in rows:
        yield from _facts(facts)


def _merged(cursor: Cursor, *, counted: Counted, last: int) -> None:
    """In the writer: add the sums to what is stored, and delete the facts that they came from."""
    for key, rollup in counted.minutes.items():
        row = cursor.execute(SQL["minute"], key).fetchone()
        cursor.execute(SQL["put_minute"], (*key, _encode(_sum(row and _rollup(row[0]), rollup))))
    for key, rollup in counted.hours.items():
        row = cursor.execute(SQL["hour"], key).fetchone()
        cursor.execute(SQL["put_hour"], (*key, _encode(_sum(row and _rollup(row[0]), rollup))))
    totals: dict[str, Rollup] = {}
    for (app, _), rollup in counted.hours.items():
        totals.setdefault(app, Rollup()).add(rollup)
    for app, rollup in totals.items():
        row = cursor.execute(SQL["total"], (app,)).fetchone()
        cursor.execute(SQL["put_total"], (app, _encode(_sum(row and _rollup(row[0]), rollup))))
    for who, usage in counted.usage.items():
        row = cursor.execute(SQL["day"], who).fetchone()
        cursor.execute(SQL["put_day"], (*who, _encode(_sum(row and _usage(row[0]), usage))))
    for kind, errors in counted.errors.items():
        _merge_errors(cursor, kind, errors)
    cursor.execute(SQL["forget_facts"], (last,))


def _merge_errors(cursor: Cursor, kind: ErrorKind, errors: Errors) -> None:
    row = cursor.execute(SQL["error_hour"], kind).fetchone()
    if row is None:
        (kinds,) = cursor.execute(SQL["kinds_of_an_hour"], (kind.hour, kind.app)).fetchone()
        if kinds >= MOST_KINDS and kind.message:
            _merge_errors(cursor, kind._replace(message=""), errors)
            return
    cursor.execute(SQL["put_error_hour"], (*kind, _encode(_sum(row and _errors(row[0]), errors))))


def _sum(known: Any, more: Any) -> Any:
    """A new value: the operation may be run again, so that what was counted must stay as it is."""
    if known is None:
        return more
    known.add(more)
    return known


def _forget(cursor: Cursor, minutes: float, hours: float, days: float) -> None:
    cursor.execute(SQL["forget_minutes"], (minutes,))
    cursor.execute(SQL["forget_hours"], (hours,))
    cursor.execute(SQL["forget_error_hours"], (hours,))
    cursor.execute(SQL["forget_days"], (days,))
