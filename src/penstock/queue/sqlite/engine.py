"""The queue's verbs on SQLite: what is decided in memory, what in a transaction, and who is told after the commit.

Only one gateway writes the file, so the loop knows the lines and who runs; each transaction still decides by the rows,
which are the truth. All operations go through one writer in the order in which the loop handed them over: whatever
comes after a submit is written after it. The one exception is made here: the insert of a request that was claimed at
once and whose caller waits for the outcome is held back for `HOLD` seconds, because mostly the outcome comes first and
both are one row, one statement and one commit. Every other verb on that request lets the insert go first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from penstock.clock import Clock
from penstock.database.sqlite import SqliteDatabase
from penstock.errors import PenstockError, TooMany
from penstock.queue.interface import (
    Cancelled,
    Claim,
    Completion,
    Depth,
    Filter,
    KnownApp,
    NewRequest,
    Page,
    Receipt,
    RequestView,
    Submission,
    Swept,
)
from penstock.queue.order import Line
from penstock.queue.sqlite import moves, upkeep, views
from penstock.queue.sqlite.rows import view
from penstock.queue.sqlite.watch import Watcher, Watchers
from penstock.settings import Settings
from penstock.telemetry import log
from penstock.wire.events import Entry, Event, Outcome
from penstock.wire.states import Move, State

HOLD = 0.02
"""Seconds that the insert of a `run` waits for its outcome."""


def _ignore(_result: Any, error: BaseException | None) -> None:
    if error is not None:
        log.error("a write of the queue failed: %s", error)


class SqliteQueue:
    """See `penstock.queue.interface.Queue`. Made by `open`; `close` before the database is closed."""

    def __init__(self, database: SqliteDatabase, clock: Clock, settings: Settings, found: upkeep.Found) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._watchers = Watchers()
        self._lines = found.lines
        self._last_seq = found.last_seq
        self._kept_bytes = found.kept_bytes
        self._running: dict[str, str] = {claim.request.id: claim.request.app for claim, _ in found.running}
        """Running requests and their apps."""
        self._held: dict[str, tuple[moves.Insert, float]] = {}
        """Inserts that wait for their outcome, and since when on the loop's clock."""
        self._receipts: dict[str, asyncio.Future[Receipt]] = {}
        """Receipts of the inserts that are not committed yet, held or in the writer's hands."""
        self._hold_timer: asyncio.TimerHandle | None = None
        self._read: set[str] = set()
        """Requests that are not to be kept and whose outcome was read."""

    @classmethod
    async def open(cls, database: SqliteDatabase, clock: Clock, settings: Settings) -> SqliteQueue:
        """The queue in this database, with its lines as they were left."""
        return cls(database, clock, settings, await database.read(upkeep.look_around))

    async def close(self) -> None:
        """Write what is held back and let every waiter go: they see no outcome. Safe to call twice."""
        if self._watchers.closed:
            return
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        self._release_all()
        try:
            await self._barrier()
        except PenstockError as error:
            log.error("the last writes of the queue failed: %s", error)
        self._watchers.close()

    # ---- callers

    def submit(self, request: NewRequest, *, slot: str | None = None, lazy: bool = False) -> Submission:
        line = self._line(request.app)
        receipt: asyncio.Future[Receipt] = self._loop.create_future()
        self._last_seq += 1
        now = self._clock.wall()
        take = slot is not None and line.queued == 0
        full = None
        if not take and request.max_queue_length is not None and line.queued >= request.max_queue_length:
            full = TooMany(
                f"{line.queued} requests of {request.app} wait already; at most {request.max_queue_length} may"
            )
        if request.idempotency_key is not None:
            return self._submit_keyed(request, slot if take else None, receipt, full)
        if full is not None:
            receipt.set_exception(full)
            return Submission(request, None, None, receipt)
        if take:
            rank = line.pass_by(request.priority, request.caller)
            line.running += 1
            self._running[request.id] = request.app
            new = moves.Insert(request, self._last_seq, rank, slot, now)
            if lazy:
                self._hold(new, receipt)
            else:
                self._insert(new, receipt, 0, lazy=False)
            return Submission(request, Claim(request, 1, slot or ""), None, receipt)
        rank = line.enter(request.priority, request.caller)
        new = moves.Insert(request, self._last_seq, rank, None, now)
        self._insert(new, receipt, line.ahead(rank, request.caller), lazy=lazy)
        return Submission(request, None, None, receipt)

    def _insert(self, new: moves.Insert, receipt: asyncio.Future[Receipt], position: int, *, lazy: bool) -> None:
        request = new.request
        self._receipts[request.id] = receipt

        def settled(_: None, error: BaseException | None) -> None:
            self._receipts.pop(request.id, None)
            if error is None:
                self._watchers.changed(request.id)
            else:
                self._undo(new)
                self._watchers.failed(request.id, error)
            _resolve(receipt, Receipt(request.id, position), error)

        self._database.post(lambda cursor: moves.insert(cursor, new), settled, lazy=lazy)

    def _undo(self, new: moves.Insert) -> None:
        """An insert was not committed: nobody waits, nobody runs."""
        if new.runner is None:
            self._line(new.request.app).leave(new.rank, new.request.caller)
        else:
            self._stopped(new.request.id)

    def _submit_keyed(
        self, request: NewRequest, slot: str | None, receipt: asyncio.Future[Receipt], full: TooMany | None
    ) -> Submission:
        """A submit that may be a repeat: decided in the transaction. Until then it has its place like a new one."""
        line = self._line(request.app)
        now = self._clock.wall()
        if slot is None:
            rank = line.enter(request.priority, request.caller)
        else:
            rank = line.pass_by(request.priority, request.caller)
            line.running += 1
            self._running[request.id] = request.app
        new = moves.Insert(request, self._last_seq, rank, slot, now)
        position = 0 if slot is not None else line.ahead(rank, request.caller)
        claimed: asyncio.Future[Claim | None] = self._loop.create_future()
        if slot is None:
            claimed.set_result(None)
        self._receipts[request.id] = receipt

        def early(replayed: moves.Replayed | None) -> None:
            if replayed is not None:
                self._undo(new)
            if not claimed.done():
                claimed.set_result(None if replayed is not None else Claim(request, 1, slot or ""))
            elif slot is not None and replayed is None:
                # Whoever offered the slot is gone: nobody would ever run it.
                self._put_back(request.id, 1, "nobody took the claim", False, False)

        def settled(replayed: moves.Replayed | None, error: BaseException | None) -> None:
            self._receipts.pop(request.id, None)
            answer = Receipt(request.id, position)
            if error is not None:
                if replayed is None:
                    self._undo(new)
                _resolve(claimed, None, None)
                self._watchers.failed(request.id, error)
            elif replayed is not None:
                ahead = 0 if replayed.rank is None else self._line(replayed.app).ahead(replayed.rank, replayed.caller)
                answer = Receipt(replayed.request_id, ahead, replayed=True)
            self._watchers.changed(request.id)
            _resolve(receipt, answer, error)

        expires_at = now + self._settings.idempotency_window
        self._database.post(lambda cursor: moves.insert_keyed(cursor, new, expires_at, full), settled, early=early)
        return Submission(request, None, claimed, receipt)

    async def cancel(self, request_id: str) -> Cancelled:
        self._release(request_id)
        now = self._clock.wall()
        outcome = Outcome.failure(499, "the request was cancelled", "client_cancelled")
        return await self._end(
            request_id,
            outcome,
            lambda cursor: moves.end(cursor, request_id, Move.CANCEL, outcome, "cancel", now),
        )

    async def get(self, request_id: str) -> RequestView | None:
        await self._written(request_id)
        row = await self._database.read(lambda cursor: views.find(cursor, request_id))
        return None if row is None else self._view(row)

    async def input(self, request_id: str) -> NewRequest | None:
        await self._written(request_id)
        return await self._database.read(lambda cursor: views.input_of(cursor, request_id))

    async def outcome(self, request_id: str) -> Outcome | None:
        await self._written(request_id)
        found = await self._database.read(lambda cursor: views.outcome_of(cursor, request_id))
        if found is None:
            return None
        if found[1]:
            self._read.add(request_id)
        return found[0]

    async def wait(self, request_id: str, timeout: float | None) -> Outcome | None:
        if request_id not in self._running:
            await self._written(request_id)
        future = self._watchers.wait(request_id)
        try:
            if request_id not in self._running and not future.done():
                outcome = await self.outcome(request_id)
                if outcome is not None:
                    return outcome
                if not await self._database.read(lambda cursor: views.is_hot(cursor, request_id)):
                    # It may have ended between the two reads; else nobody knows it.
                    return await self.outcome(request_id)
            done, _ = await asyncio.wait((future,), timeout=timeout)
            return future.result() if done else None
        finally:
            self._watchers.forget(request_id, future)

    async def events(
        self, request_id: str, *, after: int = 0, limit: int = 1000, kinds: frozenset[str] | None = None
    ) -> list[Event]:
        await self._written(request_id)
        return await self._database.read(lambda cursor: views.events(cursor, request_id, after, limit, kinds))

    async def chunks(self, request_id: str, *, after: tuple[int, int], limit: int = 1000) -> list[Event]:
        return await self._database.read(lambda cursor: views.chunks(cursor, request_id, after, limit))

    def watch(self, request_id: str) -> Watcher:
        return Watcher(self._watchers, request_id)

    def on_commit(self, tell: Callable[[], None]) -> None:
        self._watchers.committed = tell

    def on_outcome(self, tell: Callable[[str], None]) -> None:
        """One listener hears the id of each request that has ended, after the commit."""
        self._watchers.finished = tell

    async def page(self, filter: Filter) -> Page:
        rows, cursor = await self._database.read(lambda c: views.page(c, filter))
        return Page([self._view(row) for row in rows], cursor)

    def depth(self, app: str) -> Depth:
        line = self._lines.get(app)
        return Depth(0, 0) if line is None else Depth(line.queued, line.running)

    def _view(self, row: views.Row) -> RequestView:
        rank = row[6] if row[5] == 0 else None
        return view(row, None if rank is None else self._line(row[2]).ahead(rank, row[4]))

    # ---- dispatch

    async def claim(self, app: str, slots: Sequence[str]) -> list[Claim]:
        line = self._line(app)
        if not slots or line.queued == 0:
            return []
        slots = list(slots[: line.queued])
        now = self._clock.wall()
        future: asyncio.Future[list[Claim]] = self._loop.create_future()

        def early(claimed: list[moves.Claimed]) -> None:
            for claim, rank in claimed:
                line.claimed(rank, claim.request.caller)
                line.running += 1
                self._running[claim.request.id] = app
            claims = [claim for claim, _ in claimed]
            if not future.done():
                future.set_result(claims)
                return
            # Whoever asked is gone: nobody would ever run these.
            for claim in claims:
                self._put_back(claim.request.id, claim.attempt, "nobody took the claim", False, False)

        def settled(claimed: list[moves.Claimed] | None, error: BaseException | None) -> None:
            if error is None:
                for claim, _ in claimed or ():
                    self._watchers.changed(claim.request.id)
                return
            for claim, rank in claimed or ():
                self._stopped(claim.request.id)
                line.back(rank, claim.request.caller)
            if not future.done():
                future.set_exception(error)

        self._database.post(lambda cursor: moves.claim(cursor, app, slots, now), settled, early=early)
        return await future

    async def append(self, request_id: str, attempt: int, entries: Sequence[Entry]) -> bool:
        self._release(request_id)
        now = self._clock.wall()
        future: asyncio.Future[bool] = self._loop.create_future()

        def settled(applied: bool | None, error: BaseException | None) -> None:
            if applied:
                self._watchers.changed(request_id)
            _resolve(future, bool(applied), error)

        self._database.post(lambda cursor: moves.append(cursor, request_id, attempt, entries, now), settled)
        return await future

    async def complete(self, request_id: str, attempt: int, outcome: Outcome) -> Completion:
        now = self._clock.wall()
        held = self._held.pop(request_id, None)
        if held is not None and attempt == 1:
            return await self._complete_held(held[0], outcome, now)
        if held is not None:
            self._held[request_id] = held
            self._release(request_id)
        future: asyncio.Future[Completion] = self._loop.create_future()

        def settled(result: tuple[Completion, moves.Left | None] | None, error: BaseException | None) -> None:
            if result is not None and error is None and result[1] is not None:
                self._left(request_id, result[1], outcome)
            elif result is not None and error is None and result[0].verdict == "stale":
                self._watchers.changed(request_id)
            _resolve(future, None if result is None else result[0], error)

        self._database.post(lambda cursor: moves.complete(cursor, request_id, attempt, outcome, now), settled)
        return await future

    def _complete_held(self, new: moves.Insert, outcome: Outcome, now: float) -> asyncio.Future[Completion]:
        """The hot path of `run`: the request and its outcome are one row."""
        request = new.request
        future: asyncio.Future[Completion] = self._loop.create_future()
        receipt = self._receipts.pop(request.id)

        def settled(_: None, error: BaseException | None) -> None:
            self._stopped(request.id)
            if error is None:
                self._kept_bytes += len(request.input) + len(outcome.body)
                self._watchers.ended(request.id, outcome)
            else:
                self._watchers.failed(request.id, error)
            _resolve(receipt, Receipt(request.id, 0), error)
            _resolve(future, _APPLIED, error)

        self._database.post(lambda cursor: moves.insert_finished(cursor, new, outcome, now), settled)
        return future

    async def retry(
        self, request_id: str, attempt: int, *, reason: str, strike: bool = False, alone: bool = False
    ) -> bool:
        return await self._put_back(request_id, attempt, reason, strike, alone)

    def _put_back(self, request_id: str, attempt: int, reason: str, strike: bool, alone: bool) -> asyncio.Future[bool]:
        self._release(request_id)
        now = self._clock.wall()
        future: asyncio.Future[bool] = self._loop.create_future()

        def early(left: moves.Left | None) -> None:
            # Before the commit, since a claim that follows may take the request in the same group.
            if left is not None:
                self._stopped(request_id)
                self._line(left.app).back(left.rank, left.caller)

        def settled(left: moves.Left | None, error: BaseException | None) -> None:
            if error is not None and left is not None:
                line = self._line(left.app)
                line.leave(left.rank, left.caller)
                line.running += 1
                self._running[request_id] = left.app
            if error is None and left is not None:
                self._watchers.changed(request_id)
            _resolve(future, left is not None, error)

        self._database.post(
            lambda cursor: moves.retry(cursor, request_id, attempt, reason, strike, alone, now), settled, early=early
        )
        return future

    # ---- upkeep

    async def recover(self) -> list[Claim]:
        return await self._database.read(upkeep.recover)

    async def sweep(self) -> Swept:
        now = self._clock.wall()

        expired = await self._expire(now)
        excess = self._kept_bytes - self._settings.retention_bytes
        retention = self._settings.retention
        dropped, size = await self._database.write(lambda c: upkeep.drop_old(c, now, retention, excess), lazy=True)
        self._kept_bytes -= size
        read = frozenset(self._read)
        self._read -= await self._database.write(lambda cursor: upkeep.forget_private(cursor, read), lazy=True)
        return Swept([one.request_id for one in expired], dropped)

    def _expire(self, now: float) -> asyncio.Future[list[upkeep.Expired]]:
        future: asyncio.Future[list[upkeep.Expired]] = self._loop.create_future()

        def early(expired: list[upkeep.Expired]) -> None:
            for _, left, _ in expired:
                self._line(left.app).leave(left.rank, left.caller)

        def settled(expired: list[upkeep.Expired] | None, error: BaseException | None) -> None:
            for request_id, left, outcome in expired or ():
                if error is None:
                    self._left(request_id, left, outcome)
                else:
                    self._line(left.app).back(left.rank, left.caller)
            _resolve(future, expired, error)

        self._database.post(lambda cursor: upkeep.expire(cursor, now), settled, early=early)
        return future

    async def put_app(self, app: KnownApp) -> None:
        await self._database.write(lambda cursor: upkeep.put_app(cursor, app))

    async def apps(self) -> list[KnownApp]:
        return await self._database.read(upkeep.apps)

    async def referenced(self, file_ids: Sequence[str]) -> set[str]:
        self._release_all()
        await self._barrier()
        wanted = msgspec.json.encode(list(file_ids)).decode()
        return await self._database.read(lambda cursor: upkeep.referenced(cursor, wanted))

    # ---- in memory

    def _line(self, app: str) -> Line:
        line = self._lines.get(app)
        if line is None:
            line = self._lines[app] = Line()
        return line

    def _stopped(self, request_id: str) -> None:
        """A request runs no more. Safe to call again."""
        app = self._running.pop(request_id, None)
        if app is not None:
            self._lines[app].running -= 1

    async def _end(self, request_id: str, outcome: Outcome, operation: Any) -> Cancelled:
        future: asyncio.Future[Cancelled] = self._loop.create_future()

        def early(result: tuple[Cancelled, moves.Left | None]) -> None:
            left = result[1]
            if left is not None and left.was is State.QUEUED:
                self._line(left.app).leave(left.rank, left.caller)

        def settled(result: tuple[Cancelled, moves.Left | None] | None, error: BaseException | None) -> None:
            left = None if result is None else result[1]
            if left is not None and error is None:
                self._left(request_id, left, outcome)
            elif left is not None and left.was is State.QUEUED:
                self._line(left.app).back(left.rank, left.caller)
            _resolve(future, None if result is None else result[0], error)

        self._database.post(operation, settled, early=early)
        return await future

    def _left(self, request_id: str, left: moves.Left, outcome: Outcome) -> None:
        """An outcome was committed."""
        self._stopped(request_id)
        self._kept_bytes += left.bytes
        self._watchers.ended(request_id, outcome)

    # ---- held inserts

    def _hold(self, new: moves.Insert, receipt: asyncio.Future[Receipt]) -> None:
        self._held[new.request.id] = (new, self._loop.time())
        self._receipts[new.request.id] = receipt
        if self._hold_timer is None:
            self._hold_timer = self._loop.call_later(HOLD, self._release_held)

    def _release_held(self) -> None:
        """Let go what has waited for long enough; one timer for all."""
        self._hold_timer = None
        oldest = self._loop.time() - HOLD
        for request_id, (_, since) in list(self._held.items()):
            if since > oldest:
                break
            self._release(request_id)
        if self._held:
            self._hold_timer = self._loop.call_later(HOLD, self._release_held)

    def _release_all(self) -> None:
        for request_id in list(self._held):
            self._release(request_id)

    def _release(self, request_id: str) -> None:
        """Hand a held insert to the writer, ahead of whatever follows."""
        if self._held and (held := self._held.pop(request_id, None)) is not None:
            self._insert(held[0], self._receipts[request_id], 0, lazy=False)

    async def _written(self, request_id: str) -> None:
        """Before a read: an insert that is under way is awaited, a held one let go first."""
        if request_id in self._receipts:
            self._release(request_id)
            await self._barrier()

    async def _barrier(self) -> None:
        """All that was handed over before is committed."""
        await self._database.write(lambda cursor: None)


_APPLIED = Completion("applied")


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        # Seen: whoever has lost interest meanwhile shall not have it reported by the garbage collector.
        future.exception()
