"""What is done at start and every second: lines rebuilt, start limits, retention. Functions on a cursor."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from pondage.database.interface import Cursor
from pondage.queue import stored
from pondage.queue.interface import Claim, KnownApp
from pondage.queue.sqlite.moves import LeftRequest, end
from pondage.queue.sqlite.order import Line
from pondage.queue.sqlite.rows import SQL
from pondage.queue.stored import StoredRequest, pack_entries, unpack_entries
from pondage.wire import outcomes
from pondage.wire.events import Chunk, Outcome
from pondage.wire.frames import AppInfo
from pondage.wire.states import Move

PRIVATE_KEPT = 60.0
"""Seconds that an output that is not to be kept outlives its first read, for a caller whose answer was lost."""
BATCH = 50
"""Requests that a sweep expires, lets go or drops in one transaction, so that no caller waits long for it."""
PARTS = 20
"""Such transactions of one sweep, with a breath between two of them."""
BREATH = 0.002
"""Seconds of it."""


VACUUMED = 1000
"""Pages that one sweep gives back to the file system: 4 MB. The number stands in the statement `vacuum` too."""


class QueueAtOpen(NamedTuple):
    """What the tables say at start. `seat` is the id of this life of the gateway, `running` maps requests to apps."""

    seat: int
    last_seq: int
    kept_bytes: int
    lines: dict[str, Line]
    running: dict[str, str]
    private: set[str]
    scheduled: dict[str, int]
    """How many requests of each caller wait for their time."""
    brought: dict[str, int]
    """Bytes of each caller's inputs whose requests have not ended."""
    newest: float | None
    """When something was last written down; None: nothing is there."""


class Expired(NamedTuple):
    request_id: str
    left: LeftRequest
    outcome: Outcome


def take_seat(cursor: Cursor, now: float) -> QueueAtOpen:
    """End the seat that was here before, begin a new one, and rebuild what the engine keeps in memory."""
    cursor.execute(SQL["end_seats"], (now,))
    cursor.execute(SQL["forget_seats"])
    (seat,) = cursor.execute(SQL["begin_seat"], (now,)).fetchone()
    lines: dict[str, Line] = {}
    running: dict[str, str] = {}
    for request_id, app, caller, rank in cursor.execute(SQL["running"]):
        line = lines.setdefault(app, Line())
        line.ran(rank, caller)
        line.running += 1
        running[request_id] = app
    for app, priority, caller, first, last, size in cursor.execute(SQL["flows"]):
        lines.setdefault(app, Line()).restore(priority, caller, first, last, size)
    (last_seq,) = cursor.execute(SQL["last_seq"]).fetchone()
    (kept_bytes,) = cursor.execute(SQL["kept_bytes"]).fetchone()
    private = {row[0] for row in cursor.execute(SQL["private"])}
    scheduled: dict[str, int] = {}
    brought: dict[str, int] = {}
    for caller, waits, size in cursor.execute(SQL["brought"]):
        scheduled |= {caller: waits} if waits else {}
        brought |= {caller: size} if size else {}
    (newest,) = cursor.execute(SQL["newest_moment"]).fetchone()
    return QueueAtOpen(seat, last_seq, kept_bytes, lines, running, private, scheduled, brought, newest)


class OrphanRow(NamedTuple):
    """A row of the statement `orphans`: what was brought, then these."""

    seq: int
    attempt: int
    runner: str
    strikes: int
    alone: int


def orphans(cursor: Cursor, seat: int) -> list[Claim]:
    """Take over what runs under seats that have ended, in the order of arrival."""
    width = len(StoredRequest._fields)
    rows = cursor.execute(SQL["orphans"], {"seat": seat}).fetchall()
    split = [(StoredRequest._make(row[:width]), OrphanRow._make(row[width:])) for row in rows]
    split.sort(key=lambda both: both[1].seq)
    return [stored.claim(brought, row.attempt, row.runner, row.strikes, row.alone) for brought, row in split]


class CutOff(NamedTuple):
    """A run whose caller's connection ended with the gateway before."""

    request_id: str
    digest: bytes
    resumable: bool


def cut_off(cursor: Cursor) -> list[CutOff]:
    """The runs that were cut off, one input in memory at a time. One that was begun, or is to be kept, goes on."""
    found = []
    for *brought, attempt in cursor.execute(SQL["bound"]):
        r = stored.request(StoredRequest._make(brought))
        found.append(CutOff(r.id, stored.digest_of(r), attempt > 0 or r.bound == "keep"))
    return found


def put_interrupted(cursor: Cursor, runs: list[CutOff], now: float, until: float) -> float:
    """Note who may be resumed; returns until when there is anyone, 0 for nobody."""
    cursor.execute(SQL["forget_interrupted"], (now,))
    for run in runs:
        cursor.execute(SQL["put_interrupted"], (run.request_id, run.digest, until))
    (last,) = cursor.execute(SQL["last_interrupted"]).fetchone()
    return last or 0.0


def resume(cursor: Cursor, digest: bytes, now: float) -> str | None:
    row = cursor.execute(SQL["resume"], (digest, now)).fetchone()
    return None if row is None else row[0]


def expire(cursor: Cursor, now: float) -> list[Expired]:
    late = [row[0] for row in cursor.execute(SQL["late"], (now, BATCH))]
    expired = []
    for request_id in late:
        outcome = outcomes.not_started_in_time()
        _, left = end(cursor, request_id, Move.EXPIRE, outcome, "expire", now)
        if left is not None:
            expired.append(Expired(request_id, left, outcome))
    return expired


def drop_old(cursor: Cursor, now: float, retention: float, excess: int) -> tuple[int, int]:
    """Drop finished requests that are too old, or too much; returns how many, and their bytes."""
    cursor.execute(SQL["forget_keys"], (now,))
    cursor.execute(SQL["forget_operations"], (now - retention,))
    dropped = size = 0
    until = float("inf") if excess > 0 else now - retention
    for seq, request_id, bytes_, finished_at in cursor.execute(SQL["oldest"], (until, BATCH)).fetchall():
        if finished_at > now - retention and size >= excess:
            break
        cursor.execute(SQL["drop"], (seq,))
        cursor.execute(SQL["drop_events"], (seq,))
        cursor.execute(SQL["drop_deliveries"], (request_id,))
        dropped += 1
        size += bytes_
    shrink(cursor)
    return dropped, size


def shrink(cursor: Cursor) -> None:
    """Give free pages back to the file system, at most `VACUUMED` of them, so that callers never wait long.

    The statement frees a page with each step, so it has to be stepped to its end.
    """
    cursor.execute(SQL["vacuum"]).fetchall()


def was_read(cursor: Cursor, request_id: str, now: float) -> None:
    """The outcome of a request that is not to be kept was read; the first time counts."""
    cursor.execute(SQL["was_read"], (now, request_id))


def forget_private(cursor: Cursor, now: float) -> tuple[list[str], int]:
    """Drop the input and output of requests that asked for it, once they were read or their webhook is done; which
    requests, and the bytes."""
    forgettable = cursor.execute(SQL["forgettable"], (now - PRIVATE_KEPT, BATCH)).fetchall()
    for seq, _, _ in forgettable:
        _forget_io(cursor, seq)
    return [request_id for _, request_id, _ in forgettable], sum(size for _, _, size in forgettable)


def _forget_io(cursor: Cursor, seq: int) -> None:
    """Drop what a request brought, yielded and returned. The numbers of chunks stay, what they held goes."""
    cursor.execute(SQL["forget_io"], (seq,))
    for first_n, entries in cursor.execute(SQL["chunk_rows"], (seq,)).fetchall():
        empty = [Chunk(e.at, e.n, b"null") if isinstance(e, Chunk) else e for e in unpack_entries(entries)]
        cursor.execute(SQL["rewrite_events"], (pack_entries(empty), seq, first_n))


def forget_outlived(cursor: Cursor, now: float) -> tuple[int, int]:
    """Drop the payloads whose time to live is over; of how many requests, and their bytes."""
    outlived = cursor.execute(SQL["outlived"], (now, BATCH)).fetchall()
    for seq, _ in outlived:
        _forget_io(cursor, seq)
    return len(outlived), sum(size for _, size in outlived)


def forget_payloads(cursor: Cursor, request_id: str) -> int | None:
    """Drop the payloads of a request that has ended; their bytes, or None where it has not."""
    row = cursor.execute(SQL["ended"], (request_id,)).fetchone()
    if row is None:
        return None
    _forget_io(cursor, row[0])
    return int(row[1])


class Due(NamedTuple):
    """A row of the statement `due`."""

    seq: int
    app: str
    caller: str
    head: bytes
    id: str


def due(cursor: Cursor, now: float, kept: float) -> tuple[list[Due], bool]:
    """Scheduled requests whose time has come, and whether there are payloads whose time to live is over."""
    found = [Due._make(row) for row in cursor.execute(SQL["due"], (now, BATCH))]
    return found, cursor.execute(SQL["outlived"], (kept, 1)).fetchone() is not None


def release(cursor: Cursor, ranks: list[tuple[int, int]]) -> set[int]:
    """Put scheduled requests into line, each with its rank; those that are still there."""
    released = set()
    for seq, rank in ranks:
        released |= {row[0] for row in cursor.execute(SQL["release"], (rank, seq))}
    return released


def put_app(cursor: Cursor, app: KnownApp) -> None:
    info = msgspec.msgpack.encode(app.info)
    cursor.execute(SQL["put_app"], (app.name, info, app.first_seen, app.last_seen, app.fault))


def forget_app(cursor: Cursor, name: str) -> bool:
    if cursor.execute(SQL["has_work"], (name,)).fetchone() is not None:
        return False
    cursor.execute(SQL["forget_app"], (name,))
    return True


def apps(cursor: Cursor) -> list[KnownApp]:
    rows: list[tuple[Any, ...]] = list(cursor.execute(SQL["apps"]))
    return [
        KnownApp(name, msgspec.msgpack.decode(info, type=AppInfo), first, last, fault)
        for name, info, first, last, fault in rows
    ]


def referenced(cursor: Cursor, file_ids: str) -> set[str]:
    return {row[0] for row in cursor.execute(SQL["referenced"], (file_ids,))}
