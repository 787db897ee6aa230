"""The accounts: whatever happens in whatever order, each request is in one place and no slot is given twice."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from pondage.fleet.accounts import Accounts, HoldsOn, PutBack, Replace, Start, TooLong
from pondage.fleet.runners import Runner, RunnerPhase
from pondage.fleet.slots import Running, Slots
from pondage.queue.interface import Claim, NewRequest
from pondage.wire.frames import AppInfo

APP = "acme/echo"
GRACE = 5.0


def claim(name: str, runner: str, *, attempt: int = 1, alone: bool = False, limit: float | None = None) -> Claim:
    request = NewRequest(name, APP, "/", "call", b"{}", 0.0, run_timeout=limit)
    return Claim(request, attempt, runner, alone=alone)


def ready(accounts: Accounts, name: str, slots: int) -> Runner:
    runner = Runner(name, APP, pid=1, started_at=0.0, heard_at=0.0)
    runner.phase = RunnerPhase.READY
    runner.declares(AppInfo(APP, [], max_multiplexing=slots))
    accounts.enrol(runner)
    return runner


class AnyOrder(RuleBasedStateMachine):
    """A queue, runners and a clock that do what they like; the model is where each request must be."""

    offers = Bundle("offers")

    def __init__(self) -> None:
        super().__init__()
        self.accounts = Accounts(GRACE)
        self.now = 0.0
        self.made = 0
        self.at: dict[str, Runner] = {}
        """Who must hold a request."""
        self.started: set[str] = set()
        self.gone: list[Runner] = []

    def follow(self, moves: object) -> None:
        """What the moves of the accounts mean for the model."""
        for move in moves:  # type: ignore[attr-defined]  # a sequence of moves
            if isinstance(move, Start):
                request_id = move.running.claim.request.id
                assert self.at[request_id] is move.runner
                assert request_id not in self.started, "it began once"
                self.started.add(request_id)
            else:
                assert isinstance(move, PutBack)
                assert move.claim.request.id not in self.started, "what began is never put back by a move"
                self.at.pop(move.claim.request.id, None)

    @rule(slots=st.integers(1, 3))
    def a_runner_is_ready(self, slots: int) -> None:
        if len(self.accounts.runners(APP)) < 3:
            self.made += 1
            ready(self.accounts, f"runner{self.made}", slots)

    @rule(target=offers, limit=st.integers(1, 4))
    def the_pump_offers(self, limit: int) -> object:
        return multiple(*self.accounts.offer(APP, limit))

    @rule(runner_id=consumes(offers), taken=st.booleans(), alone=st.booleans())
    def the_queue_answers(self, runner_id: str, taken: bool, alone: bool) -> None:
        self.accounts.answered(APP, [runner_id])
        if taken:
            self.made += 1
            given = claim(f"request{self.made}", runner_id, alone=alone, limit=1.0)
            if (runner := self.accounts.runner(APP, runner_id)) is not None:
                self.at[given.request.id] = runner
            self.follow(self.accounts.place(given, self.now))

    @rule()
    def a_submit_takes_a_slot_at_once(self) -> None:
        if (runner := self.accounts.pick(APP)) is not None:
            self.made += 1
            given = claim(f"request{self.made}", runner.id, limit=1.0)
            self.at[given.request.id] = runner
            self.follow([Start(runner, self.accounts.begin(runner, given, self.now))])

    @precondition(lambda self: self.at)
    @rule(data=st.data())
    def a_request_ends(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from(sorted(self.at)))
        runner = self.at.pop(request_id)
        spent, moves = self.accounts.end(runner, request_id, self.now)
        assert spent.runner >= 0
        self.started.discard(request_id)
        self.follow(moves)

    @precondition(lambda self: self.accounts.runners(APP))
    @rule(data=st.data(), phase=st.sampled_from(["leaves", "dies"]))
    def a_runner_goes(self, data: st.DataObject, phase: str) -> None:
        runner = data.draw(st.sampled_from(self.accounts.runners(APP)))
        if phase == "leaves":
            runner.phase = RunnerPhase.DRAINING
            return
        held, waiting = self.accounts.lost(runner, "it died")
        here = {request_id for request_id, at in self.at.items() if at is runner}
        assert {r.claim.request.id for r in held} | {b.claim.request.id for b in waiting} == here
        self.follow(waiting)
        for running in held:
            del self.at[running.claim.request.id]
            self.started.discard(running.claim.request.id)
        self.gone.append(runner)

    @rule(seconds=st.floats(0.1, 4.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for move in self.accounts.overdue(self.now):
            if isinstance(move, TooLong):
                assert move.running.cancelled_at == self.now
            elif isinstance(move, HoldsOn):
                assert move.request_id in move.runner.running
            else:
                assert isinstance(move, Replace) and move.runner.replace_at is not None

    @invariant()
    def slots_hold_together(self) -> None:
        for runner in [*self.accounts.all_runners(), *self.gone]:
            assert runner.slots.broken() == ""
        assert all(not runner.running and not runner.slots.waiting for runner in self.gone)

    @invariant()
    def everybody_is_where_they_must_be(self) -> None:
        for request_id, runner in self.at.items():
            assert self.accounts.holder(request_id) is runner
        there = {r for runner in self.accounts.all_runners() for r in runner.running}
        assert there == self.started


TestAnyOrder = AnyOrder.TestCase


def test_a_slot_that_was_offered_is_not_given_to_a_submit_meanwhile() -> None:
    accounts = Accounts(GRACE)
    runner = ready(accounts, "a", 1)
    assert accounts.offer(APP, 9) == ["a"]
    assert accounts.pick(APP) is None
    accounts.answered(APP, ["a"])
    assert accounts.pick(APP) is runner


def test_what_a_runner_brings_back_runs_on_and_the_rest_goes_back() -> None:
    accounts = Accounts(GRACE)
    runner = Runner("a", APP, pid=1, started_at=0.0, heard_at=0.0)
    held, missing = accounts.adopt(runner, [claim("one", "a"), claim("two", "a", attempt=2)], {"one": 1, "two": 1}, 0.0)
    assert [r.claim.request.id for r in held] == ["one"] == list(runner.running)
    assert [back.claim.request.id for back in missing] == ["two"]
    assert accounts.holder("one") is runner and accounts.holder("two") is None
    assert runner.slots.broken() == "", "it has not said how many slots there are"


def test_each_part_of_the_invariant_is_seen_when_it_breaks() -> None:
    def slots(total: int, *running: str) -> Slots:
        made = Slots(total)
        for name in running:
            made.begin(Running(claim(name, "a"), None))
        return made

    twice, over, crowd, idle = slots(2, "a"), slots(1, "a"), slots(2, "a", "b"), slots(2)
    twice.wait(claim("a", "a"))
    over.offer()
    crowd.alone = True
    idle.wait(claim("s", "a"))
    said = [s.broken() for s in (twice, over, crowd, idle, slots(2, "a"))]
    assert all(said[:4]) and len(set(said[:4])) == 4 and not said[4]
