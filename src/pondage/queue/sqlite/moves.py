"""The transactions: what each verb does to the tables. They run in the writer's thread and touch only the cursor.

Whether a move is legal is decided by `wire.states.moved`; a move that is not changes nothing but the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from pondage.database.interface import Cursor
from pondage.errors import InvalidInput, TooMany
from pondage.queue.interface import Cancelled, Claim, Completion, NewRequest
from pondage.queue.sqlite.rows import (
    SQL,
    STATES,
    pack_entries,
    pack_extra,
    pack_head,
    request,
    unpack_head,
)
from pondage.wire.events import Chunk, Completed, Entry, Log, Outcome, Progress, Retried, Stale, Started
from pondage.wire.states import Move, State, moved

INSERT = SQL["insert"]
INSERT_INPUT = SQL["insert_input"]
INSERT_FILE = SQL["insert_file"]
INSERT_TOKEN_REQUEST = SQL["insert_token_request"]
INSERT_TOKEN_FILE = SQL["insert_token_file"]
INSERT_FINISHED = SQL["insert_finished"]
INSERT_EVENTS = SQL["insert_events"]
LAST_CHUNK = SQL["last_chunk"]
INSERT_DELIVERY = SQL["insert_delivery"]
CLAIM = SQL["claim"]
HOT = SQL["hot"]
COLD = SQL["cold"]
FINISH = SQL["finish"]
DELETE_HOT = SQL["delete_hot"]
DELETE_INPUT = SQL["delete_input"]
DELETE_FILES = SQL["delete_files"]
BACK = SQL["back"]
SPEND_ATTEMPT = SQL["spend_attempt"]
HOT_LAST_N = SQL["hot_last_n"]
COLD_LAST_N = SQL["cold_last_n"]
FIND_KEY = SQL["find_key"]
PUT_KEY = SQL["put_key"]
KNOWN = SQL["known"]


class Insert(NamedTuple):
    """A request as it will be written: with its place, and the slot that it was given at once, if it was."""

    request: NewRequest
    seq: int
    rank: int
    runner: str | None
    at: float


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
    head: bytes


class Left(NamedTuple):
    """A request that has left the hot table, and its line if it waited."""

    app: str
    caller: str
    rank: int
    was: State
    attempt: int
    runner: str
    bytes: int


def find(cursor: Cursor, request_id: str) -> Hot | None:
    row = cursor.execute(HOT, (request_id,)).fetchone()
    return None if row is None else Hot._make(row)


def insert(cursor: Cursor, new: Insert) -> None:
    r = new.request
    running = new.runner is not None
    cursor.execute(
        INSERT,
        (
            new.seq,
            r.id,
            r.app,
            r.path,
            r.caller,
            1 if running else 0,
            new.rank,
            1 if running else 0,
            2 if running else 1,
            2 if running else None,
            r.submitted_at,
            new.at if running else None,
            None if r.start_timeout is None else r.submitted_at + r.start_timeout,
            new.runner or "",
            r.webhook,
            1 if r.store_io else 0,
            len(r.input),
            pack_head(r),
        ),
    )
    cursor.execute(INSERT_INPUT, (new.seq, r.input))
    for file_id in r.files:
        cursor.execute(INSERT_FILE, (file_id, new.seq))
    if r.subject is not None:
        _note_token(cursor, new.seq, r)
    if running and r.webhook is not None and "started" in r.webhook_events:
        started = Started(new.at, new.runner or "")
        deliver(cursor, r.id, r.webhook, "started", 2, pack_entries([started]), new.at)


def _note_token(cursor: Cursor, seq: int, r: NewRequest) -> None:
    """What a request that came with a token is found by."""
    cursor.execute(INSERT_TOKEN_REQUEST, (seq, r.caller, r.subject))
    for file_id in r.files:
        cursor.execute(INSERT_TOKEN_FILE, (file_id, seq))


class Replayed(NamedTuple):
    """The request that an idempotency key names already. `rank` is None unless it waits."""

    request_id: str
    rank: int | None
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
    row = cursor.execute(FIND_KEY, (r.caller, key)).fetchone()
    if row is not None and row[2] > new.at:
        known = cursor.execute(KNOWN, (row[1],)).fetchone()
        if known is not None:
            if row[0] != r.fingerprint:
                raise InvalidInput.field(
                    ["header", "Idempotency-Key"],
                    f"this key was used for another request ({row[1]}); use a new key for a new request",
                    "idempotency_key_reused",
                )
            rank, caller, app, state = known
            return Replayed(row[1], rank if state == 0 else None, caller, app)
    if full is not None:
        raise full
    insert(cursor, new)
    cursor.execute(PUT_KEY, (r.caller, key, r.fingerprint, r.id, expires_at))
    return None


def insert_finished(cursor: Cursor, new: Insert, outcome: Outcome, now: float) -> None:
    """A request that was claimed at once and ended before its insert was written."""
    r = new.request
    size = len(r.input) + len(outcome.body)
    cursor.execute(
        INSERT_FINISHED,
        (
            new.seq,
            r.id,
            r.app,
            r.path,
            r.caller,
            outcome.kind,
            outcome.status,
            1,
            3,
            2,
            3,
            r.submitted_at,
            new.at,
            now,
            new.runner or "",
            r.webhook,
            1 if r.store_io else 0,
            len(r.input),
            len(outcome.body),
            size,
            outcome.error,
            outcome.error_type,
            outcome.inference_time,
            pack_head(r),
            pack_extra(outcome),
            r.input,
            outcome.body,
        ),
    )
    if r.subject is not None:
        _note_token(cursor, new.seq, r)
    if r.webhook is not None:
        if "started" in r.webhook_events:
            started = Started(new.at, new.runner or "")
            deliver(cursor, r.id, r.webhook, "started", 2, pack_entries([started]), new.at)
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
            cursor.execute(SPEND_ATTEMPT, (attempt, row.seq))
            write_events(
                cursor, row.seq, row.last_n + 1, attempt, [Retried(now, "its start could not be written", False)]
            )
        done.append(request_id)
    return done


def claim(cursor: Cursor, app: str, slots: Sequence[str], now: float) -> list[Claimed]:
    """Next requests to slots. The statement's own condition, `state = 0`, is the table's move queued to running."""
    rows = cursor.execute(CLAIM, (now, app, len(slots), msgspec.json.encode(list(slots)).decode())).fetchall()
    rows.sort(key=lambda row: (row[5], row[0]))
    claims = []
    for row in rows:
        (
            _,
            id_,
            app,
            path,
            caller,
            rank,
            attempt,
            strikes,
            alone,
            runner,
            submitted_at,
            n,
            webhook,
            keep,
            head,
            body,
        ) = row
        r = request((id_, app, path, caller, submitted_at, webhook, keep, head, body))
        claims.append(Claimed(Claim(r, attempt, runner, strikes, bool(alone)), rank))
        if webhook is not None and "started" in r.webhook_events:
            deliver(cursor, id_, webhook, "started", n, pack_entries([Started(now, runner)]), now)
    return claims


def append(cursor: Cursor, request_id: str, attempt: int, entries: Sequence[Entry], now: float) -> bool:
    row = find(cursor, request_id)
    if row is None or STATES[row.state] is not State.RUNNING or row.attempt != attempt:
        return False
    if any(type(entry) is Chunk for entry in entries):
        entries = _unknown(cursor, row.seq, attempt, entries)
    if not entries:
        return True
    write_events(cursor, row.seq, row.last_n + 1, attempt, entries)
    cursor.execute(HOT_LAST_N, (row.last_n + len(entries), row.seq))
    if row.webhook is not None:
        wanted = unpack_head(row.head).webhook_events
        for event, kind in (("progress", Progress), ("log", Log)):
            if event in wanted and (told := [entry for entry in entries if isinstance(entry, kind)]):
                n = row.last_n + 1 + next(i for i, entry in enumerate(entries) if isinstance(entry, kind))
                deliver(cursor, request_id, row.webhook, event, n, pack_entries(told), now)
    return True


def _unknown(cursor: Cursor, seq: int, attempt: int, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Without the chunks that are in the log: a runner sends them again when it has not heard of their commit."""
    row = cursor.execute(LAST_CHUNK, (seq, attempt)).fetchone()
    if row is None:
        return entries
    return [entry for entry in entries if not isinstance(entry, Chunk) or entry.n > row[0]]


def complete(
    cursor: Cursor, request_id: str, attempt: int, outcome: Outcome, now: float
) -> tuple[Completion, Left | None]:
    row = find(cursor, request_id)
    if row is not None:
        if row.attempt == attempt and moved(STATES[row.state], Move.COMPLETE) is State.DONE:
            return Completion("applied"), finish(cursor, request_id, row, outcome, "complete", now)
        evidence(cursor, HOT_LAST_N, row.seq, row.last_n, attempt, outcome, now)
        return Completion("stale"), None
    cold = cursor.execute(COLD, (request_id,)).fetchone()
    if cold is None:
        return Completion("unknown"), None
    seq, last_attempt, ended_by, last_n, _ = cold
    if last_attempt == attempt and ended_by == "complete":
        return Completion("repeated"), None
    evidence(cursor, COLD_LAST_N, seq, last_n, attempt, outcome, now)
    return Completion("stale"), None


def evidence(cursor: Cursor, raise_n: str, seq: int, last_n: int, attempt: int, outcome: Outcome, now: float) -> None:
    """Keep that an old attempt handed something in; nothing else of it is kept."""
    what = f"attempt {attempt} ended late with {outcome.kind} {outcome.status}"
    write_events(cursor, seq, last_n + 1, attempt, [Stale(now, what)])
    cursor.execute(raise_n, (last_n + 1, seq))


def end(
    cursor: Cursor, request_id: str, move: Move, outcome: Outcome, ended_by: str, now: float
) -> tuple[Cancelled, Left | None]:
    """End a request from outside: a cancel, or a start limit. A completed one stays as it is."""
    row = find(cursor, request_id)
    if row is None:
        cold = cursor.execute(COLD, (request_id,)).fetchone()
        return (Cancelled(None) if cold is None else Cancelled(State.DONE, cold[1], cold[4])), None
    was = STATES[row.state]
    told = Cancelled(was, row.attempt, row.runner)
    if moved(was, move) is not State.DONE:
        return told, None
    return told, finish(cursor, request_id, row, outcome, ended_by, now)


def finish(cursor: Cursor, request_id: str, row: Hot, outcome: Outcome, ended_by: str, now: float) -> Left:
    """Move a request from the hot table to the cold one, with its outcome and its outbox row."""
    cursor.execute(
        FINISH,
        (
            outcome.kind,
            outcome.status,
            ended_by,
            now,
            len(outcome.body),
            len(outcome.body),
            outcome.error,
            outcome.error_type,
            outcome.inference_time,
            pack_extra(outcome),
            outcome.body,
            row.seq,
        ),
    )
    cursor.execute(DELETE_HOT, (row.seq,))
    cursor.execute(DELETE_INPUT, (row.seq,))
    cursor.execute(DELETE_FILES, (row.seq,))
    if row.webhook is not None:
        deliver(cursor, request_id, row.webhook, "completed", row.last_n + 1, None, now)
    size = row.input_bytes + len(outcome.body)
    return Left(row.app, row.caller, row.rank, STATES[row.state], row.attempt, row.runner, size)


def retry(
    cursor: Cursor, request_id: str, attempt: int, reason: str, strike: bool, alone: bool, now: float
) -> Left | None:
    """Back to the head of the line. The old attempt's `started` becomes a row, since its columns are used again."""
    row = find(cursor, request_id)
    if row is None or row.attempt != attempt or moved(STATES[row.state], Move.RETRY) is not State.QUEUED:
        return None
    if row.started_n is not None:
        started = Started(row.started_at or now, row.runner)
        write_events(cursor, row.seq, row.started_n, attempt, [started])
    write_events(cursor, row.seq, row.last_n + 1, attempt, [Retried(now, reason, strike)])
    cursor.execute(BACK, (1 if strike else 0, 1 if alone else 0, row.seq))
    return Left(row.app, row.caller, row.rank, State.RUNNING, row.attempt, row.runner, 0)


def write_events(cursor: Cursor, seq: int, first_n: int, attempt: int, entries: Sequence[Entry]) -> None:
    last_chunk = max((entry.n for entry in entries if isinstance(entry, Chunk)), default=None)
    cursor.execute(INSERT_EVENTS, (seq, first_n, attempt, len(entries), last_chunk, pack_entries(entries)))


def deliver(
    cursor: Cursor, request_id: str, target: str, event: str, n: int, payload: bytes | None, now: float
) -> None:
    """An outbox row, in the transaction of what it tells. Its id follows from the event, so there is only ever one."""
    delivery_id = request_id if event == "completed" else f"{request_id}-{n}"
    cursor.execute(INSERT_DELIVERY, (delivery_id, request_id, target, event, n, payload, now, now))


def completed(at: float, outcome: Outcome) -> Completed:
    """The event of an outcome, as its readers see it."""
    return Completed(at, outcome.kind, outcome.status, outcome.error, outcome.error_type)
