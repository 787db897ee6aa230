"""What an engine stores of a request, and how it becomes the words of the house again. Pure functions, no SQL.

Columns that no statement asks for are one msgpack blob, the head; a field of `NewRequest` that is added there needs a
default here and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from pondage.queue.interface import Bound, Claim, NewRequest, Ran, RequestView, ToldForecast
from pondage.wire import outcomes
from pondage.wire.canonical import canonical, same
from pondage.wire.events import Completed, Entry, Event, Outcome, Queued, Started
from pondage.wire.frames import Mode
from pondage.wire.states import OutcomeKind, State

STATES = (State.QUEUED, State.RUNNING, State.DONE, State.QUEUED)
"""By the number in the column `state`. Who is scheduled is queued to readers, but stands in no line."""
WAITS, SCHEDULED = 0, 3
STORED_AS = {State.QUEUED: "(0, 3)", State.RUNNING: "(1)"}


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What the caller brought and no statement asks for, under the names of `NewRequest`; fields are only ever added at
    the end, with a default."""

    mode: Mode
    headers: dict[str, str]
    base_url: str
    agent: str
    priority: int
    start_timeout: float | None
    run_timeout: float | None
    webhook_events: tuple[str, ...]
    idempotency_key: str | None
    fingerprint: bytes
    max_queue_length: int | None
    retried_from: str | None
    files: tuple[str, ...]
    subject: str | None = None
    expected: float | None = None
    cost: float = 1.0
    said: ToldForecast | None = None
    bound: Bound = ""
    start_at: float | None = None
    deadline: float | None = None
    payload_ttl: float | None = None


class Extra(msgspec.Struct, frozen=True, array_like=True):
    """What an outcome has beside its columns."""

    headers: dict[str, str]
    payload_error: str | None = None


class StoredRequest(NamedTuple):
    """A request as it was brought: the columns of `input_hot` and `input_cold`."""

    id: str
    app: str
    path: str
    caller: str
    submitted_at: float
    webhook: str | None
    keep_io: int
    head: bytes
    input: bytes


class StoredOutcome(NamedTuple):
    """The columns of `outcome`. `keep_io` is 1 to keep it, 0 to drop it once it was read, -1 when it was dropped."""

    kind: str
    status: int
    body: bytes
    headers: bytes
    error: str | None
    error_type: str | None
    inference_time: float | None
    keep_io: int


class StoredView(NamedTuple):
    """A request as it stands: the columns of `view_hot` and `view_cold`."""

    seq: int
    id: str
    app: str
    path: str
    caller: str
    state: int
    rank: int | None
    attempt: int
    strikes: int
    last_n: int
    started_n: int | None
    completed_n: int | None
    submitted_at: float
    started_at: float | None
    finished_at: float | None
    runner: str
    webhook: str | None
    input_bytes: int
    output_bytes: int
    kind: str | None
    status: int | None
    error: str | None
    error_type: str | None
    inference_time: float | None
    head: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_extra = msgspec.msgpack.Decoder(Extra).decode
_decode_entries = msgspec.msgpack.Decoder(list[Entry]).decode
_of_head = attrgetter(*Head.__struct_fields__)


def pack_head(r: NewRequest) -> bytes:
    return _encode(_of_head(r))


def pack_head_of(head: Head) -> bytes:
    return _encode(head)


def unpack_head(data: bytes) -> Head:
    return _decode_head(data)


def is_repeat(row: StoredRequest, r: NewRequest) -> bool:
    """Whether a request says the same as one that is stored, perhaps in another spelling."""
    return row.keep_io != -1 and (row.app, row.path) == (r.app, r.path) and same(row.input, r.input)


def digest_of(r: NewRequest) -> bytes:
    """What names a run that was cut off: who called what, with which input."""
    named = msgspec.json.encode([r.caller, r.subject, r.app, r.path])
    return hashlib.sha256(named + canonical(r.input)).digest()


def pack_entries(entries: Sequence[Entry]) -> bytes:
    return _encode(entries)


def unpack_entries(data: bytes) -> list[Entry]:
    return _decode_entries(data)


def pack_extra(outcome: Outcome) -> bytes:
    return _encode(Extra(outcome.headers, outcome.payload_error))


def request(row: StoredRequest) -> NewRequest:
    """The request as the caller brought it."""
    return NewRequest(
        id=row.id,
        app=row.app,
        path=row.path,
        input=row.input,
        submitted_at=row.submitted_at,
        caller=row.caller,
        webhook=row.webhook,
        store_io=row.keep_io == 1,
        **msgspec.structs.asdict(_decode_head(row.head)),
    )


def outcome(row: StoredOutcome) -> Outcome:
    """The outcome; one whose payload was dropped says so."""
    if row.keep_io == -1:
        return outcomes.no_longer_kept()
    extra = _decode_extra(row.headers)
    return Outcome(
        kind=OutcomeKind(row.kind),
        status=row.status,
        body=row.body,
        headers=extra.headers,
        error=row.error,
        error_type=row.error_type,
        inference_time=row.inference_time,
        payload_error=extra.payload_error,
    )


def claim(row: StoredRequest, attempt: int, runner: str, strikes: int, alone: int) -> Claim:
    """The right to an attempt that is stored."""
    return Claim(request(row), attempt, runner, strikes, bool(alone))


def view(row: StoredView, position: int | None, work_ahead: float | None = None) -> RequestView:
    """The request as it stands; its place is not stored."""
    head = _decode_head(row.head)
    return RequestView(
        id=row.id,
        app=row.app,
        path=row.path,
        mode=head.mode,
        state=STATES[row.state],
        attempt=row.attempt,
        strikes=row.strikes,
        caller=row.caller,
        agent=head.agent,
        priority=head.priority,
        submitted_at=row.submitted_at,
        last_event=row.last_n,
        position=position,
        work_ahead=work_ahead,
        started_at=row.started_at,
        finished_at=row.finished_at,
        runner=row.runner,
        base_url=head.base_url,
        webhook=row.webhook,
        retried_from=head.retried_from,
        outcome=None if row.kind is None else OutcomeKind(row.kind),
        status=row.status,
        error=row.error,
        error_type=row.error_type,
        inference_time=row.inference_time,
        input_bytes=row.input_bytes,
        output_bytes=row.output_bytes,
        subject=head.subject,
        cost=head.cost,
        start_at=head.start_at,
        deadline=head.deadline,
    )


class StoredRun(NamedTuple):
    """The columns of `history`."""

    path: str
    head: bytes
    seconds: float | None
    total: float


def ran(row: StoredRun) -> Ran | None:
    """A request that ended well; None for a session, which takes as long as its caller likes."""
    head = _decode_head(row.head)
    if head.mode == "session":
        return None
    return Ran(row.path, head.cost, row.seconds, row.total, head.said)


def column_events(row: StoredView) -> list[Event]:
    """The events that are columns of the request, in order: `queued`, the last attempt's `started`, `completed`."""
    made: list[tuple[int, int, Any]] = [(1, 0, Queued(row.submitted_at))]
    if row.started_n is not None and row.started_at is not None:
        made.append((row.started_n, row.attempt, Started(row.started_at, row.runner)))
    if row.completed_n is not None and row.finished_at is not None and row.kind is not None:
        end = Completed(row.finished_at, OutcomeKind(row.kind), row.status or 0, row.error, row.error_type)
        made.append((row.completed_n, row.attempt, end))
    return [Event(*parts) for parts in made]
