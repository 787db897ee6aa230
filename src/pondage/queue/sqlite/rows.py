"""The rows that are written, column by column, and this engine's statements."""

from __future__ import annotations

import msgspec

from pondage.database import named
from pondage.queue.interface import NewRequest
from pondage.queue.stored import SCHEDULED, WAITS, pack_extra, pack_head
from pondage.wire.events import Outcome

SQL = named.load("pondage.queue.sqlite", "sql/moves.sql", "sql/reads.sql", "sql/upkeep.sql")

columns = msgspec.structs.astuple
"""The values of a row, in the order of its statement's columns; a test compares the two."""


class HotRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A row of `requests`, as the statement `insert` writes it."""

    seq: int
    id: str
    app: str
    path: str
    caller: str
    state: int
    rank: int
    attempt: int
    strikes: int
    alone: int
    last_n: int
    started_n: int | None
    submitted_at: float
    started_at: float | None
    start_by: float | None
    runner: str
    holder: int
    webhook: str | None
    keep_io: int
    input_bytes: int
    bound: int
    start_at: float | None
    payload_ttl: float | None
    head: bytes


class ColdRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A row of `finished`, as the statement `insert_finished` writes it; `size` is its column `bytes`."""

    seq: int
    id: str
    app: str
    path: str
    caller: str
    kind: str
    status: int
    ended_by: str
    attempt: int
    strikes: int
    last_n: int
    started_n: int | None
    completed_n: int
    submitted_at: float
    started_at: float | None
    finished_at: float
    runner: str
    webhook: str | None
    keep_io: int
    input_bytes: int
    output_bytes: int
    size: int
    forget_at: float | None
    error: str | None
    error_type: str | None
    inference_time: float | None
    head: bytes
    headers: bytes
    input: bytes
    body: bytes


def start_by(r: NewRequest) -> float | None:
    """The wall time by which a request must have started, by its start limit and its deadline."""
    if r.start_timeout is None:
        return r.deadline
    limit = (r.submitted_at if r.start_at is None else r.start_at) + r.start_timeout
    return limit if r.deadline is None else min(limit, r.deadline)


class Insert(msgspec.Struct, frozen=True, gc=False):
    """A request as it will be written: with its place, and the slot that it was given at once, if it was.

    `seat` is this gateway's; `at` wall seconds.
    """

    request: NewRequest
    seq: int
    rank: int
    runner: str | None
    seat: int
    at: float

    def hot(self) -> HotRow:
        """Waiting, or given to a runner already."""
        r = self.request
        running = self.runner is not None
        return HotRow(
            seq=self.seq,
            id=r.id,
            app=r.app,
            path=r.path,
            caller=r.caller,
            state=1 if running else WAITS if r.start_at is None else SCHEDULED,
            rank=self.rank,
            attempt=1 if running else 0,
            strikes=0,
            alone=0,
            last_n=2 if running else 1,
            started_n=2 if running else None,
            submitted_at=r.submitted_at,
            started_at=self.at if running else None,
            start_by=start_by(r),
            runner=self.runner or "",
            holder=self.seat if running else 0,
            webhook=r.webhook,
            keep_io=1 if r.store_io else 0,
            input_bytes=len(r.input),
            bound=1 if r.bound else 0,
            start_at=r.start_at,
            payload_ttl=r.payload_ttl,
            head=pack_head(r),
        )

    def cold(self, outcome: Outcome, now: float) -> ColdRow:
        """Ended in its first attempt before it was ever written."""
        r = self.request
        return ColdRow(
            seq=self.seq,
            id=r.id,
            app=r.app,
            path=r.path,
            caller=r.caller,
            kind=outcome.kind,
            status=outcome.status,
            ended_by="complete",
            attempt=1,
            strikes=0,
            last_n=3,
            started_n=2,
            completed_n=3,
            submitted_at=r.submitted_at,
            started_at=self.at,
            finished_at=now,
            runner=self.runner or "",
            webhook=r.webhook,
            keep_io=1 if r.store_io else 0,
            input_bytes=len(r.input),
            output_bytes=len(outcome.body),
            size=len(r.input) + len(outcome.body),
            forget_at=None if r.payload_ttl is None else now + r.payload_ttl,
            error=outcome.error,
            error_type=outcome.error_type,
            inference_time=outcome.inference_time,
            head=pack_head(r),
            headers=pack_extra(outcome),
            input=r.input,
            body=outcome.body,
        )
