"""Rows and the words of the house, both ways. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pondage.database import named
from pondage.queue.interface import Claim, NewRequest, RequestView
from pondage.wire.events import Entry, Outcome
from pondage.wire.frames import Mode
from pondage.wire.states import OutcomeKind, State

SQL = named.load("pondage.queue", "sql/moves.sql", "sql/reads.sql", "sql/upkeep.sql")

STATES = (State.QUEUED, State.RUNNING, State.DONE)
"""By the number in the column `state`."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What the caller brought and no statement asks for; fields are only ever added at the end, with a default."""

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


class Extra(msgspec.Struct, frozen=True, array_like=True):
    """What an outcome has beside its columns."""

    headers: dict[str, str]
    payload_error: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_extra = msgspec.msgpack.Decoder(Extra).decode
_decode_entries = msgspec.msgpack.Decoder(list[Entry]).decode


def pack_head(r: NewRequest) -> bytes:
    return _encode(
        Head(
            r.mode,
            r.headers,
            r.base_url,
            r.agent,
            r.priority,
            r.start_timeout,
            r.run_timeout,
            r.webhook_events,
            r.idempotency_key,
            r.fingerprint,
            r.max_queue_length,
            r.retried_from,
            r.files,
            r.subject,
        )
    )


def unpack_head(data: bytes) -> Head:
    return _decode_head(data)


def pack_entries(entries: Sequence[Entry]) -> bytes:
    return _encode(entries)


def unpack_entries(data: bytes) -> list[Entry]:
    return _decode_entries(data)


def pack_extra(outcome: Outcome) -> bytes:
    return _encode(Extra(outcome.headers, outcome.payload_error))


def request(row: Sequence[Any]) -> NewRequest:
    """From id, app, path, caller, submitted_at, webhook, keep_io, head, input."""
    id_, app, path, caller, submitted_at, webhook, keep_io, head, body = row
    h = _decode_head(head)
    return NewRequest(
        id=id_,
        app=app,
        path=path,
        mode=h.mode,
        input=body,
        submitted_at=submitted_at,
        headers=h.headers,
        base_url=h.base_url,
        caller=caller,
        agent=h.agent,
        priority=h.priority,
        start_timeout=h.start_timeout,
        run_timeout=h.run_timeout,
        webhook=webhook,
        webhook_events=h.webhook_events,
        idempotency_key=h.idempotency_key,
        fingerprint=h.fingerprint,
        max_queue_length=h.max_queue_length,
        retried_from=h.retried_from,
        files=h.files,
        subject=h.subject,
        store_io=keep_io == 1,
    )


def running_claim(row: Sequence[Any]) -> Claim:
    """From the columns of `running`."""
    return Claim(request(row[:9]), attempt=row[9], runner=row[10], strikes=row[11], alone=bool(row[12]))


def outcome(row: Sequence[Any]) -> Outcome:
    """From kind, status, body, headers, error, error_type, inference_time."""
    extra = _decode_extra(row[3])
    return Outcome(
        kind=OutcomeKind(row[0]),
        status=row[1],
        body=row[2],
        headers=extra.headers,
        error=row[4],
        error_type=row[5],
        inference_time=row[6],
        payload_error=extra.payload_error,
    )


def view(row: Sequence[Any], position: int | None) -> RequestView:
    """From the columns of `view_hot` and `view_cold`."""
    head = _decode_head(row[24])
    return RequestView(
        id=row[1],
        app=row[2],
        path=row[3],
        mode=head.mode,
        state=STATES[row[5]],
        attempt=row[7],
        strikes=row[8],
        caller=row[4],
        agent=head.agent,
        priority=head.priority,
        submitted_at=row[12],
        last_event=row[9],
        position=position,
        started_at=row[13],
        finished_at=row[14],
        runner=row[15],
        base_url=head.base_url,
        webhook=row[16],
        retried_from=head.retried_from,
        outcome=None if row[19] is None else OutcomeKind(row[19]),
        status=row[20],
        error=row[21],
        error_type=row[22],
        inference_time=row[23],
        input_bytes=row[17],
        output_bytes=row[18],
        subject=head.subject,
    )
