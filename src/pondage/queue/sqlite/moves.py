"""The transactions: what each verb does to the tables. They run in the writer's thread and touch only the cursor.

Whether a move is legal is decided by `wire.states.moved`; a move that is not changes nothing but the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pondage.database.interface import Cursor
from pondage.errors import InvalidInput, TooMany
from pondage.queue import stored
from pondage.queue.counts import MESSAGE_CHARS, Ended, Spent, Submitted, units
from pondage.queue.interface import NOTHING_SPENT, Cancelled, Claim, Completion, NewRequest, Spending
from pondage.queue.sqlite.rows import SQL, Insert, columns
from pondage.queue.stored import STATES, WAITS, StoredRequest, pack_entries, pack_extra, unpack_head
from pondage.wire.events import Chunk, Entry, Log, Outcome, Progress, Retried, Stale, Started
from pondage.wire.states import Move, State, moved

COUNTED = 1000
"""A place in line is counted as far as this, and estimated beyond."""


class Hot(NamedTuple):
    """A row of `requests`, in the order of the statement `hot`."""

    seq: int
    app: str
    caller: str
    state: int
    rank: int
    attempt: int
    strikes: int
    last_n: int
    started_n: int | None
    started_at: float | None
    runner: str
    webhook: str | None
    input_bytes: int
    submitted_at: float
    head: bytes
    id: str


class LeftRequest(NamedTuple):
    """A request that has left the hot table, and its line if it waited."""

    app: str
    caller: str
    rank: int
    was: State
    attempt: int
    runner: str
    bytes: int
    waited: bool = False
    """It stood in line."""
    brought: int = 0
    """Bytes of its input."""

    @property
    def scheduled(self) -> bool:
        """Its time had not come."""
        return self.was is State.QUEUED and not self.waited


def counted_ahead(cursor: Cursor, app: str, rank: int, seq: int) -> int | None:
    """How many wait before this place; None where that is more than `COUNTED`."""
    asked = {"app": app, "rank": rank, "seq": seq, "limit": COUNTED + 1}
    (ahead,) = cursor.execute(SQL["ahead"], asked).fetchone()
    return ahead if ahead <= COUNTED else None


def find(cursor: Cursor, request_id: str) -> Hot | None:
    row = cursor.execute(SQL["hot"], (request_id,)).fetchone()
    return None if row is None else Hot._make(row)


def insert(cursor: Cursor, new: Insert) -> None:
    r = new.request
    cursor.execute(SQL["insert"], columns(new.hot()))
    cursor.notes.append(Submitted(r.submitted_at, r.app, r.caller, len(r.input)))
    cursor.execute(SQL["insert_input"], (new.seq, r.input))
    for file_id in r.files:
        cursor.execute(SQL["insert_file"], (file_id, new.seq))
    if r.subject is not None:
        _note_token(cursor, new.seq, r)
    if r.retried_from is not None:
        cursor.execute(SQL["retried_as"], (r.id, r.retried_from))
    if new.runner is not None:
        deliver_started(cursor, r, 2, Started(new.at, new.runner))


def _note_token(cursor: Cursor, seq: int, r: NewRequest) -> None:
    """What a request that came with a token is found by."""
    cursor.execute(SQL["insert_token_request"], (seq, r.caller, r.subject))
    for file_id in r.files:
        cursor.execute(SQL["insert_token_file"], (file_id, seq))


class Replayed(NamedTuple):
    """The request that an idempotency key names already. `rank` is None unless it waits; `ahead` unless its place was
    counted."""

    request_id: str
    rank: int | None
    ahead: int | None
    caller: str
    app: str


def insert_keyed(cursor: Cursor, new: Insert, expires_at: float, full: TooMany | None) -> Replayed | None:
    """Insert, unless the idempotency key names a request; None where it was inserted.

    Raises:
        InvalidInput: the key was used with another fingerprint.
        TooMany: `full`, if the request is a new one.
    """
    r = new.request
    key = r.idempotency_key or ""
    row = cursor.execute(SQL["find_key"], (r.caller, key)).fetchone()
    if row is not None and row[2] > new.at:
        known = cursor.execute(SQL["known"], (row[1],)).fetchone()
        if known is not None:
            if row[0] != r.fingerprint and not _is_repeat(cursor, row[1], r):
                raise InvalidInput.field(
                    ["header", "Idempotency-Key"],
                    f"this key was used for another request ({row[1]}); use a new key for a new request",
                    "idempotency_key_reused",
                )
            seq, rank, caller, app, state = known
            if state != 0:
                return Replayed(row[1], None, None, caller, app)
            return Replayed(row[1], rank, counted_ahead(cursor, app, rank, seq), caller, app)
    if full is not None:
        raise full
    insert(cursor, new)
    cursor.execute(SQL["put_key"], (r.caller, key, r.fingerprint, r.id, expires_at))
    return None


def _is_repeat(cursor: Cursor, request_id: str, r: NewRequest) -> bool:
    for statement in ("input_hot", "input_cold"):
        if (row := cursor.execute(SQL[statement], (request_id,)).fetchone()) is not None:
            return stored.is_repeat(stored.StoredRequest._make(row), r)
    return False


def insert_finished(cursor: Cursor, new: Insert, outcome: Outcome, spent: Spending, now: float) -> None:
    """A request that was claimed at once and ended before its insert was written."""
    r = new.request
    cursor.execute(SQL["insert_finished"], columns(new.cold(outcome, now)))
    times = (r.submitted_at, new.at, now)
    cursor.notes.append(ended(r.id, r.app, r.caller, outcome, spent, *times, input_bytes=len(r.input)))
    if r.subject is not None:
        _note_token(cursor, new.seq, r)
    if r.webhook is not None:
        deliver_started(cursor, r, 2, Started(new.at, new.runner or ""))
        deliver(cursor, r.id, r.webhook, "completed", 3, None, now)


class Claimed(NamedTuple):
    claim: Claim
    rank: int


def spend_attempts(cursor: Cursor, taken_back: Mapping[str, int], now: float) -> list[str]:
    """Count attempts that were handed out and whose claim was then not committed: their numbers are not used again.

    Args:
        taken_back: the highest such attempt by request.

    Returns:
        The requests for which this is done, or needless.
    """
    done = []
    for request_id, attempt in taken_back.items():
        row = find(cursor, request_id)
        if row is not None and row.attempt < attempt:
            if STATES[row.state] is not State.QUEUED:
                continue  # an earlier attempt's return to the queue is not committed yet either
            cursor.execute(SQL["spend_attempt"], (attempt, row.seq))
            write_events(
                cursor, row.seq, row.last_n + 1, attempt, [Retried(now, "its start could not be written", False)]
            )
        done.append(request_id)
    return done


class ClaimedRow(NamedTuple):
    """A row of the statement `claim`: what was brought, then these."""

    rank: int
    seq: int
    attempt: int
    strikes: int
    alone: int
    runner: str
    started_n: int


def claim(cursor: Cursor, app: str, slots: Sequence[str], seat: int, now: float) -> list[Claimed]:
    """Next requests to slots. The statement's own condition, `state = 0`, is the table's move queued to running."""
    asked = {"seat": seat, "now": now, "app": app, "limit": len(slots)}
    rows = cursor.execute(SQL["claim"], asked | {"slots": msgspec.json.encode(list(slots)).decode()}).fetchall()
    claims = []
    for brought, row in sorted(_split(rows), key=lambda both: both[1][:2]):
        made = stored.claim(brought, row.attempt, row.runner, row.strikes, row.alone)
        claims.append(Claimed(made, row.rank))
        deliver_started(cursor, made.request, row.started_n, Started(now, row.runner))
    return claims


def _split(rows: list[tuple[Any, ...]]) -> list[tuple[StoredRequest, ClaimedRow]]:
    width = len(StoredRequest._fields)
    return [(StoredRequest._make(row[:width]), ClaimedRow._make(row[width:])) for row in rows]


def note(cursor: Cursor, row: Hot, entry: Entry) -> Hot:
    """Add an entry of ours to the log of a queued or running request; the row as it is afterwards."""
    write_events(cursor, row.seq, row.last_n + 1, row.attempt, [entry])
    cursor.execute(SQL["hot_last_n"], (row.last_n + 1, row.seq))
    return row._replace(last_n=row.last_n + 1)


def append(cursor: Cursor, request_id: str, attempt: int, entries: Sequence[Entry], now: float) -> bool:
    row = find(cursor, request_id)
    if row is None or STATES[row.state] is not State.RUNNING or row.attempt != attempt:
        return False
    if any(type(entry) is Chunk for entry in entries):
        entries = _unknown(cursor, row.seq, attempt, entries)
    if not entries:
        return True
    write_events(cursor, row.seq, row.last_n + 1, attempt, entries)
    cursor.execute(SQL["hot_last_n"], (row.last_n + len(entries), row.seq))
    if row.webhook is not None:
        wanted = unpack_head(row.head).webhook_events
        for event, kind in (("progress", Progress), ("log", Log)):
            if event in wanted and (told := [entry for entry in entries if isinstance(entry, kind)]):
                n = row.last_n + 1 + next(i for i, entry in enumerate(entries) if isinstance(entry, kind))
                deliver(cursor, request_id, row.webhook, event, n, pack_entries(told), now)
    return True


def _unknown(cursor: Cursor, seq: int, attempt: int, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Without the chunks that are in the log: a runner sends them again when it has not heard of their commit."""
    row = cursor.execute(SQL["last_chunk"], (seq, attempt)).fetchone()
    if row is None:
        return entries
    return [entry for entry in entries if not isinstance(entry, Chunk) or entry.n > row[0]]


def complete(
    cursor: Cursor, request_id: str, attempt: int, outcome: Outcome, spent: Spending, now: float
) -> tuple[Completion, LeftRequest | None]:
    row = find(cursor, request_id)
    if row is not None:
        if row.attempt == attempt and moved(STATES[row.state], Move.COMPLETE) is State.DONE:
            return Completion("applied"), finish(cursor, request_id, row, outcome, "complete", now, spent)
        evidence(cursor, SQL["hot_last_n"], row.seq, row.last_n, attempt, outcome, now)
        return Completion("stale"), None
    cold = cursor.execute(SQL["cold"], (request_id,)).fetchone()
    if cold is None:
        return Completion("unknown"), None
    seq, last_attempt, ended_by, last_n, _ = cold
    if last_attempt == attempt and ended_by == "complete":
        return Completion("repeated"), None
    evidence(cursor, SQL["cold_last_n"], seq, last_n, attempt, outcome, now)
    return Completion("stale"), None


def evidence(cursor: Cursor, raise_n: str, seq: int, last_n: int, attempt: int, outcome: Outcome, now: float) -> None:
    """Keep that an old attempt handed something in; nothing else of it is kept."""
    what = f"attempt {attempt} ended late with {outcome.kind} {outcome.status}"
    write_events(cursor, seq, last_n + 1, attempt, [Stale(now, what)])
    cursor.execute(raise_n, (last_n + 1, seq))


def end(
    cursor: Cursor, request_id: str, move: Move, outcome: Outcome, ended_by: str, now: float
) -> tuple[Cancelled, LeftRequest | None]:
    """End a request from outside: a cancel, or a start limit. A completed one stays as it is."""
    row = find(cursor, request_id)
    if row is None:
        cold = cursor.execute(SQL["cold"], (request_id,)).fetchone()
        return (Cancelled(None) if cold is None else Cancelled(State.DONE, cold[1], cold[4])), None
    was = STATES[row.state]
    told = Cancelled(was, row.attempt, row.runner)
    if moved(was, move) is not State.DONE:
        return told, None
    return told, finish(cursor, request_id, row, outcome, ended_by, now)


def finish(
    cursor: Cursor,
    request_id: str,
    row: Hot,
    outcome: Outcome,
    ended_by: str,
    now: float,
    spent: Spending = NOTHING_SPENT,
) -> LeftRequest:
    """Move a request from the hot table to the cold one, with its outcome and its outbox row."""
    started_at = row.started_at if STATES[row.state] is State.RUNNING else None
    cursor.notes.append(ended(request_id, row.app, row.caller, outcome, spent, row.submitted_at, started_at, now))
    cursor.execute(
        SQL["finish"],
        {
            "kind": outcome.kind,
            "status": outcome.status,
            "ended_by": ended_by,
            "now": now,
            "output_bytes": len(outcome.body),
            "error": outcome.error,
            "error_type": outcome.error_type,
            "inference_time": outcome.inference_time,
            "headers": pack_extra(outcome),
            "body": outcome.body,
            "seq": row.seq,
        },
    )
    cursor.execute(SQL["delete_hot"], (row.seq,))
    cursor.execute(SQL["delete_input"], (row.seq,))
    cursor.execute(SQL["delete_files"], (row.seq,))
    if row.webhook is not None:
        deliver(cursor, request_id, row.webhook, "completed", row.last_n + 1, None, now)
    size = row.input_bytes + len(outcome.body)
    waited = row.state == WAITS
    return LeftRequest(
        row.app, row.caller, row.rank, STATES[row.state], row.attempt, row.runner, size, waited, row.input_bytes
    )


def retry(
    cursor: Cursor, request_id: str, attempt: int, reason: str, strike: bool, alone: bool, spent: Spending, now: float
) -> LeftRequest | None:
    """Back to the head of the line. The old attempt's `started` becomes a row, since its columns are used again."""
    row = find(cursor, request_id)
    if row is None or row.attempt != attempt or moved(STATES[row.state], Move.RETRY) is not State.QUEUED:
        return None
    if row.started_n is not None:
        started = Started(row.started_at or now, row.runner)
        write_events(cursor, row.seq, row.started_n, attempt, [started])
    write_events(cursor, row.seq, row.last_n + 1, attempt, [Retried(now, reason, strike)])
    cursor.execute(SQL["back"], {"strike": 1 if strike else 0, "alone": 1 if alone else 0, "seq": row.seq})
    cursor.notes.append(Spent(now, row.app, row.caller, spent.runner, spent.devices))
    return LeftRequest(row.app, row.caller, row.rank, State.RUNNING, row.attempt, row.runner, 0)


def write_events(cursor: Cursor, seq: int, first_n: int, attempt: int, entries: Sequence[Entry]) -> None:
    last_chunk = max((entry.n for entry in entries if isinstance(entry, Chunk)), default=None)
    cursor.execute(SQL["insert_events"], (seq, first_n, attempt, len(entries), last_chunk, pack_entries(entries)))


def ended(
    request_id: str,
    app: str,
    caller: str,
    outcome: Outcome,
    spent: Spending,
    submitted_at: float,
    started_at: float | None,
    now: float,
    *,
    input_bytes: int | None = None,
) -> Ended:
    """What is counted of an outcome. `started_at` is None where no runner has it, `input_bytes` where the request was
    counted before."""
    began = now if started_at is None else started_at
    return Ended(
        now, app, caller, request_id, outcome.kind,
        max(began - submitted_at, 0.0), max(now - began, 0.0), max(now - submitted_at, 0.0), len(outcome.body),
        spent.runner, spent.devices, units(outcome.headers),
        outcome.error_type, outcome.error and outcome.error[: 4 * MESSAGE_CHARS], input_bytes,
    )  # fmt: skip


def deliver_started(cursor: Cursor, r: NewRequest, n: int, started: Started) -> None:
    """The outbox row of a start, where the caller asked for it."""
    if r.webhook is not None and "started" in r.webhook_events:
        deliver(cursor, r.id, r.webhook, "started", n, pack_entries([started]), started.at)


def deliver(
    cursor: Cursor, request_id: str, target: str, event: str, n: int, payload: bytes | None, now: float
) -> None:
    """An outbox row, in the transaction of what it tells. Its id follows from the event, so there is only ever one."""
    delivery_id = request_id if event == "completed" else f"{request_id}-{n}"
    cursor.execute(SQL["insert_delivery"], (delivery_id, request_id, target, event, n, payload, now, now))
