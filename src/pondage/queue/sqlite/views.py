"""What readers see of a request: its view, its log, lists. Functions on a cursor that reads one snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pondage.database.interface import Cursor
from pondage.errors import BadRequest
from pondage.queue.interface import Filter, NewRequest, Ran
from pondage.queue.sqlite.moves import counted_ahead
from pondage.queue.sqlite.rows import SQL
from pondage.queue.stored import (
    STORED_AS,
    WAITS,
    StoredOutcome,
    StoredRequest,
    StoredRun,
    StoredView,
    column_events,
    outcome,
    ran,
    request,
    unpack_entries,
)
from pondage.wire.events import Chunk, Event, Outcome
from pondage.wire.states import OutcomeKind, State

NEWEST_ROWS = 2000
"""How many rows `newest` looks back."""
NAMING_ROWS = 1000
"""How many requests that refer to one file `naming` looks at."""


def find(cursor: Cursor, request_id: str) -> StoredView | None:
    """The row of a request, hot or cold."""
    for statement in ("view_hot", "view_cold"):
        row = cursor.execute(SQL[statement] + " WHERE id = ?", (request_id,)).fetchone()
        if row is not None:
            return StoredView._make(row)
    return None


def placed(cursor: Cursor, request_id: str) -> tuple[StoredView, int | None] | None:
    """The row of a request, and how many are ahead of it if it waits and they can be counted."""
    row = find(cursor, request_id)
    if row is None or row.rank is None or row.state != WAITS:
        return None if row is None else (row, None)
    return row, counted_ahead(cursor, row.app, row.rank, row.seq)


def input_of(cursor: Cursor, request_id: str) -> NewRequest | None:
    for statement in ("input_hot", "input_cold"):
        row = cursor.execute(SQL[statement], (request_id,)).fetchone()
        if row is not None:
            return request(StoredRequest._make(row))
    return None


def outcome_of(cursor: Cursor, request_id: str) -> Outcome | None:
    row = cursor.execute(SQL["outcome"], (request_id,)).fetchone()
    return None if row is None else outcome(StoredOutcome._make(row))


def history(cursor: Cursor, app: str, limit: int) -> list[Ran]:
    rows = cursor.execute(SQL["history"], {"app": app, "limit": limit}).fetchall()
    return [one for row in reversed(rows) if (one := ran(StoredRun._make(row))) is not None]


def is_hot(cursor: Cursor, request_id: str) -> bool:
    return cursor.execute(SQL["is_hot"], (request_id,)).fetchone() is not None


def events(cursor: Cursor, request_id: str, after: int, limit: int, kinds: frozenset[str] | None) -> list[Event]:
    row = find(cursor, request_id)
    if row is None:
        return []
    found: list[Event] = []
    for event in numbered(cursor, row, after):
        if kinds is None or event.kind in kinds:
            found.append(event)
            if len(found) >= limit:
                break
    return found


def newest(cursor: Cursor, request_id: str, kinds: frozenset[str], limit: int) -> list[Event]:
    seq = cursor.execute(SQL["seq"], (request_id,)).fetchone()
    if seq is None:
        return []
    found: list[Event] = []
    for first_n, attempt, entries in cursor.execute(SQL["newest"], (seq[0], NEWEST_ROWS)):
        events = (Event(n, attempt, entry) for n, entry in enumerate(unpack_entries(entries), first_n))
        found[:0] = [event for event in events if event.kind in kinds]
        if len(found) >= limit:
            break
    return found[-limit:]


def numbered(cursor: Cursor, row: StoredView, after: int) -> Iterator[Event]:
    """The log from number `after` on: the rows of `events`, and between them the events that are columns."""
    own = [event for event in column_events(row) if event.n > after]
    for first_n, attempt, count, entries in cursor.execute(SQL["events"], (row.seq, after + 1)):
        if first_n + count - 1 <= after:
            continue
        while own and own[0].n < first_n:
            yield own.pop(0)
        for n, entry in enumerate(unpack_entries(entries), first_n):
            if n > after:
                yield Event(n, attempt, entry)
    yield from own


def chunks(
    cursor: Cursor, request_id: str, after: tuple[int, int], limit: int, most_bytes: int | None = None
) -> list[Event]:
    found: list[Event] = []
    size = 0
    seq = cursor.execute(SQL["seq"], (request_id,)).fetchone()
    if seq is None:
        return found
    for first_n, attempt, entries in cursor.execute(SQL["chunks"], (seq[0], *after)):
        for n, entry in enumerate(unpack_entries(entries), first_n):
            if isinstance(entry, Chunk) and (attempt, entry.n) > after:
                size += len(entry.data)
                if found and most_bytes is not None and size > most_bytes:
                    return found
                found.append(Event(n, attempt, entry))
                if len(found) >= limit:
                    return found
    return found


def naming(cursor: Cursor, file_id: str, caller: str) -> list[StoredView]:
    """Rows of the newest requests of a key's tokens whose inputs refer to a file."""
    found: list[StoredView] = []
    for (seq,) in cursor.execute(SQL["naming"], (file_id, caller, NAMING_ROWS)).fetchall():
        for statement in ("view_hot", "view_cold"):
            found += map(StoredView._make, cursor.execute(SQL[statement] + " WHERE seq = ?", (seq,)))
    return found


def page(cursor: Cursor, filter: Filter) -> tuple[list[StoredView], str | None]:
    """Rows of a page, newest first, and the next page's cursor.

    Raises:
        BadRequest: the cursor is none of ours.
    """
    conditions, values = where(filter)
    limit = max(1, min(filter.limit, 1000))
    rows: list[StoredView] = []
    ended = filter.outcome is not None or filter.error_type is not None or filter.slower is not None
    if filter.state is not State.DONE and not ended:
        state = "" if filter.state is None else f" AND state IN {STORED_AS[filter.state]}"
        hot = f"{SQL['view_hot']} WHERE {conditions}{state} ORDER BY seq DESC LIMIT ?"
        rows += map(StoredView._make, cursor.execute(hot, (*values, limit + 1)))
    if filter.state in (None, State.DONE):
        only, more = of_the_ended(filter)
        cold = f"{SQL['view_cold']} WHERE {conditions}{only}{_stretch(cursor, filter)} ORDER BY seq DESC LIMIT ?"
        rows += map(StoredView._make, cursor.execute(cold, (*values, *more, limit + 1)))
    rows.sort(key=lambda row: -row.seq)
    return rows[:limit], str(rows[limit - 1].seq) if len(rows) > limit else None


def of_the_ended(filter: Filter) -> tuple[str, tuple[Any, ...]]:
    """Conditions that only finished requests can meet. A kind is written out: so the index of failures is found."""
    conditions = ""
    values: list[Any] = []
    kind = OutcomeKind.ERROR if filter.error_type is not None and filter.outcome is None else filter.outcome
    if kind is not None:
        conditions += f" AND kind = '{OutcomeKind(kind).value}'"
        if kind is not OutcomeKind.OK:
            conditions += " AND kind <> 'ok'"  # by this, and by nothing else, SQLite finds the index
    if filter.error_type is not None:
        conditions += " AND error_type = ?"
        values.append(filter.error_type)
    if filter.slower is not None:
        conditions += " AND finished_at - started_at > ?"
        values.append(filter.slower)
    return conditions, tuple(values)


_CLOCK_SLACK = 3600.0
"""Seconds by which clocks may have been set back between two submits, for the bounds of a time range."""


def _stretch(cursor: Cursor, filter: Filter) -> str:
    """The stretch of the history that a time range can lie in, so that a page of it does not walk there from today.

    Requests are numbered as they come: their times grow along the numbers but for clocks that were set.
    """
    made = ""
    if filter.until is not None:
        made += f" AND seq < {_first_from(cursor, filter.until + _CLOCK_SLACK)}"
    if filter.since is not None:
        made += f" AND seq >= {_first_from(cursor, filter.since - _CLOCK_SLACK)}"
    return made


def _first_from(cursor: Cursor, moment: float) -> int:
    """About the number of the first finished request that came at a time or later, by halving."""
    low, high = cursor.execute(SQL["finished_ends"]).fetchone()
    if low is None:
        return 0
    high += 1
    while low < high:
        middle = (low + high) // 2
        row = cursor.execute(SQL["finished_from"], (middle,)).fetchone()
        if row is None or row[1] >= moment:
            high = middle
        else:
            low = row[0] + 1
    return int(low)


def where(filter: Filter) -> tuple[str, tuple[Any, ...]]:
    """The condition on the columns that both tables have, and its values."""
    conditions: list[str] = ["1"]
    values: list[Any] = []
    if filter.cursor is not None:
        if not (filter.cursor.isascii() and filter.cursor.isdigit() and len(filter.cursor) < 19):
            raise BadRequest(f"{filter.cursor!r} is not a cursor of this list")
        conditions.append("seq < ?")
        values.append(int(filter.cursor))
    asked: tuple[tuple[str, Any], ...] = (
        ("id = ?", filter.id),
        ("app = ?", filter.app),
        ("path = ?", filter.path),
        ("caller = ?" + (" AND caller <> ''" if filter.caller else ""), filter.caller),
        ("submitted_at >= ?", filter.since),
        ("submitted_at < ?", filter.until),
    )
    for condition, value in asked:
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if filter.apps is not None:
        conditions.append(f"app IN ({', '.join('?' * len(filter.apps))})")
        values += filter.apps
    if filter.subject is not None:
        conditions.append("seq IN (SELECT seq FROM token_requests WHERE caller = ? AND subject = ?)")
        values += [filter.caller or "", filter.subject]
    if filter.id_tail:
        conditions.append("substr(id, -?) = ?")
        values += [len(filter.id_tail), filter.id_tail]
    return " AND ".join(conditions), tuple(values)
