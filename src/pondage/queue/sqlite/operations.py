"""Operations on SQLite. A step finds its requests in a reader's thread, and the writer judges each again by its row.

Places in line change as elsewhere: new ones are given when a step is handed over, old ones left before its commit, in
the order of the transactions; what a failed commit has changed in memory is taken back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from pondage.clock import Clock
from pondage.database import named
from pondage.database.interface import Cursor
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import BadRequest
from pondage.queue import stored
from pondage.queue.interface import Filter, NewRequest
from pondage.queue.operations import STEERS, Act, Hold, Kind, Operation, Phase, Step, Waiting
from pondage.queue.sqlite import moves, views
from pondage.queue.sqlite.memory import Memory, decide
from pondage.queue.sqlite.order import TAG_BITS, step_of
from pondage.queue.sqlite.rows import Insert
from pondage.queue.sqlite.submits import Submits
from pondage.queue.stored import STATES, STORED_AS, WAITS, StoredRequest, pack_head_of, unpack_head
from pondage.settings import Settings
from pondage.wire import outcomes
from pondage.wire.events import Operated, Outcome
from pondage.wire.ids import new_request_id
from pondage.wire.states import State

SQL = named.load("pondage.queue.sqlite", "sql/operations.sql")

STEP_BYTES = 4 * 1024 * 1024
"""Bytes of inputs that one step of a retry copies, beyond the first request."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Operation).decode

FoundRow = tuple[int, str, int]
"""A request that a step looks at: its place, its id, and the bytes of its input."""


class _Moved(NamedTuple):
    """A request that got another place; `rank` is its old one, None where it was left alone."""

    app: str
    caller: str
    rank: int | None
    new_rank: int


class SqliteOperations:
    """See `pondage.queue.operations.Operations`."""

    def __init__(
        self, database: SqliteDatabase, clock: Clock, settings: Settings, memory: Memory, submits: Submits
    ) -> None:
        self._database = database
        self._clock = clock
        self._memory = memory
        self._submits = submits
        self._most = settings.operation_step

    async def count(self, kind: Kind, filter: Filter) -> int:
        await self._all_written()
        asked = Operation("", kind, "", 0.0, filter=filter, upto=self._memory.last_seq)
        return await self._database.read(lambda cursor: _count(cursor, asked))

    async def begin(self, operation: Operation) -> Operation:
        await self._all_written()
        begun = replace(operation, upto=self._memory.last_seq)
        matched = await self._database.read(lambda cursor: _count(cursor, begun))
        begun = replace(begun, matched=matched)
        await self._database.write(lambda cursor: _put(cursor, begun))
        return begun

    async def step(self, operation_id: str) -> Step | None:
        operation = await self.get(operation_id)
        if operation is None or operation.phase is not Phase.RUNNING:
            return None
        found = await self._database.read(lambda cursor: _next(cursor, operation, self._most))
        last = found[-1][0] if found else operation.upto
        phase = Phase.RUNNING if found and last < operation.upto else Phase.DONE
        at = _At(operation, last, phase, self._clock.wall(), len(found))
        if operation.kind is Kind.CANCEL:
            return await self._cancel(at, found)
        if operation.kind is Kind.RETRY:
            return await self._retry(at, found)
        return await self._reprioritise(at, found)

    async def steer(self, operation_id: str, what: str, by: str) -> Operation | None:
        act = Act(self._clock.wall(), by, what)
        return await self._database.write(lambda cursor: _steer(cursor, operation_id, act))

    async def get(self, operation_id: str) -> Operation | None:
        return await self._database.read(lambda cursor: _get(cursor, operation_id))

    async def newest(self, limit: int, by: str | None = None) -> list[Operation]:
        asked = {"by": by, "limit": limit}
        return await self._database.read(lambda c: [_made(row) for row in c.execute(SQL["operations"], asked)])

    async def unfinished(self) -> list[str]:
        return await self._database.read(lambda cursor: [row[0] for row in cursor.execute(SQL["unfinished"])])

    async def hold(self, operation: Operation) -> Hold | None:
        done = replace(operation, phase=Phase.DONE, ended_at=operation.at)
        return await self._database.write(lambda cursor: _hold(cursor, done))

    async def holds(self) -> list[Hold]:
        return await self._database.read(_holds)

    async def oldest(self, app: str) -> float | None:
        if not self._memory.line(app).queued:
            return None

        def read(cursor: Cursor) -> float | None:
            row = cursor.execute(SQL["oldest_waiting"], (app,)).fetchone()
            return None if row is None else float(row[0])

        return await self._database.read(read)

    def waiting(self, app: str) -> list[Waiting]:
        found = [Waiting(caller, priority, size) for priority, caller, size in self._memory.line(app).flows()]
        return sorted(found, key=lambda one: (-one.queued, one.priority, one.caller))

    # ---- the kinds of steps

    async def _cancel(self, at: _At, found: list[FoundRow]) -> Step | None:
        outcome = outcomes.cancelled(at.operation.reason or "")

        def early(ended: list[tuple[str, moves.LeftRequest]] | None) -> None:
            for _, left in ended or ():
                self._memory.leaves(left)

        def settled(ended: list[tuple[str, moves.LeftRequest]] | None, failed: bool) -> None:
            for request_id, left in ended or ():
                if failed:
                    self._memory.stays(left)
                else:
                    self._memory.ended(request_id, left, outcome)

        ended = await decide(self._database, lambda cursor: _cancel(cursor, at, found, outcome), early, settled)
        if ended is None:
            return None
        stopped = tuple(request_id for request_id, left in ended if left.was is State.RUNNING)
        return Step(at.advanced(len(ended)), stopped, apps=frozenset(left.app for _, left in ended))

    async def _reprioritise(self, at: _At, found: list[FoundRow]) -> Step | None:
        priority = at.operation.priority or 0
        rows = await self._database.read(lambda c: [row for _, id_, _ in found if (row := moves.find(c, id_))])
        places: list[tuple[moves.Hot, int]] = []
        for row in rows:
            if row.state == WAITS and row.rank >> TAG_BITS != priority:
                step = step_of(unpack_head(row.head).expected)
                places.append((row, self._memory.line(row.app).enter(priority, row.caller, step)))

        def early(moved: list[_Moved] | None) -> None:
            for one in moved or [_Moved(row.app, row.caller, None, rank) for row, rank in places]:
                self._memory.line(one.app).leave(one.new_rank if one.rank is None else one.rank, one.caller)

        def settled(moved: list[_Moved] | None, failed: bool) -> None:
            for one in moved or () if failed else ():
                line = self._memory.line(one.app)
                if one.rank is not None:
                    line.back(one.rank, one.caller)
                    line.leave(one.new_rank, one.caller)
            for row, _ in places if not failed else ():
                self._memory.news.changed(row.id)

        moved = await decide(self._database, lambda cursor: _place(cursor, at, places), early, settled)
        if moved is None:
            return None
        changed = [one for one in moved if one.rank is not None]
        return Step(at.advanced(len(changed)), apps=frozenset(one.app for one in changed))

    async def _retry(self, at: _At, found: list[FoundRow]) -> Step | None:
        brought = await self._database.read(lambda cursor: _to_retry(cursor, found))
        places = [self._submits.place(_again(request, at.now), None)[0] for request in brought]
        old = {new.request.id: request.id for new, request in zip(places, brought, strict=True)}

        def early(inserted: set[str] | None) -> None:
            for new in places:
                if inserted is None or new.request.id not in inserted:
                    self._submits.displace(new)

        def settled(inserted: set[str] | None, failed: bool) -> None:
            for new in places:
                if inserted is not None and new.request.id in inserted:
                    if failed:
                        self._submits.displace(new)
                    else:
                        self._memory.news.changed(new.request.id)
                        self._memory.news.changed(old[new.request.id])

        inserted = await decide(self._database, lambda cursor: _retry(cursor, at, places), early, settled)
        if inserted is None:
            return None
        submitted = tuple(new.request for new in places if new.request.id in inserted)
        changed = frozenset(request.app for request in submitted)
        return Step(at.advanced(len(submitted)), submitted=submitted, apps=changed)

    # ---- within

    async def _all_written(self) -> None:
        """What was submitted before is on disk."""
        self._submits.release_all()
        await self._database.write(lambda cursor: None)


class _At(NamedTuple):
    """A step of an operation: how far it reaches, and what the operation is afterwards."""

    operation: Operation
    last: int
    phase: Phase
    now: float
    found: int

    def event(self) -> Operated:
        operation = self.operation
        what = operation.kind.value if operation.priority is None else f"priority {operation.priority}"
        return Operated(self.now, operation.by, what, operation.id)

    def advanced(self, changed: int) -> Operation:
        """The operation after a step that changed so many of those that it found."""
        operation = self.operation
        return replace(
            operation,
            cursor=self.last,
            changed=operation.changed + changed,
            passed=operation.passed + self.found - changed,
            phase=self.phase,
            ended_at=self.now if self.phase is Phase.DONE else None,
        )


def _selection(kind: Kind, filter: Filter) -> tuple[str, tuple[Any, ...]]:
    """FROM and WHERE of what an operation of this kind looks at. Hot rows are walked by their place: by an index, all
    that wait would be sorted for each step."""
    conditions, values = views.where(filter)
    if kind is Kind.RETRY:
        only, more = views.of_the_ended(filter)
        return f"FROM finished WHERE {conditions}{only} AND retried_as IS NULL AND keep_io <> -1", (*values, *more)
    only = f" AND state = {WAITS}" if kind is Kind.PRIORITY else ""
    if kind is Kind.CANCEL and filter.state is not None:
        only = f" AND state IN {STORED_AS[filter.state]}"
    if kind is Kind.PRIORITY and filter.priority is not None:
        only += f" AND rank >> {TAG_BITS} = {int(filter.priority)}"
    table = "requests" if filter.id is not None else "requests NOT INDEXED"
    return f"FROM {table} WHERE {conditions}{only}", values


def _count(cursor: Cursor, operation: Operation) -> int:
    statement, values = _selection(operation.kind, operation.filter)
    row = cursor.execute(f"SELECT count(*) {statement} AND seq <= ?", (*values, operation.upto)).fetchone()
    return int(row[0])


def _next(cursor: Cursor, operation: Operation, most: int) -> list[FoundRow]:
    statement, values = _selection(operation.kind, operation.filter)
    rows: list[FoundRow] = cursor.execute(
        f"SELECT seq, id, input_bytes {statement} AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
        (*values, operation.cursor, operation.upto, most),
    ).fetchall()
    if operation.kind is not Kind.RETRY:
        return rows
    size = 0
    for n, (_, _, input_bytes) in enumerate(rows):
        size += input_bytes
        if n and size > STEP_BYTES:
            return rows[:n]
    return rows


def _runs(cursor: Cursor, at: _At) -> bool:
    """Whether the operation is still to take this step: it may have been paused or undone meanwhile."""
    row = cursor.execute(SQL["operation"], (at.operation.id,)).fetchone()
    return row is not None and row[1] == Phase.RUNNING and row[2] == at.operation.cursor


def _advance(cursor: Cursor, at: _At, changed: int) -> None:
    ended_at = at.now if at.phase is Phase.DONE else None
    counted = (at.last, changed, at.found - changed)
    cursor.execute(SQL["advance"], (*counted, at.phase.value, ended_at, at.operation.id))


def _cancel(
    cursor: Cursor, at: _At, found: list[FoundRow], outcome: Outcome
) -> list[tuple[str, moves.LeftRequest]] | None:
    if not _runs(cursor, at):
        return None
    wanted = at.operation.filter.state
    ended = []
    for _, request_id, _ in found:
        row = moves.find(cursor, request_id)
        if row is not None and wanted in (None, STATES[row.state]):
            row = moves.note(cursor, row, at.event())
            ended.append((request_id, moves.finish(cursor, request_id, row, outcome, "cancel", at.now)))
    _advance(cursor, at, len(ended))
    return ended


def _place(cursor: Cursor, at: _At, places: list[tuple[moves.Hot, int]]) -> list[_Moved] | None:
    if not _runs(cursor, at):
        return None
    moved = []
    for seen, rank in places:
        row = moves.find(cursor, seen.id)
        waits = row is not None and row.state == WAITS
        moved.append(_Moved(seen.app, seen.caller, row.rank if row is not None and waits else None, rank))
        if row is not None and waits:
            moves.note(cursor, row, at.event())
            head = replace(unpack_head(row.head), priority=rank >> TAG_BITS)
            cursor.execute(SQL["place"], (rank, pack_head_of(head), row.seq))
    changed = sum(one.rank is not None for one in moved)
    _advance(cursor, at, changed)
    return moved


def _to_retry(cursor: Cursor, found: list[FoundRow]) -> list[NewRequest]:
    rows = (cursor.execute(SQL["to_retry"], (seq,)).fetchone() for seq, _, _ in found)
    return [stored.request(StoredRequest._make(row)) for row in rows if row is not None]


def _again(request: NewRequest, now: float) -> NewRequest:
    """The input of a request once more, for the key that brought it."""
    return replace(
        request,
        id=new_request_id(),
        submitted_at=now,
        idempotency_key=None,
        fingerprint=b"",
        bound="",
        max_queue_length=None,
        retried_from=request.id,
        said=None,
        start_at=None,
        deadline=None,
        mode="call" if request.mode == "session" else request.mode,
    )


def _retry(cursor: Cursor, at: _At, places: list[Insert]) -> set[str] | None:
    if not _runs(cursor, at):
        return None
    inserted = set()
    for new in places:
        row = cursor.execute(SQL["was_retried"], (new.request.retried_from,)).fetchone()
        if row is None or row[3] is not None:
            continue  # it was run again, or dropped, meanwhile
        seq, attempt, last_n, _ = row
        moves.write_events(cursor, seq, last_n + 1, attempt, [at.event()])
        cursor.execute(SQL["raise_last_n"], (last_n + 1, seq))
        moves.insert(cursor, new)
        inserted.add(new.request.id)
    _advance(cursor, at, len(inserted))
    return inserted


def _put(cursor: Cursor, o: Operation) -> None:
    counted = (o.cursor, o.changed, o.passed, o.ended_at)
    cursor.execute(SQL["put_operation"], (o.id, o.kind.value, o.phase.value, o.by, o.at, *counted, _encode(o)))


def _made(row: tuple[Any, ...]) -> Operation:
    data, phase, at, changed, passed, ended_at = row
    counted = {"cursor": at, "changed": changed, "passed": passed, "ended_at": ended_at}
    return replace(_decode(data), phase=Phase(phase), **counted)


def _get(cursor: Cursor, operation_id: str) -> Operation | None:
    row = cursor.execute(SQL["operation"], (operation_id,)).fetchone()
    return None if row is None else _made(row)


def _steer(cursor: Cursor, operation_id: str, act: Act) -> Operation | None:
    operation = _get(cursor, operation_id)
    if operation is None:
        return None
    before, after = STEERS[act.what]
    if operation.phase not in before:
        raise BadRequest(f"operation {operation_id} is {operation.phase.value}; {act.what} is for one that is "
                         f"{' or '.join(sorted(before))}")  # fmt: skip
    ended_at = act.at if after is Phase.UNDONE else None
    steered = replace(operation, phase=after, ended_at=ended_at, acts=(*operation.acts, act))
    cursor.execute(SQL["steer"], (after.value, ended_at, _encode(steered), operation_id))
    return steered


def _hold(cursor: Cursor, operation: Operation) -> Hold | None:
    app = operation.app or ""
    _put(cursor, operation)
    if operation.kind is Kind.RESUME:
        cursor.execute(SQL["drop_hold"], (app,))
        return None
    hold = Hold(app, operation.kind is Kind.DRAIN, operation.by, operation.reason, operation.at)
    cursor.execute(SQL["put_hold"], (hold.app, int(hold.drained), hold.by, hold.reason, hold.at))
    return hold


def _holds(cursor: Cursor) -> list[Hold]:
    return [Hold(app, bool(drained), *rest) for app, drained, *rest in cursor.execute(SQL["holds"])]
