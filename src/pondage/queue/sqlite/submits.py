"""Submits: a place in line or a slot at once, decided in memory; then the insert, at once or held back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pondage.clock import Clock
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import TooMany
from pondage.queue.held import HoldBack
from pondage.queue.interface import Claim, Completion, NewRequest, Receipt, Spending, Submission
from pondage.queue.sqlite import moves
from pondage.queue.sqlite.memory import Memory, resolve
from pondage.queue.sqlite.order import step_of
from pondage.queue.sqlite.rows import Insert
from pondage.settings import Settings
from pondage.wire.events import Outcome

_APPLIED = Completion("applied")


class Submits:
    """`nobody_took(request_id)` is called for a request whose slot was offered by a caller that has gone since."""

    def __init__(
        self,
        database: SqliteDatabase,
        clock: Clock,
        settings: Settings,
        memory: Memory,
        nobody_took: Callable[[str], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._memory = memory
        self._nobody_took = nobody_took
        self._loop = asyncio.get_running_loop()
        self._held: HoldBack[Insert] = HoldBack(self._insert_held)
        self._receipts: dict[str, asyncio.Future[Receipt]] = {}
        """Receipts of the inserts that are not committed yet, held or in the writer's hands."""

    def submit(self, request: NewRequest, slot: str | None, *, lazy: bool) -> Submission:
        """See `pondage.queue.interface.Queue.submit`."""
        line = self._memory.line(request.app)
        receipt: asyncio.Future[Receipt] = self._loop.create_future()
        if line.queued or request.start_at is not None:
            slot = None
        full = None if slot is not None else self._full(request)
        if full is not None and request.idempotency_key is None:
            resolve(receipt, None, full)
            return Submission(request, None, None, receipt)
        new, position = self.place(request, slot)
        if request.idempotency_key is not None:
            return self._insert_keyed(new, receipt, position, full)
        if slot is not None and lazy:
            self._hold(new, receipt)
        else:
            self._insert(new, receipt, position, lazy=lazy)
        return Submission(request, None if slot is None else Claim(request, 1, slot), None, receipt)

    def _full(self, request: NewRequest) -> TooMany | None:
        """Why one more may not wait. On a server without keys nobody has more than all may have."""
        queued, most = self._memory.line(request.app).queued, request.max_queue_length
        if most is not None and queued >= most:
            return TooMany(f"{queued} requests of {request.app} wait already; at most {most} may")
        most = self._settings.max_queue_length_per_key
        if request.caller and self._memory.waiting(request.caller) >= most:
            return TooMany(f"{most} requests of this key wait already, and no more may (max_queue_length_per_key)")
        held, most = self._memory.brought[request.caller], self._settings.max_queue_bytes_per_key
        if request.caller and held + len(request.input) > most:
            return TooMany(
                f"the inputs of this key's requests that have not ended have {held} bytes, and {len(request.input)} "
                f"more would be above {most} (max_queue_bytes_per_key); send files as URLs, or try again later"
            )
        return None

    def place(self, request: NewRequest, slot: str | None) -> tuple[Insert, int]:
        """A slot or a place in line, from now on, and how many are ahead."""
        line = self._memory.line(request.app)
        self._memory.last_seq += 1
        self._memory.came(request.caller, len(request.input))
        if not request.store_io:
            self._memory.private.add(request.id)
        position, step = 0, step_of(request.expected)
        if request.start_at is not None:
            rank = 0  # it gets its place once its time has come
            self._memory.on_schedule(request.caller, 1)
        elif slot is not None:
            rank = line.pass_by(request.priority, request.caller, step)
            self._memory.started(request.id, request.app)
        else:
            rank = line.enter(request.priority, request.caller, step)
            position = line.ahead(rank, request.caller)
        memory = self._memory
        return Insert(request, memory.last_seq, rank, slot, memory.seat, self._clock.wall()), position

    def displace(self, new: Insert) -> None:
        """The insert was not committed, or not needed: nobody waits, nobody runs."""
        self._memory.private.discard(new.request.id)
        self._memory.went(new.request.caller, len(new.request.input))
        if new.request.start_at is not None:
            self._memory.on_schedule(new.request.caller, -1)
            return
        if new.runner is None:
            self._memory.line(new.request.app).leave(new.rank, new.request.caller)
        else:
            self._memory.stopped(new.request.id)

    def _take_back(self, new: Insert) -> None:
        """Its claim was handed out, and there is no such request: the runner is told to let go of it."""
        if new.runner is not None:
            # In the next turn: whoever was told early has begun it by then.
            self._loop.call_soon(self._memory.news.taken_back, Claim(new.request, 1, new.runner))

    def _insert(self, new: Insert, receipt: asyncio.Future[Receipt], position: int, *, lazy: bool) -> None:
        request_id = new.request.id
        self._receipts[request_id] = receipt

        def settled(_: None, error: BaseException | None) -> None:
            self._receipts.pop(request_id, None)
            if error is None:
                self._memory.news.changed(request_id)
            else:
                self.displace(new)
                self._memory.news.failed(request_id, error)
                self._take_back(new)
            resolve(receipt, Receipt(request_id, position), error)

        self._database.post(lambda cursor: moves.insert(cursor, new), settled, lazy=lazy)

    def _insert_keyed(
        self, new: Insert, receipt: asyncio.Future[Receipt], position: int, full: TooMany | None
    ) -> Submission:
        """A submit that may be a repeat: decided in the transaction. Until then it has its place like a new one."""
        request, slot = new.request, new.runner
        claimed: asyncio.Future[Claim | None] = self._loop.create_future()
        if slot is None:
            claimed.set_result(None)
        self._receipts[request.id] = receipt

        def early(replayed: moves.Replayed | None) -> None:
            if replayed is not None:
                self.displace(new)
                resolve(claimed, None, None)
            elif not claimed.done():
                claimed.set_result(Claim(request, 1, slot or ""))
            elif slot is not None:
                self._nobody_took(request.id)

        def settled(replayed: moves.Replayed | None, error: BaseException | None) -> None:
            self._receipts.pop(request.id, None)
            answer = Receipt(request.id, position)
            if error is not None:
                if replayed is None:
                    self.displace(new)
                self._memory.news.failed(request.id, error)
                if claimed.done() and not claimed.cancelled() and claimed.result() is not None:
                    self._take_back(new)
                resolve(claimed, None, None)
            elif replayed is not None:
                ahead = replayed.ahead or 0
                if replayed.rank is not None and replayed.ahead is None:
                    ahead = self._memory.line(replayed.app).ahead(replayed.rank, replayed.caller)
                answer = Receipt(replayed.request_id, ahead, replayed=True)
            self._memory.news.changed(request.id)
            resolve(receipt, answer, error)

        expires_at = new.at + self._settings.idempotency_window
        self._database.post(lambda cursor: moves.insert_keyed(cursor, new, expires_at, full), settled, early=early)
        return Submission(request, None, claimed, receipt)

    # ---- held inserts

    def complete(
        self, request_id: str, attempt: int, outcome: Outcome, spent: Spending
    ) -> asyncio.Future[Completion] | None:
        """The hot path of `run`: a held insert and its outcome become one row. None where there is nothing held."""
        if attempt != 1 or (new := self._held.take(request_id)) is None:
            return None
        now = self._clock.wall()
        receipt = self._receipts[request_id]
        future: asyncio.Future[Completion] = self._loop.create_future()

        def settled(_: None, error: BaseException | None) -> None:
            self._receipts.pop(request_id, None)
            self._memory.stopped(request_id)
            self._memory.went(new.request.caller, len(new.request.input))
            if error is None:
                self._memory.kept_bytes += len(new.request.input) + len(outcome.body)
                self._memory.news.ended(request_id, outcome)
            else:
                self._memory.news.failed(request_id, error)
            resolve(receipt, Receipt(request_id, 0), error)
            resolve(future, _APPLIED, error)

        self._database.post(lambda cursor: moves.insert_finished(cursor, new, outcome, spent, now), settled)
        return future

    def release(self, request_id: str) -> None:
        """Hand a held insert to the writer, ahead of whatever follows."""
        self._held.release(request_id)

    def release_all(self) -> None:
        self._held.release_all()

    def under_way(self, request_id: str) -> bool:
        """Whether the insert is not committed yet."""
        return request_id in self._receipts

    def close(self) -> None:
        """Hand everything to the writer."""
        self._held.close()

    def _hold(self, new: Insert, receipt: asyncio.Future[Receipt]) -> None:
        self._receipts[new.request.id] = receipt
        self._held.hold(new.request.id, new)

    def _insert_held(self, new: Insert) -> None:
        self._insert(new, self._receipts[new.request.id], 0, lazy=False)
