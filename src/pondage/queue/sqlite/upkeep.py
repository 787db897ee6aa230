"""What is done at start and every second: lines rebuilt, start limits, retention. Functions on a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from pondage.database.interface import Cursor
from pondage.queue.interface import Claim, KnownApp
from pondage.queue.order import Line
from pondage.queue.sqlite.moves import Left, end
from pondage.queue.sqlite.rows import SQL, pack_entries, running_claim, unpack_entries
from pondage.wire.events import Chunk, Outcome
from pondage.wire.frames import AppInfo
from pondage.wire.states import Move

PRIVATE_KEPT = 60.0
"""Seconds that an output that is not to be kept outlives its first read, for a caller whose answer was lost."""
BATCH = 500
"""Requests that one sweep expires or drops in one transaction, so that callers never wait long for a sweep."""


class Found(NamedTuple):
    """What the tables say at start."""

    last_seq: int
    kept_bytes: int
    lines: dict[str, Line]
    running: list[tuple[Claim, int]]
    private: set[str]


class Expired(NamedTuple):
    request_id: str
    left: Left
    outcome: Outcome


def look_around(cursor: Cursor) -> Found:
    """Rebuild what the engine keeps in memory."""
    lines: dict[str, Line] = {}
    running: list[tuple[Claim, int]] = []
    for row in cursor.execute(SQL["running"]):
        claim = running_claim(row)
        line = lines.setdefault(claim.request.app, Line())
        line.ran(row[13], claim.request.caller)
        line.running += 1
        running.append((claim, row[13]))
    for app, rank, caller in cursor.execute(SQL["waiting"]):
        lines.setdefault(app, Line()).restore(rank, caller)
    (last_seq,) = cursor.execute(SQL["last_seq"]).fetchone()
    (kept_bytes,) = cursor.execute(SQL["kept_bytes"]).fetchone()
    private = {row[0] for row in cursor.execute(SQL["private"])}
    return Found(last_seq, kept_bytes, lines, running, private)


def recover(cursor: Cursor) -> list[Claim]:
    return [running_claim(row) for row in cursor.execute(SQL["running"])]


def start_limit() -> Outcome:
    """How a request ends that no runner took in time (PROTOCOL 4.3, 9.2)."""
    return Outcome.failure(
        504,
        "no runner could start the request within its start timeout",
        "request_timeout",
        **{"x-fal-request-timeout-type": "user"},
    )


def expire(cursor: Cursor, now: float) -> list[Expired]:
    late = [row[0] for row in cursor.execute(SQL["late"], (now, BATCH))]
    expired = []
    for request_id in late:
        outcome = start_limit()
        _, left = end(cursor, request_id, Move.EXPIRE, outcome, "expire", now)
        if left is not None:
            expired.append(Expired(request_id, left, outcome))
    return expired


def drop_old(cursor: Cursor, now: float, retention: float, excess: int) -> tuple[int, int]:
    """Drop finished requests that are too old, or too much; returns how many, and their bytes."""
    cursor.execute(SQL["forget_keys"], (now,))
    dropped = size = 0
    until = now if excess > 0 else now - retention
    for seq, request_id, bytes_, finished_at in cursor.execute(SQL["oldest"], (until, BATCH)).fetchall():
        if finished_at > now - retention and size >= excess:
            break
        cursor.execute(SQL["drop"], (seq,))
        cursor.execute(SQL["drop_events"], (seq,))
        cursor.execute(SQL["drop_deliveries"], (request_id,))
        dropped += 1
        size += bytes_
    if dropped:
        cursor.execute(SQL["vacuum"])
    return dropped, size


def forget_private(cursor: Cursor, read: Sequence[str]) -> list[str]:
    """Drop the input and output of requests that asked for it, once they were read or their webhook is done."""
    ids = msgspec.json.encode(read).decode()
    forgettable = cursor.execute(SQL["forgettable"], (ids, BATCH)).fetchall()
    for seq, _ in forgettable:
        cursor.execute(SQL["forget_io"], (seq,))
        for first_n, entries in cursor.execute(SQL["chunk_rows"], (seq,)).fetchall():
            # The numbers stay, what they held goes.
            empty = [Chunk(e.at, e.n, b"null") if isinstance(e, Chunk) else e for e in unpack_entries(entries)]
            cursor.execute(SQL["rewrite_events"], (pack_entries(empty), seq, first_n))
    return [request_id for _, request_id in forgettable]


def put_app(cursor: Cursor, app: KnownApp) -> None:
    info = msgspec.msgpack.encode(app.info)
    cursor.execute(SQL["put_app"], (app.name, info, app.first_seen, app.last_seen, app.fault))


def apps(cursor: Cursor) -> list[KnownApp]:
    rows: list[tuple[Any, ...]] = list(cursor.execute(SQL["apps"]))
    return [
        KnownApp(name, msgspec.msgpack.decode(info, type=AppInfo), first, last, fault)
        for name, info, first, last, fault in rows
    ]


def referenced(cursor: Cursor, file_ids: str) -> set[str]:
    return {row[0] for row in cursor.execute(SQL["referenced"], (file_ids,))}
