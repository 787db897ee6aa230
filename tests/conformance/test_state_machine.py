"""Random operations against a model: what the queue promises holds after any of them, also across crashes.

One terminal state, attempts only grow, nothing acknowledged is lost, leases are exclusive, the order within a key and
priority, the places in line, a gapless log, a complete outbox. The queue knows a lease as the number of an attempt: it
is renewed by nothing but `append`, and ends by `retry`.

Whatever may turn out one way or the other by the timing of threads (a crash while verbs are under way) comes at the end
of a history, or leaves no trace in the model, so that every history can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from pondage.errors import BadRequest, InvalidInput, TooMany
from pondage.queue.interface import Claim, Depth, Filter, NewRequest, Receipt
from pondage.queue.operations import FRONT, STEERS, Kind, Operation, Phase
from pondage.settings import Settings
from pondage.wire.events import Chunk, Entry, Log, Outcome, Progress
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind, State

from .conftest import ENGINES, Engine, new, ok

T = TypeVar("T")
APP = "acme/flux"
CALLERS = ("", "k1", "k2")
RETENTION = 30.0
KEY_WINDOW = 10.0
TOLD = {"log": Log, "progress": Progress}
"""Entries that a webhook can ask for."""
CANCELLED = Outcome.failure(499, "", "client_cancelled")
EXPIRED = Outcome.failure(504, "", "request_timeout")


class Known:
    """What the model knows of one request."""

    def __init__(self, number: int, request: NewRequest) -> None:
        self.number = number
        self.request = request
        self.flow = (request.caller, request.priority)
        self.turn = number
        """Its place in its flow."""
        self.run_again = False
        self.scheduled = request.start_at is not None
        """It waits for its time, in no line."""
        self.start_at = request.start_at or 0.0
        since = request.submitted_at if request.start_at is None else request.start_at
        self.start_by = None if request.start_timeout is None else since + request.start_timeout
        self.state = State.QUEUED
        self.attempt = 0
        self.strikes = 0
        self.alone = False
        self.acknowledged = True
        self.kinds = ["queued"]
        self.chunks: list[tuple[int, int]] = []
        """By attempt and number."""
        self.owed: list[tuple[str, int]] = []
        """Event and its number in the log, of every delivery."""
        self.outcome: Outcome | None = None
        self.ended_at = 0.0

    def owes(self, event: str, n: int) -> None:
        if self.request.webhook and (event == "completed" or event in self.request.webhook_events):
            self.owed.append((event, n))

    def started(self) -> None:
        self.state, self.attempt = State.RUNNING, self.attempt + 1
        self.kinds.append("started")
        self.owes("started", len(self.kinds))

    def ended(self, outcome: Outcome, at: float) -> None:
        assert self.outcome is None
        self.state, self.outcome, self.ended_at = State.DONE, outcome, at
        self.kinds.append("completed")
        self.owes("completed", len(self.kinds))

    def moved(self, priority: int, turn: int) -> None:
        self.request = replace(self.request, priority=priority)
        self.flow, self.turn = (self.request.caller, priority), turn

    def returned(self, strike: bool, alone: bool) -> None:
        self.state, self.strikes, self.alone = State.QUEUED, self.strikes + strike, alone
        self.kinds.append("retried")


class Begun:
    """An operation of the model: what it looks at, and how far it is, by the numbers of requests."""

    def __init__(self, operation: Operation, upto: int) -> None:
        self.id, self.kind, self.filter, self.priority = (
            operation.id,
            operation.kind,
            operation.filter,
            operation.priority,
        )
        self.upto, self.cursor = upto, 0
        self.phase = Phase.RUNNING

    def fits(self, known: Known) -> bool:
        """Whether it would touch this one now."""
        if self.filter.caller is not None and known.request.caller != self.filter.caller:
            return False
        if self.kind is Kind.RETRY:
            failed = known.outcome is not None and known.outcome.kind is OutcomeKind.ERROR
            return failed and not known.run_again
        if self.kind is Kind.PRIORITY:
            return known.state is State.QUEUED and not known.scheduled
        return known.state is not State.DONE and self.filter.state in (None, known.state)


class QueueMachine(RuleBasedStateMachine):
    def __init__(self, engine: type[Engine]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        limits = Settings(retention=RETENTION, idempotency_window=KEY_WINDOW, operation_step=2)
        self.engine = engine(Path(self.folder.name) / "data", settings=limits)
        self.run(self.engine.open())
        self.known: dict[str, Known] = {}
        self.keys: dict[tuple[str, str], tuple[str, float, bytes]] = {}
        """By caller and key: the request, until when, and the fingerprint."""
        self.numbers = 0
        self.begun: list[Begun] = []
        self.lags = False
        """After a crash, what deletes goes by the newest row, and may be late."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    @property
    def now(self) -> float:
        return self.engine.clock.wall()

    # ---- the model

    def those(self, state: State) -> list[str]:
        return [id_ for id_, k in self.known.items() if k.state is state]

    def one(self, data: st.DataObject, state: State | None = None) -> str:
        return data.draw(st.sampled_from(list(self.known) if state is None else self.those(state)))

    def waiting(self) -> list[Known]:
        return [known for id_ in self.those(State.QUEUED) if not (known := self.known[id_]).scheduled]

    def forget(self, id_: str) -> None:
        del self.known[id_]
        self.keys = {key: named for key, named in self.keys.items() if named[0] != id_}

    # ---- callers

    @rule(
        caller=st.sampled_from(CALLERS),
        priority=st.sampled_from([0, 0, 1]),
        webhook=st.sampled_from([None, None, (), ("started",), ("log", "progress")]),
        slot=st.booleans(),
        lazy=st.booleans(),
        limit=st.sampled_from([None, None, 5.0]),
        later=st.sampled_from([None, None, None, 4.0, 20.0]),
        most=st.sampled_from([None, None, 2]),
        key=st.sampled_from([None, None, "one", "two"]),
        fingerprint=st.sampled_from([b"same", b"same", b"other"]),
    )
    def submit(
        self,
        caller: str,
        priority: int,
        webhook: tuple[str, ...] | None,
        slot: bool,
        lazy: bool,
        limit: float | None,
        most: int | None,
        key: str | None,
        fingerprint: bytes,
        later: float | None = None,
    ) -> None:
        self.numbers += 1
        request = new(
            self.engine.clock,
            caller=caller,
            priority=priority,
            webhook=None if webhook is None else "http://hook",
            webhook_events=webhook or (),
            start_timeout=limit,
            start_at=None if later is None else self.now + later,
            idempotency_key=key,
            fingerprint=fingerprint,
            max_queue_length=most,
            input=b'{"x": %d}' % self.numbers,
        )
        queued = len(self.waiting())
        claimed, receipt = self.run(self._handed_over(request, slot, lazy))
        first = self.keys.get((caller, key)) if key else None
        if first is not None and first[1] > self.now:
            assert claimed is None
            if first[2] != fingerprint:
                assert isinstance(receipt, InvalidInput)
                return
            assert isinstance(receipt, Receipt) and (receipt.request_id, receipt.replayed) == (first[0], True)
            self.placed(self.known[first[0]], receipt.position)
        elif most is not None and queued >= most:
            assert claimed is None and isinstance(receipt, TooMany)
        else:
            assert (claimed is not None) == (slot and not queued and later is None)
            self.entered(request, claimed, receipt)

    async def _handed_over(
        self, request: NewRequest, slot: bool, lazy: bool
    ) -> tuple[Claim | None, Receipt | BaseException | None]:
        submission = self.engine.queue.submit(request, slot="r" if slot else None, lazy=lazy)
        claim = submission.claim
        if submission.claimed is not None:
            claim = await submission.claimed
        if lazy and submission.claim is not None:
            return claim, None  # its caller waits for the outcome: nothing is acknowledged yet
        return claim, (await asyncio.gather(submission.receipt, return_exceptions=True))[0]

    def entered(self, request: NewRequest, claimed: Claim | None, receipt: Receipt | BaseException | None) -> None:
        known = self.known[request.id] = Known(self.numbers, request)
        known.acknowledged = receipt is not None
        if request.idempotency_key:
            named = (request.id, self.now + KEY_WINDOW, request.fingerprint)
            self.keys[request.caller, request.idempotency_key] = named
        if claimed is not None:
            assert (claimed.request, claimed.attempt, claimed.runner) == (request, 1, "r")
            known.started()
        if receipt is not None:
            assert isinstance(receipt, Receipt) and (receipt.request_id, receipt.replayed) == (request.id, False)
            self.placed(known, receipt.position)

    @rule(flows=st.lists(st.tuples(st.sampled_from(CALLERS), st.sampled_from([0, 0, 1])), min_size=1, max_size=4))
    def crowd(self, flows: list[tuple[str, int]]) -> None:
        """Several that wait, so that there is an order to keep."""
        for caller, priority in flows:
            self.submit(caller, priority, None, False, False, None, None, None, b"")

    @rule(webhook=st.sampled_from([None, (), ("started",)]), fails=st.booleans())
    def call(self, webhook: tuple[str, ...] | None, fails: bool) -> None:
        """A `run`: its insert is still held back when the outcome comes."""
        before = set(self.known)
        self.submit("", 0, webhook, True, True, None, None, None, b"")
        for id_ in set(self.known) - before:
            if self.known[id_].state is State.RUNNING:
                self.handed_in(id_, 0, fails)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id_ = self.one(data)
        known = self.known[id_]
        assert self.run(self.engine.queue.cancel(id_)).was is known.state
        known.acknowledged = True
        if known.state is not State.DONE:
            known.ended(CANCELLED, self.now)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def agree(self, data: st.DataObject) -> None:
        self.agrees(self.one(data))

    def pages_agree(self) -> None:
        seen: list[str] = []
        cursor = None
        while True:
            page = self.run(self.engine.queue.page(Filter(limit=3, cursor=cursor)))
            seen += [view.id for view in page.items]
            if (cursor := page.next_cursor) is None:
                break
        told = [id_ for id_, k in self.known.items() if k.acknowledged]
        assert [id_ for id_ in seen if id_ in told] == told[::-1]
        assert len(set(seen)) == len(seen)

    # ---- runners

    @rule(slots=st.integers(1, 4))
    def claim(self, slots: int) -> None:
        waiting = self.waiting()
        places = {k.request.id: self.place(k.request.id) for k in waiting}
        flows = {k.flow for k in waiting}
        claims = self.run(self.engine.queue.claim(APP, [f"r{n}" for n in range(slots)]))
        assert len(claims) == min(slots, len(waiting))
        if claims:
            # A claim returns before its commit; whatever is awaited next comes after it.
            assert self.run(self.engine.queue.append(claims[0].request.id, claims[0].attempt, []))
        for n, claim in enumerate(claims):
            known = self.known[claim.request.id]
            assert known.state is State.QUEUED, "given out twice"
            assert known.request.priority == min(k.request.priority for k in waiting)
            assert known.turn == min(k.turn for k in waiting if k.flow == known.flow), "out of order in its flow"
            # The place is an estimate among the callers of one turn.
            turn = sum(priority == known.request.priority for _, priority in flows)
            assert abs(places[claim.request.id] - n) < turn
            waiting.remove(known)
            assert (claim.request, claim.runner) == (known.request, f"r{n}")
            assert (claim.attempt, claim.strikes, claim.alone) == (known.attempt + 1, known.strikes, known.alone)
            known.started()

    @precondition(lambda self: self.those(State.RUNNING))
    @rule(
        data=st.data(),
        late=st.sampled_from([0, 0, 1]),
        what=st.lists(st.sampled_from(["log", "progress", "chunk"]), max_size=3),
    )
    def append(self, data: st.DataObject, late: int, what: Sequence[str]) -> None:
        id_ = self.one(data, State.RUNNING)
        known = self.known[id_]
        # Every chunk is sent twice: a runner that has not heard of the commit sends it again.
        sent = sum(attempt == known.attempt for attempt, _ in known.chunks)
        entries: list[Entry] = [Chunk(1.0, n, b"1") for n in range(1, sent + 1)]
        for kind in what:
            if kind == "chunk":
                sent += 1
                entries.append(Chunk(1.0, sent, b"1"))
            else:
                entries.append(Log(1.0, "INFO", "x") if kind == "log" else Progress(1.0, 1.0))
        assert self.run(self.engine.queue.append(id_, known.attempt - late, entries)) == (late == 0)
        known.acknowledged = True
        if late:
            return
        for kind in TOLD:
            if kind in what:
                known.owes(kind, len(known.kinds) + 1 + what.index(kind))
        known.chunks += [(known.attempt, n) for n in range(sent - what.count("chunk") + 1, sent + 1)]
        known.kinds += what

    @precondition(lambda self: self.those(State.RUNNING) or self.those(State.DONE))
    @rule(data=st.data(), late=st.sampled_from([0, 0, 0, 1]), fails=st.booleans(), again=st.booleans())
    def complete(self, data: st.DataObject, late: int, fails: bool, again: bool) -> None:
        running = self.those(State.RUNNING)
        self.handed_in(self.one(data, State.RUNNING if running and not again else None), late, fails)

    def handed_in(self, id_: str, late: int, fails: bool) -> None:
        known = self.known[id_]
        attempt = known.attempt - late
        outcome = Outcome.failure(500, f"{attempt}", "broken") if fails else ok(f'"{known.number}-{attempt}"'.encode())
        verdict = self.run(self.engine.queue.complete(id_, attempt, outcome)).verdict
        known.acknowledged = True
        if known.state is State.RUNNING and late == 0:
            assert verdict == "applied"
            known.ended(outcome, self.now)
        elif known.outcome is not None and known.outcome.status in (200, 500) and late == 0:
            assert verdict == "repeated"
        else:
            assert verdict == "stale"
            known.kinds.append("stale")

    @precondition(lambda self: self.those(State.RUNNING))
    @rule(data=st.data(), strike=st.booleans(), alone=st.booleans(), late=st.sampled_from([0, 0, 1]))
    def retry(self, data: st.DataObject, strike: bool, alone: bool, late: int) -> None:
        """A runner died, its lease ran out, or its gateway started again."""
        id_ = self.one(data, State.RUNNING)
        known = self.known[id_]
        queue = self.engine.queue
        done = self.run(queue.retry(id_, known.attempt - late, reason="died", strike=strike, alone=alone))
        assert done == (late == 0)
        known.acknowledged = True
        if done:
            known.returned(strike, alone)

    # ---- operations by filter

    @rule(
        kind=st.sampled_from([Kind.CANCEL, Kind.RETRY, Kind.PRIORITY]),
        caller=st.sampled_from([None, *CALLERS]),
        state=st.sampled_from([None, State.QUEUED, State.RUNNING]),
        priority=st.sampled_from([FRONT, 0, 1]),
    )
    def begin(self, kind: Kind, caller: str | None, state: State | None, priority: int) -> None:
        filter = Filter(
            app=APP,
            caller=caller,
            state=state if kind is Kind.CANCEL else None,
            outcome=OutcomeKind.ERROR if kind is Kind.RETRY else None,
        )
        asked = Operation(new_request_id(), kind, "op", self.now, filter=filter,
                          priority=priority if kind is Kind.PRIORITY else None)  # fmt: skip
        begun = Begun(asked, self.numbers)
        matched = sum(map(begun.fits, self.known.values()))
        assert self.run(self.engine.queue.operations.count(kind, filter)) == matched
        assert self.run(self.engine.queue.operations.begin(asked)).matched == matched
        for known in self.known.values():
            known.acknowledged = True  # it waits for what is under way
        self.begun.append(begun)

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def steer(self, data: st.DataObject) -> None:
        begun = data.draw(st.sampled_from(self.begun))
        what = data.draw(st.sampled_from(sorted(STEERS)))
        before, after = STEERS[what]
        if begun.phase not in before:
            with contextlib.suppress(BadRequest):
                forgotten = self.run(self.engine.queue.operations.steer(begun.id, what, "op"))
                assert forgotten is None and begun.phase is Phase.UNDONE
            return
        steered = self.run(self.engine.queue.operations.steer(begun.id, what, "op"))
        assert steered is not None and steered.phase is after
        begun.phase = after

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        begun = data.draw(st.sampled_from(self.begun))
        step = self.run(self.engine.queue.operations.step(begun.id))
        assert (step is not None) == (begun.phase is Phase.RUNNING)
        if step is None:
            return
        left = [k for k in self.known.values() if begun.cursor < k.number <= begun.upto and begun.fits(k)]
        reached = sorted(left, key=lambda k: k.number)[:2]
        stopped = {k.request.id for k in reached if k.state is State.RUNNING}
        if begun.kind is Kind.RETRY:
            self.ran_again(reached, step.submitted)
        for known in reached:
            known.kinds.append("operated")
            if begun.kind is Kind.CANCEL:
                known.ended(CANCELLED, self.now)
            elif begun.priority is not None and known.request.priority != begun.priority:
                self.numbers += 1
                known.moved(begun.priority, self.numbers)
            elif begun.priority is not None:
                known.kinds.pop()  # it has that priority already
        assert set(step.stopped) == stopped
        begun.cursor = reached[-1].number if reached else begun.upto
        begun.phase = step.operation.phase
        if begun.phase is Phase.DONE:
            assert not any(begun.cursor < k.number <= begun.upto for k in self.known.values()), "it ended too soon"
        else:
            assert reached, "it does not end"
        if begun.phase is Phase.DONE:
            self.begun.remove(begun)
        for known in reached:
            self.agrees(known.request.id)

    def ran_again(self, failed: list[Known], submitted: Sequence[NewRequest]) -> None:
        assert [request.retried_from for request in submitted] == [k.request.id for k in failed]
        for old, request in zip(failed, submitted, strict=True):
            assert (request.input, request.caller) == (old.request.input, old.request.caller)
            old.run_again = True
            self.numbers += 1
            self.known[request.id] = Known(self.numbers, request)

    # ---- time, restarts and crashes

    @rule(
        what=st.sampled_from(["sweep", "sweep", "page", "reopen", "crash"]),
        seconds=st.sampled_from([1.0, 6.0, 16.0, 31.0]),
    )
    def upkeep(self, what: str, seconds: float) -> None:
        """One rule, so that what happens seldom does not crowd out what happens often."""
        self.engine.clock.advance(seconds)
        if what == "sweep":
            self.sweeps()
        elif what == "page":
            self.pages_agree()
        elif what == "reopen":
            self.reopens()
        else:
            self.crashes()

    def sweeps(self) -> None:
        late = [k.request.id for k in self.waiting() if k.start_by is not None and k.start_by <= self.now]
        due = [k for k in self.known.values() if k.scheduled and k.state is State.QUEUED and k.start_at <= self.now]
        swept = self.run(self.engine.queue.sweep())
        assert sorted(swept.expired) == sorted(late)
        assert swept.released == frozenset(k.request.app for k in due)
        for known in sorted(due, key=lambda k: (k.start_at, k.number)):
            self.numbers += 1
            known.scheduled, known.turn = False, self.numbers
        for id_ in late:
            self.known[id_].ended(EXPIRED, self.now)
        for id_ in self.those(State.DONE):
            known = self.known[id_]
            if known.ended_at <= self.now - RETENTION and not known.owed:
                if self.run(self.engine.queue.get(id_)) is None:
                    self.forget(id_)
                else:
                    assert self.lags, "kept for too long"

    def reopens(self) -> None:
        """A stop that is no crash loses nothing, acknowledged or not, also what is held back just then."""
        self.submit("", 0, None, True, True, None, None, None, b"")
        self.run(self.engine.close())
        self.run(self.engine.open())
        for known in self.known.values():
            known.acknowledged = True
        self.recovers()

    def crashes(self) -> None:
        self.engine = self.run(self.engine.crash())
        self.lags = True
        for id_ in [id_ for id_, k in self.known.items() if not k.acknowledged]:
            # It may be there or not; either way the model is rid of it.
            self.run(self.engine.queue.cancel(id_))
            self.forget(id_)
        self.recovers()

    def recovers(self) -> None:
        recovered = {claim.request.id: claim for claim in self.run(self.engine.queue.orphans())}
        assert set(recovered) == set(self.those(State.RUNNING))
        for id_, claim in recovered.items():
            known = self.known[id_]
            assert (claim.request, claim.attempt, claim.strikes) == (known.request, known.attempt, known.strikes)

    def teardown(self) -> None:
        try:
            self.breaks_off()
            for id_ in self.known:
                self.agrees(id_)
            self.outbox_agrees()
        finally:
            self.run(self.engine.close())
            self.loop.close()
            self.folder.cleanup()

    def breaks_off(self) -> None:
        """A crash while verbs are under way: each happened with its event and its deliveries, or not at all."""
        ends: dict[str, Outcome] = {}
        for n, id_ in enumerate(self.those(State.RUNNING) + self.those(State.QUEUED)[::2]):
            ends[id_] = CANCELLED if n % 2 or self.known[id_].state is State.QUEUED else ok(b'"at last"')
        told = self.run(self._broken_off(ends))
        for id_, known in list(self.known.items()):
            view = self.run(self.engine.queue.get(id_))
            if view is None:
                assert not known.acknowledged, "an acknowledged request is lost"
                self.forget(id_)
            elif id_ in ends and view.state is State.DONE:
                known.ended(ends[id_], self.now)
            else:
                assert id_ not in told, "an acknowledged verb is lost"

    async def _broken_off(self, ends: dict[str, Outcome]) -> list[str]:
        """Crash with these ends handed over; which of them were acknowledged before it."""
        queue = self.engine.queue
        verbs: dict[str, asyncio.Future[Any]] = {}
        for id_, outcome in ends.items():
            verb = queue.cancel(id_) if outcome is CANCELLED else queue.complete(id_, self.known[id_].attempt, outcome)
            verbs[id_] = asyncio.ensure_future(verb)
        receipt = queue.submit(new(self.engine.clock, app="acme/other", webhook="http://hook")).receipt
        # The first group's commit is on disk, or all that was handed over is in its writer's hands.
        await (asyncio.wait(verbs.values(), return_when=asyncio.FIRST_COMPLETED) if ends else asyncio.sleep(0))
        told = [id_ for id_, verb in verbs.items() if verb.done()]
        self.engine = await self.engine.crash()
        await asyncio.gather(receipt, *verbs.values())
        return told

    # ---- what must hold

    @invariant()
    def depth_agrees(self) -> None:
        expected = Depth(len(self.waiting()), len(self.those(State.RUNNING)))
        assert self.engine.queue.depth(APP) == expected

    def agrees(self, id_: str) -> None:
        """All that can be read of a request is what the model knows."""
        known, queue = self.known[id_], self.engine.queue
        view = self.run(queue.get(id_))
        known.acknowledged = True
        assert view is not None, "an acknowledged request is lost"
        assert (view.state, view.attempt, view.strikes) == (known.state, known.attempt, known.strikes)
        assert self.run(queue.input(id_)) == known.request
        events = self.run(queue.events(id_))
        assert [e.n for e in events] == list(range(1, len(known.kinds) + 1))
        assert [e.kind for e in events] == known.kinds
        assert view.last_event == len(known.kinds)
        chunks = self.run(queue.chunks(id_, after=(0, 0)))
        assert [(e.attempt, e.entry.n) for e in chunks if isinstance(e.entry, Chunk)] == known.chunks
        outcome = self.run(queue.outcome(id_))
        assert self.run(queue.wait(id_, 0.0)) == outcome
        if known.outcome is None or outcome is None:
            assert outcome is known.outcome
        elif known.outcome is CANCELLED or known.outcome is EXPIRED:
            assert (outcome.kind, outcome.status) == (known.outcome.kind, known.outcome.status)
        else:
            assert outcome == known.outcome
        if known.state is State.QUEUED and not known.scheduled:
            self.placed(known, view.position)
        else:
            assert view.position is None

    def place(self, id_: str) -> int:
        view = self.run(self.engine.queue.get(id_))
        assert view is not None and view.position is not None
        return view.position

    def placed(self, known: Known, position: int | None) -> None:
        """Behind what comes before it in any order, ahead of what comes after; exact where one flow waits alone."""
        if known.state is not State.QUEUED or known.scheduled:
            assert position == 0
            return
        waiting = self.waiting()
        priority = known.request.priority
        ahead = sum(k.request.priority < priority or (k.flow == known.flow and k.turn < known.turn) for k in waiting)
        behind = sum(k.request.priority > priority or (k.flow == known.flow and k.turn > known.turn) for k in waiting)
        assert position is not None and ahead <= position < len(waiting) - behind

    def outbox_agrees(self) -> None:
        rows = self.run(self.engine.owed())
        assert {state for *_, state in rows} <= {"owed"}
        owed = sorted((id_, event, n) for _, id_, _, event, n, _ in rows if id_ in self.known)
        assert owed == sorted((id_, event, n) for id_, known in self.known.items() for event, n in known.owed)


@pytest.mark.timeout(600)  # each example syncs a disk many times
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_any_history_keeps_the_promises(engine: str) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(ENGINES[engine]),
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
