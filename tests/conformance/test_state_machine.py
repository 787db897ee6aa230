"""Random operations against a model: what the queue promises holds after any of them, also across crashes.

One terminal state, attempts only grow, nothing acknowledged is lost, leases are exclusive, the order within a key and
priority, the places in line, a gapless log, a complete outbox.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from penstock.queue.interface import Depth
from penstock.wire.events import Chunk, Log
from penstock.wire.states import OutcomeKind, State

from .conftest import ENGINES, Engine, new, ok

T = TypeVar("T")
APP = "acme/flux"
CALLERS = ("", "k1", "k2")


class Known:
    """What the model knows of one request."""

    def __init__(self, number: int, caller: str, priority: int, webhook: bool, start_by: float | None) -> None:
        self.number = number
        self.caller = caller
        self.priority = priority
        self.webhook = webhook
        self.start_by = start_by
        self.state = State.QUEUED
        self.attempt = 0
        self.strikes = 0
        self.acknowledged = True
        self.kinds = ["queued"]
        self.chunks = 0
        """Of this attempt."""
        self.ended: tuple[OutcomeKind, bytes | None] | None = None


class QueueMachine(RuleBasedStateMachine):
    def __init__(self, engine: type[Engine]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = engine(Path(self.folder.name) / "data")
        self.run(self.engine.open())
        self.known: dict[str, Known] = {}
        self.keys: dict[str, str] = {}
        self.numbers = 0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    def teardown(self) -> None:
        for id_ in self.known:
            self.agrees(id_)
        self.outbox_agrees()
        self.run(self.engine.close())
        self.loop.close()
        self.folder.cleanup()

    # ---- the model

    def those(self, state: State) -> list[str]:
        return [id_ for id_, k in self.known.items() if k.state is state]

    def one(self, data: st.DataObject, state: State | None = None) -> str:
        return data.draw(st.sampled_from(sorted(self.known) if state is None else self.those(state)))

    def end(self, id_: str, kind: OutcomeKind, body: bytes | None = None) -> None:
        known = self.known[id_]
        assert known.ended is None
        known.state, known.ended = State.DONE, (kind, body)
        known.kinds.append("completed")

    def outcome_body(self, id_: str, attempt: int) -> bytes:
        return f'"{self.known[id_].number}-{attempt}"'.encode()

    # ---- callers

    @rule(
        caller=st.sampled_from(CALLERS),
        priority=st.sampled_from([0, 0, 1]),
        webhook=st.booleans(),
        slot=st.booleans(),
        lazy=st.booleans(),
        limit=st.sampled_from([None, None, 5.0]),
        key=st.sampled_from([None, None, "one", "two"]),
    )
    def submit(
        self, caller: str, priority: int, webhook: bool, slot: bool, lazy: bool, limit: float | None, key: str | None
    ) -> None:
        clock = self.engine.clock
        self.numbers += 1
        request = new(
            clock,
            caller=caller,
            priority=priority,
            webhook="http://hook" if webhook else None,
            start_timeout=limit,
            idempotency_key=key,
            fingerprint=b"same",
        )

        async def act() -> tuple[bool, str | None]:
            submission = self.engine.queue.submit(request, slot="r" if slot else None, lazy=lazy)
            claim = submission.claim
            if submission.claimed is not None:
                claim = await submission.claimed
            # Nothing is acknowledged yet where the caller waits for the outcome.
            waits = lazy and submission.claim is not None
            return claim is not None, None if waits else (await submission.receipt).request_id

        nobody_waits = not self.those(State.QUEUED)
        claimed, receipt = self.run(act())
        first = self.keys.get(f"{caller}/{key}") if key else None
        if first is not None:
            assert receipt == first and not claimed
            return
        assert receipt in (None, request.id)
        assert claimed == (slot and nobody_waits)
        start_by = None if limit is None else clock.wall() + limit
        known = self.known[request.id] = Known(self.numbers, caller, priority, webhook, start_by)
        known.acknowledged = receipt is not None
        if key:
            self.keys[f"{caller}/{key}"] = request.id
        if claimed:
            known.state, known.attempt, known.chunks = State.RUNNING, 1, 0
            known.kinds.append("started")

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id_ = self.one(data)
        was = self.known[id_].state
        assert self.run(self.engine.queue.cancel(id_)).was is was
        if was is not State.DONE:
            self.end(id_, OutcomeKind.CANCELLED)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def agree(self, data: st.DataObject) -> None:
        self.agrees(self.one(data))

    # ---- runners

    @rule(slots=st.integers(1, 4))
    def claim(self, slots: int) -> None:
        waiting = [self.known[id_] for id_ in self.those(State.QUEUED)]
        claims = self.run(self.engine.queue.claim(APP, [f"r{n}" for n in range(slots)]))
        assert len(claims) == min(slots, len(waiting))
        if claims:
            # A claim returns before its commit; whatever is awaited next comes after it.
            assert self.run(self.engine.queue.append(claims[0].request.id, claims[0].attempt, []))
        for n, claim in enumerate(claims):
            known = self.known[claim.request.id]
            assert known.state is State.QUEUED, "given out twice"
            assert known.priority == min(k.priority for k in waiting)
            flow = [k.number for k in waiting if (k.caller, k.priority) == (known.caller, known.priority)]
            assert known.number == min(flow), "out of order within its key and priority"
            waiting.remove(known)
            assert (claim.attempt, claim.runner, claim.strikes) == (known.attempt + 1, f"r{n}", known.strikes)
            known.state, known.attempt, known.chunks = State.RUNNING, claim.attempt, 0
            known.kinds.append("started")

    @precondition(lambda self: self.those(State.RUNNING))
    @rule(data=st.data(), late=st.sampled_from([0, 0, 1]), size=st.integers(1, 3))
    def append(self, data: st.DataObject, late: int, size: int) -> None:
        id_ = self.one(data, State.RUNNING)
        known = self.known[id_]
        # Every chunk is sent twice: a runner that has not heard of the commit sends it again.
        again = [Chunk(1.0, n, b"1") for n in range(1, known.chunks + 1)]
        entries = [Log(1.0, "INFO", "x") if n % 2 else Chunk(1.0, known.chunks + n // 2 + 1, b"1") for n in range(size)]
        attempt = known.attempt - late
        entries = again + entries
        assert self.run(self.engine.queue.append(id_, attempt, entries)) == (late == 0)
        if late == 0:
            known.kinds += ["log" if n % 2 else "chunk" for n in range(size)]
            known.chunks += (size + 1) // 2
            known.acknowledged = True

    @precondition(lambda self: self.known)
    @rule(data=st.data(), late=st.sampled_from([0, 0, 0, 1]))
    def complete(self, data: st.DataObject, late: int) -> None:
        id_ = self.one(data)
        known = self.known[id_]
        attempt = known.attempt - late
        body = self.outcome_body(id_, attempt)
        verdict = self.run(self.engine.queue.complete(id_, attempt, ok(body))).verdict
        known.acknowledged = True
        if known.state is State.RUNNING and late == 0:
            assert verdict == "applied"
            self.end(id_, OutcomeKind.OK, body)
        elif known.ended == (OutcomeKind.OK, body):
            assert verdict == "repeated"
        else:
            assert verdict == "stale"
            known.kinds.append("stale")

    @precondition(lambda self: self.those(State.RUNNING))
    @rule(data=st.data(), strike=st.booleans(), late=st.sampled_from([0, 0, 1]))
    def retry(self, data: st.DataObject, strike: bool, late: int) -> None:
        id_ = self.one(data, State.RUNNING)
        known = self.known[id_]
        done = self.run(self.engine.queue.retry(id_, known.attempt - late, reason="died", strike=strike))
        assert done == (late == 0)
        if done:
            known.state = State.QUEUED
            known.strikes += strike
            known.kinds.append("retried")
            known.acknowledged = True

    # ---- time and crashes

    @rule(seconds=st.sampled_from([1.0, 6.0]))
    def sweep(self, seconds: float) -> None:
        self.engine.clock.advance(seconds)
        now = self.engine.clock.wall()
        late = [id_ for id_ in self.those(State.QUEUED) if (self.known[id_].start_by or now + 1) <= now]
        assert sorted(self.run(self.engine.queue.sweep()).expired) == sorted(late)
        for id_ in late:
            self.end(id_, OutcomeKind.ERROR)

    @rule()
    def crash(self) -> None:
        self.engine = self.run(self.engine.crash())
        for id_, known in list(self.known.items()):
            # A submit that was never acknowledged may be there or not; all others must be.
            if not known.acknowledged and self.run(self.engine.queue.get(id_)) is None:
                del self.known[id_]
        recovered = {claim.request.id: claim.attempt for claim in self.run(self.engine.queue.recover())}
        assert recovered == {id_: self.known[id_].attempt for id_ in self.those(State.RUNNING)}

    # ---- what must hold

    @invariant()
    def depth_agrees(self) -> None:
        expected = Depth(len(self.those(State.QUEUED)), len(self.those(State.RUNNING)))
        assert self.engine.queue.depth(APP) == expected

    def agrees(self, id_: str) -> None:
        known = self.known[id_]
        view = self.run(self.engine.queue.get(id_))
        known.acknowledged = True
        assert view is not None, "an acknowledged request is lost"
        assert (view.state, view.attempt, view.strikes) == (known.state, known.attempt, known.strikes)
        events = self.run(self.engine.queue.events(id_))
        assert [e.n for e in events] == list(range(1, len(known.kinds) + 1))
        assert [e.kind for e in events] == known.kinds
        assert view.last_event == len(known.kinds)
        outcome = self.run(self.engine.queue.outcome(id_))
        if known.ended is None:
            assert outcome is None
        else:
            kind, body = known.ended
            assert outcome is not None and outcome.kind is kind
            assert body is None or outcome.body == body
        if known.state is State.QUEUED:
            waiting = [self.known[other] for other in self.those(State.QUEUED)]
            same = [k for k in waiting if (k.caller, k.priority) == (known.caller, known.priority)]
            assert view.position is not None
            if len(same) == len(waiting):
                assert view.position == sum(k.number < known.number for k in waiting)
            assert 0 <= view.position < len(waiting)

    def outbox_agrees(self) -> None:
        owed = [(row[1], row[3]) for row in self.run(self.engine.owed())]
        ended = [id_ for id_, k in self.known.items() if k.webhook and k.ended is not None]
        assert sorted(owed) == sorted((id_, "completed") for id_ in ended)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_any_history_keeps_the_promises(engine: str) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(ENGINES[engine]),
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
