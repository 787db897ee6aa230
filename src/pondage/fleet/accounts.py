"""The accounts of who runs what. Pure: each method takes what happened, and returns the moves that follow from it.

The dispatcher makes the moves: it talks to runners and to the queue, and nothing here does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from pondage.fleet.runners import Runner, RunnerPhase, offer, pick
from pondage.fleet.slots import Running
from pondage.queue.interface import Claim, Spending
from pondage.queue.operations import Hold


class Start(NamedTuple):
    """Hand an attempt to its runner. It has its slot already."""

    runner: Runner
    running: Running


class PutBack(NamedTuple):
    """A claim did not begin: its request waits again."""

    claim: Claim
    reason: str


class TooLong(NamedTuple):
    """An attempt has run past its limit: end its request, and tell its runner."""

    runner: Runner
    running: Running


class HoldsOn(NamedTuple):
    """A runner does not let go of an attempt: it gets no more work, and is replaced."""

    runner: Runner
    request_id: str


class Replace(NamedTuple):
    """End the runner's process: it holds on to an attempt, and nobody beside it is in the way any more."""

    runner: Runner


Move: TypeAlias = Start | PutBack


class Ended(NamedTuple):
    """What an attempt took, and what follows from its end."""

    spent: Spending
    moves: Sequence[Move]


class Accounts:
    """The runners of each app, what each holds, and who holds a request. `now` is monotonic."""

    def __init__(self, cancel_grace: float) -> None:
        self._cancel_grace = cancel_grace
        self._pools: defaultdict[str, dict[str, Runner]] = defaultdict(dict)
        self._holders: dict[str, Runner] = {}
        """Who has a request: it runs there, or waits to run there alone."""
        self.held: dict[str, Hold] = {}
        """Apps of which nothing is started."""

    # ---- runners

    def enrol(self, runner: Runner) -> None:
        """A runner is there; it is given work once it is ready."""
        self._pools[runner.app][runner.id] = runner

    def runner(self, app: str, runner_id: str) -> Runner | None:
        return self._pools.get(app, {}).get(runner_id)

    def runners(self, app: str) -> list[Runner]:
        return list(self._pools.get(app, {}).values())

    def all_runners(self) -> list[Runner]:
        return [runner for pool in self._pools.values() for runner in pool.values()]

    def holder(self, request_id: str) -> Runner | None:
        """The runner that has a request."""
        return self._holders.get(request_id)

    # ---- slots

    def pick(self, app: str) -> Runner | None:
        """The runner with the most free slots; none of an app that is held."""
        pool = self._pools.get(app)
        return pick(pool.values()) if pool and app not in self.held else None

    def offer(self, app: str, limit: int) -> list[str]:
        """Free slots as runner ids, which are not free until `answered`; none of an app that is held."""
        if app in self.held:
            return []
        pool = self._pools[app]
        slots = offer(pool.values(), limit)
        for runner_id in slots:
            pool[runner_id].slots.offer()
        return slots

    def answered(self, app: str, slots: Iterable[str]) -> None:
        """The queue has answered these offers."""
        pool = self._pools[app]
        for runner_id in slots:
            if (runner := pool.get(runner_id)) is not None:
                runner.slots.answered()

    def place(self, claim: Claim, now: float) -> Sequence[Move]:
        """A claim takes the slot that was offered for it, or waits to run alone."""
        runner = self._pools[claim.request.app].get(claim.runner)
        if runner is None or runner.phase is not RunnerPhase.READY:
            return [PutBack(claim, "its runner left before it began")]
        if claim.alone or not runner.slots.takes_neighbours():
            # What was claimed along with a suspect does not become its neighbour: it waits for its turn, too.
            runner.slots.wait(claim)
            self._holders[claim.request.id] = runner
            return self._next_alone(runner, now)
        return [Start(runner, self.begin(runner, claim, now))]

    def begin(self, runner: Runner, claim: Claim, now: float) -> Running:
        """An attempt takes its slot."""
        timeout = claim.request.run_timeout
        running = Running(claim, None if timeout is None else now + timeout + self._cancel_grace)
        runner.begin(running, now)
        self._holders[claim.request.id] = runner
        return running

    def _next_alone(self, runner: Runner, now: float) -> Sequence[Move]:
        """Who waits to run alone begins once nothing else runs; in a runner that leaves nobody begins."""
        if runner.phase is not RunnerPhase.READY or runner.replace_at is not None:
            return [self._put_back(claim, "its runner is leaving") for claim in runner.slots.give_back()]
        claim = runner.slots.next_alone()
        return () if claim is None else [Start(runner, self.begin(runner, claim, now))]

    def _put_back(self, claim: Claim, reason: str) -> PutBack:
        self._holders.pop(claim.request.id, None)
        return PutBack(claim, reason)

    def end(self, runner: Runner, request_id: str, now: float) -> Ended:
        """An attempt is over, or its claim waits no longer: its slot is free."""
        spent = runner.end(request_id, now)
        runner.slots.drop(request_id)
        if self._holders.get(request_id) is runner:
            del self._holders[request_id]
        if runner.running:
            return Ended(spent, ())
        runner.idle_since = now
        return Ended(spent, self._next_alone(runner, now))

    # ---- what goes wrong

    def overdue(self, now: float) -> list[TooLong | HoldsOn | Replace]:
        """What the clock asks for: run limits, and the end of runners that do not let go."""
        moves: list[TooLong | HoldsOn | Replace] = []
        for runner in self.all_runners():
            for request_id, running in runner.running.items():
                told = running.cancelled_at
                if told is None or running.soft:
                    if running.deadline is not None and now >= running.deadline:
                        running.cancelled_at, running.soft = now, False
                        moves.append(TooLong(runner, running))
                elif now >= told + self._cancel_grace:
                    moves += self.condemn(runner, request_id, now)
            neighbours = any(running.cancelled_at is None for running in runner.running.values())
            if runner.replace_at is not None and (now >= runner.replace_at or not neighbours):
                moves.append(Replace(runner))
        return moves

    def condemn(self, runner: Runner, request_id: str, now: float) -> list[HoldsOn]:
        """The runner cannot let go of an attempt: no more work for it, and its end once its neighbours are done."""
        if runner.replace_at is not None:
            return []
        runner.replace_at = now + self._cancel_grace / 2
        runner.killed_for = request_id
        return [HoldsOn(runner, request_id)]

    def lost(self, runner: Runner, reason: str) -> tuple[list[Running], list[PutBack]]:
        """A runner is gone: what ran in it, and what waited in it."""
        runner.phase = RunnerPhase.LOST
        self._pools[runner.app].pop(runner.id, None)
        running = list(runner.running.values())
        for request_id in list(runner.running):
            runner.slots.end(request_id)
            self._holders.pop(request_id, None)
        return running, [self._put_back(claim, reason) for claim in runner.slots.give_back()]

    def adopt(
        self, runner: Runner, claims: Iterable[Claim], still: dict[str, int], now: float
    ) -> tuple[list[Running], list[PutBack]]:
        """A runner is back after its gateway: what it `still` has (attempts by request) runs on."""
        self.enrol(runner)
        running, missing = [], []
        for claim in claims:
            if still.get(claim.request.id) == claim.attempt:
                running.append(self.begin(runner, claim, now))
            else:
                missing.append(PutBack(claim, "the gateway was restarted before the runner had it"))
        return running, missing
