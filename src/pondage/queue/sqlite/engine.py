"""The queue's verbs on SQLite: what is decided in memory, what in a transaction, and who is told after the commit.

Only one gateway writes the file, so the loop knows the lines and who runs; each transaction still decides by the rows,
which are the truth. All operations go through one writer in the order in which the loop handed them over.

What a verb changes in memory, it changes either when the loop hands it over (submits), or in `early`, before the
commit and in the order of the transactions (whatever a claim of the same group may depend on), or in `settled`, after
the commit; a commit that fails is taken back there.

A claim is handed out before its commit. If a crash prevents that commit, the request is queued as if it had never been
claimed: it runs once more, and what the first runner hands in under the attempt that never was is stale.

Longer than modules are here: one class has all verbs of the interface, each a few lines around its transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pondage.clock import Clock, SteadyWall
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import OutcomeDelayed, PondageError
from pondage.queue.counts import Spent
from pondage.queue.interface import (
    NOTHING_SPENT,
    Cancelled,
    Claim,
    Completion,
    Depth,
    Filter,
    KnownApp,
    NewRequest,
    Page,
    Ran,
    RequestView,
    Spending,
    Submission,
    Swept,
)
from pondage.queue.news import News, Watcher
from pondage.queue.sqlite import moves, upkeep, views
from pondage.queue.sqlite.counts import SqliteCounts, put_facts
from pondage.queue.sqlite.memory import Memory, resolve
from pondage.queue.sqlite.operations import SqliteOperations
from pondage.queue.sqlite.order import TAG_BITS, Line
from pondage.queue.sqlite.submits import Submits
from pondage.queue.sqlite.sweeps import Sweeps
from pondage.queue.stored import StoredView, digest_of, view
from pondage.settings import Settings
from pondage.telemetry import log
from pondage.wire import outcomes
from pondage.wire.events import Entry, Event, Outcome
from pondage.wire.states import Move, State


class SqliteQueue:
    """See `pondage.queue.interface.Queue`. Made by `open`; `close` before the database is closed."""

    def __init__(
        self, database: SqliteDatabase, clock: Clock, settings: Settings, news: News, found: upkeep.QueueAtOpen
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._news = news
        self._memory = Memory(found, news)
        self.counts = SqliteCounts(database, clock, settings)
        database.write_notes(put_facts)
        self._submits = Submits(database, clock, settings, self._memory, self._nobody_took)
        self._resumable_until = 0.0
        """Wall time until which a run that was cut off may be repeated."""
        self._sweeps = Sweeps(database, clock, settings, self._memory, SteadyWall(clock, found.newest))
        self.operations = SqliteOperations(database, clock, settings, self._memory, self._submits)
        self._taken_back: dict[str, int] = {}
        """Attempts that were handed out and whose claim was then not committed, the highest of each request."""

    @classmethod
    async def open(cls, database: SqliteDatabase, clock: Clock, settings: Settings, news: News) -> SqliteQueue:
        """The queue in this database, with its lines as they were left. It tells `news` of what it commits."""
        now = clock.wall()
        return cls(database, clock, settings, news, await database.write(lambda c: upkeep.take_seat(c, now)))

    async def close(self) -> None:
        """Write what is held back and let every waiter go: they see no outcome. Safe to call twice."""
        if self._news.closed:
            return
        self._submits.close()
        try:
            await self._barrier()
        except PondageError as error:
            log.error("the last writes of the queue failed: %s", error)
        self._news.close()

    @property
    def seat(self) -> int:
        return self._memory.seat

    # ---- callers

    def submit(self, request: NewRequest, *, slot: str | None = None, lazy: bool = False) -> Submission:
        if self._database.failing:
            slot = None  # nothing is handed out that may not become durable
        return self._submits.submit(request, slot, lazy=lazy)

    async def cancel(self, request_id: str) -> Cancelled:
        self._submits.release(request_id)
        now = self._clock.wall()
        outcome = outcomes.cancelled()
        return await self._end(
            request_id,
            outcome,
            lambda cursor: moves.end(cursor, request_id, Move.CANCEL, outcome, "cancel", now),
        )

    async def fail(self, request_id: str, outcome: Outcome) -> bool:
        self._submits.release(request_id)
        now = self._clock.wall()
        told = await self._end(
            request_id,
            outcome,
            lambda cursor: moves.end(cursor, request_id, Move.EXPIRE, outcome, "expire", now),
        )
        return told.was is State.QUEUED

    async def get(self, request_id: str) -> RequestView | None:
        await self._written(request_id)
        found = await self._database.read(lambda cursor: views.placed(cursor, request_id))
        return None if found is None else self._view(*found)

    async def input(self, request_id: str) -> NewRequest | None:
        await self._written(request_id)
        return await self._database.read(lambda cursor: views.input_of(cursor, request_id))

    async def outcome(self, request_id: str) -> Outcome | None:
        await self._written(request_id)
        found = await self._database.read(lambda cursor: views.outcome_of(cursor, request_id))
        return self._was_read(request_id, found)

    async def wait(self, request_id: str, timeout: float | None) -> Outcome | None:
        if request_id not in self._memory.running:
            await self._written(request_id)
        future = self._news.wait(request_id)
        try:
            if request_id not in self._memory.running and not future.done():
                outcome = await self.outcome(request_id)
                if outcome is not None:
                    return outcome
                if not await self._database.read(lambda cursor: views.is_hot(cursor, request_id)):
                    # It may have ended between the two reads; else nobody knows it.
                    return await self.outcome(request_id)
            if timeout is None:
                return self._was_read(request_id, await future)
            done, _ = await asyncio.wait((future,), timeout=timeout)
            # Who waits for so long and no longer hears nothing but that it has not ended.
            known = done and not isinstance(future.exception(), OutcomeDelayed)
            return self._was_read(request_id, future.result()) if known else None
        finally:
            self._news.forget(request_id, future)

    async def events(
        self, request_id: str, *, after: int = 0, limit: int = 1000, kinds: frozenset[str] | None = None
    ) -> list[Event]:
        await self._written(request_id)
        return await self._database.read(lambda cursor: views.events(cursor, request_id, after, limit, kinds))

    async def newest(self, request_id: str, *, kinds: frozenset[str], limit: int) -> list[Event]:
        await self._written(request_id)
        return await self._database.read(lambda cursor: views.newest(cursor, request_id, kinds, limit))

    async def chunks(
        self, request_id: str, *, after: tuple[int, int], limit: int = 1000, most_bytes: int | None = None
    ) -> list[Event]:
        return await self._database.read(lambda cursor: views.chunks(cursor, request_id, after, limit, most_bytes))

    def watch(self, request_id: str) -> Watcher:
        return Watcher(self._news, request_id)

    async def page(self, filter: Filter) -> Page:
        rows, cursor = await self._database.read(lambda c: views.page(c, filter))
        return Page([self._view(row) for row in rows], cursor)

    def work_ahead(self, app: str, priority: int, caller: str) -> float:
        line = self._memory.lines.get(app)
        return 0.0 if line is None else line.work_ahead(priority, caller)

    async def history(self, app: str, limit: int) -> list[Ran]:
        return await self._database.read(lambda cursor: views.history(cursor, app, limit))

    @property
    def lines(self) -> Mapping[str, Line]:
        return self._memory.lines

    def depth(self, app: str) -> Depth:
        line = self._memory.lines.get(app)
        return Depth(0, 0) if line is None else Depth(line.queued, line.running)

    def _view(self, row: StoredView, ahead: int | None = None) -> RequestView:
        """`ahead`: as it was counted, if it was; else the place of a request that waits is an estimate."""
        if row.state != 0 or row.rank is None:
            return view(row, None)
        line = self._memory.line(row.app)
        if ahead is None:
            ahead = line.ahead(row.rank, row.caller)
        return view(row, ahead, line.work_ahead(row.rank >> TAG_BITS, row.caller, row.rank))

    # ---- dispatch

    async def claim(self, app: str, slots: Sequence[str]) -> list[Claim]:
        line = self._memory.line(app)
        if not slots or line.queued == 0:
            return []
        slots = list(slots[: line.queued])
        now = self._clock.wall()
        future: asyncio.Future[list[Claim]] = self._loop.create_future()

        def early(claimed: list[moves.Claimed]) -> None:
            for claim, rank in claimed:
                line.claimed(rank, claim.request.caller)
                self._memory.started(claim.request.id, app)
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
                    self._news.changed(claim.request.id)
                return
            for claim, rank in claimed or ():
                self._memory.stopped(claim.request.id)
                line.back(rank, claim.request.caller)
                self._taken_back[claim.request.id] = claim.attempt
                # In the next turn: whoever was told early has begun it by then.
                self._loop.call_soon(self._news.taken_back, claim)
            if not future.done():
                future.set_exception(error)

        if self._taken_back:
            self._spend_attempts(now)
        self._database.post(
            lambda cursor: moves.claim(cursor, app, slots, self._memory.seat, now), settled, early=early
        )
        return await future

    def _spend_attempts(self, now: float) -> None:
        """Ahead of the next claim, in its transaction or an earlier one."""
        taken_back = dict(self._taken_back)

        def settled(done: list[str] | None, error: BaseException | None) -> None:
            for request_id in done or () if error is None else ():
                if self._taken_back.get(request_id) == taken_back[request_id]:
                    del self._taken_back[request_id]

        self._database.post(lambda cursor: moves.spend_attempts(cursor, taken_back, now), settled)

    def append(self, request_id: str, attempt: int, entries: Sequence[Entry]) -> asyncio.Future[bool]:
        self._submits.release(request_id)
        now = self._clock.wall()
        future: asyncio.Future[bool] = self._loop.create_future()

        def settled(applied: bool | None, error: BaseException | None) -> None:
            if applied:
                self._news.changed(request_id)
            resolve(future, bool(applied), error)

        self._database.post(lambda cursor: moves.append(cursor, request_id, attempt, entries, now), settled)
        return future

    def complete(
        self, request_id: str, attempt: int, outcome: Outcome, spent: Spending = NOTHING_SPENT
    ) -> asyncio.Future[Completion]:
        held = self._submits.complete(request_id, attempt, outcome, spent)
        if held is not None:
            return held
        self._submits.release(request_id)
        now = self._clock.wall()
        future: asyncio.Future[Completion] = self._loop.create_future()

        def settled(result: tuple[Completion, moves.LeftRequest | None] | None, error: BaseException | None) -> None:
            if result is not None and error is None and result[1] is not None:
                self._memory.ended(request_id, result[1], outcome)
            elif result is not None and error is None and result[0].verdict == "stale":
                self._news.changed(request_id)
            resolve(future, None if result is None else result[0], error)

        self._database.post(lambda cursor: moves.complete(cursor, request_id, attempt, outcome, spent, now), settled)
        return future

    async def retry(
        self,
        request_id: str,
        attempt: int,
        *,
        reason: str,
        strike: bool = False,
        alone: bool = False,
        spent: Spending = NOTHING_SPENT,
    ) -> bool:
        return await self._put_back(request_id, attempt, reason, strike, alone, spent)

    def spend(self, app: str, caller: str, spent: Spending) -> None:
        fact = Spent(self._clock.wall(), app, caller, spent.runner, spent.devices)
        self._database.post(lambda cursor: cursor.notes.append(fact), _uncounted, lazy=True)

    def _put_back(
        self,
        request_id: str,
        attempt: int,
        reason: str,
        strike: bool,
        alone: bool,
        spent: Spending = NOTHING_SPENT,
    ) -> asyncio.Future[bool]:
        self._submits.release(request_id)
        now = self._clock.wall()
        future: asyncio.Future[bool] = self._loop.create_future()

        def early(left: moves.LeftRequest | None) -> None:
            # Before the commit, since a claim that follows may take the request in the same group.
            if left is not None:
                self._memory.stopped(request_id)
                self._memory.line(left.app).back(left.rank, left.caller)

        def settled(left: moves.LeftRequest | None, error: BaseException | None) -> None:
            if error is not None and left is not None:
                line = self._memory.line(left.app)
                line.leave(left.rank, left.caller)
                self._memory.started(request_id, left.app)
            if error is None and left is not None:
                self._news.changed(request_id)
            resolve(future, left is not None, error)

        self._database.post(
            lambda cursor: moves.retry(cursor, request_id, attempt, reason, strike, alone, spent, now),
            settled,
            early=early,
        )
        return future

    # ---- upkeep

    async def orphans(self) -> list[Claim]:
        return await self._database.write(lambda cursor: upkeep.orphans(cursor, self._memory.seat))

    async def interrupted(self, window: float) -> list[str]:
        runs = await self._database.read(upkeep.cut_off)
        now = self._clock.wall()
        kept = [run for run in runs if run.resumable]
        self._resumable_until = await self._database.write(
            lambda cursor: upkeep.put_interrupted(cursor, kept, now, now + window)
        )
        return [run.request_id for run in runs if not run.resumable]

    @property
    def resumable(self) -> bool:
        return self._resumable_until > 0.0 and self._clock.wall() < self._resumable_until

    async def resume(self, request: NewRequest) -> str | None:
        now = self._clock.wall()
        digest = digest_of(request)
        return await self._database.write(lambda cursor: upkeep.resume(cursor, digest, now))

    async def sweep(self) -> Swept:
        return await self._sweeps.sweep()

    async def forget_payloads(self, request_id: str) -> bool:
        await self._written(request_id)
        size = await self._database.write(lambda cursor: upkeep.forget_payloads(cursor, request_id))
        self._memory.kept_bytes -= size or 0
        self._memory.private.discard(request_id)
        return size is not None

    async def put_app(self, app: KnownApp) -> None:
        await self._database.write(lambda cursor: upkeep.put_app(cursor, app))

    async def forget_app(self, name: str) -> bool:
        return await self._database.write(lambda cursor: upkeep.forget_app(cursor, name))

    async def apps(self) -> list[KnownApp]:
        return await self._database.read(upkeep.apps)

    async def referenced(self, file_ids: Sequence[str]) -> set[str]:
        self._submits.release_all()
        await self._barrier()
        wanted = msgspec.json.encode(list(file_ids)).decode()
        return await self._database.read(lambda cursor: upkeep.referenced(cursor, wanted))

    async def naming(self, file_id: str, caller: str) -> list[RequestView]:
        self._submits.release_all()
        await self._barrier()
        rows = await self._database.read(lambda cursor: views.naming(cursor, file_id, caller))
        return [self._view(row) for row in rows]

    # ---- within

    async def _end(self, request_id: str, outcome: Outcome, operation: Any) -> Cancelled:
        future: asyncio.Future[Cancelled] = self._loop.create_future()

        def early(result: tuple[Cancelled, moves.LeftRequest | None]) -> None:
            if result[1] is not None:
                self._memory.leaves(result[1])

        def settled(result: tuple[Cancelled, moves.LeftRequest | None] | None, error: BaseException | None) -> None:
            cancelled, left = (None, None) if result is None else result
            if left is not None and error is None:
                self._memory.ended(request_id, left, outcome)
            elif left is not None:
                self._memory.stays(left)
            resolve(future, cancelled, error)

        self._database.post(operation, settled, early=early)
        return await future

    def _was_read(self, request_id: str, outcome: Outcome | None) -> Outcome | None:
        if outcome is not None and request_id in self._memory.private:
            now = self._clock.wall()
            self._database.post(lambda cursor: upkeep.was_read(cursor, request_id, now), _unwritten, lazy=True)
        return outcome

    def _nobody_took(self, request_id: str) -> None:
        """Whoever offered the slot has gone: nobody would ever run the request, so it waits again."""
        self._put_back(request_id, 1, "nobody took the claim", False, False)

    async def _written(self, request_id: str) -> None:
        """Before a read: an insert that is under way is awaited, a held one let go first."""
        if self._submits.under_way(request_id):
            self._submits.release(request_id)
            await self._barrier()

    async def _barrier(self) -> None:
        """All that was handed over before is committed."""
        await self._database.write(lambda cursor: None)


def _uncounted(_: None, error: BaseException | None) -> None:
    """What an attempt took beyond its outcome is counted where the disk has room for it."""
    if error is not None:
        log.warning("what an attempt took could not be counted: %s", error)


def _unwritten(_: None, error: BaseException | None) -> None:
    """A read mark that is not written is written at the next read."""
    if error is not None:
        log.warning("that an outcome was read could not be written: %s", error)
