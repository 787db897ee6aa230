"""Requests to runners, outcomes to the queue. One per gateway.

A request's way through here: `submit` offers a free slot with the insert, or the pump of its app claims it later;
`_start` hands it to a runner; `finished` brings the outcome, which is committed and then acknowledged to the runner.

Who runs what stands in `accounts`, and what becomes of a request whose attempt went wrong is decided in `fates`; both
are pure, and this carries their moves out. What must become durable goes through `commits`, partial output through
`chunks`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from pondage.clock import Clock
from pondage.fleet import fates
from pondage.fleet.accounts import Accounts, HoldsOn, Move, PutBack, Replace, Start, TooLong
from pondage.fleet.channels import Channels
from pondage.fleet.commits import Commits
from pondage.fleet.forecasts import Forecasts
from pondage.fleet.live_chunks import LiveChunks
from pondage.fleet.patience import Patience
from pondage.fleet.pump import Pump
from pondage.fleet.runners import Runner
from pondage.fleet.slots import Running
from pondage.fleet.ticket import PendingRequest
from pondage.queue.interface import NOTHING_SPENT, Cancelled, Claim, NewRequest, Queue, Receipt, Spending
from pondage.queue.news import Listener, News
from pondage.settings import Settings
from pondage.steady import complain, until_done
from pondage.wire import outcomes
from pondage.wire.events import Retried
from pondage.wire.frames import Again, AppInfo, Cancel, Committed, Entries, Execute, Finished, Poisoned
from pondage.wire.states import State

log = logging.getLogger("pondage.fleet")

_LEAST_RUN = 0.05
"""Seconds that an attempt has which was given out at its request's deadline."""


class Dispatcher(Listener):
    """Hands claims to runners, and what they say of them to the queue.

    `channels` are the sessions that wait for a runner; `look` is set whenever the demand for an app has changed.
    """

    def __init__(
        self, queue: Queue, news: News, channels: Channels, look: asyncio.Event, clock: Clock, settings: Settings
    ) -> None:
        self._queue = queue
        self._channels = channels
        self._look = look
        self._clock = clock
        self._settings = settings
        self.accounts = Accounts(settings.cancel_grace)
        self.chunks = LiveChunks(queue)
        self.patience = Patience(queue, clock, settings)
        self.forecasts = Forecasts(queue, clock, self.accounts)
        self._commits = Commits(queue)
        self._pump = Pump(queue, self.accounts, self._place)
        news.listen(self)

    # ---- callers

    def submit(self, request: NewRequest, *, lazy: bool = False, direct: bool = False) -> PendingRequest:
        """Put a request into the queue, and to a runner at once where a slot is free and nobody waits.

        `direct`: its caller stays for the outcome, as that of a lazy one and of a session does in any case.
        """
        runner = None if self._pump.stopping or request.start_at is not None else self.accounts.pick(request.app)
        submission = self._queue.submit(request, slot=runner.id if runner else None, lazy=lazy)
        if runner is not None and submission.claim is not None:
            claim = in_time(submission.claim, self._clock)
            self._start(runner, self.accounts.begin(runner, claim, self._clock.monotonic()))
        elif runner is not None and submission.claimed is not None:
            runner.slots.offer()
            submission.claimed.add_done_callback(partial(self._offer_answered, runner))
        if submission.claim is None and request.start_at is None:
            self.patience.waits(request, direct=direct or lazy or request.mode == "session")
            submission.receipt.add_done_callback(partial(self._queued, request.app))
        elif lazy:
            submission.receipt.add_done_callback(_consume)
        return PendingRequest(self._queue, submission)

    def _offer_answered(self, runner: Runner, claimed: asyncio.Future[Claim | None]) -> None:
        runner.slots.answered()
        if not claimed.cancelled() and claimed.exception() is None and (claim := claimed.result()) is not None:
            self._place(claim)
        else:
            self._pump.wake(runner.app)

    def _queued(self, app: str, receipt: asyncio.Future[Receipt]) -> None:
        if not receipt.cancelled() and receipt.exception() is None:
            self._pump.wake(app)
            self._look.set()

    def wake(self, app: str) -> None:
        """See whether somebody waits for the free slots of an app."""
        self._pump.wake(app)

    async def cancel(self, request_id: str, reason: str, *, soft: bool = False) -> Cancelled:
        """End a request as cancelled, then stop its attempt; unless it is to be `soft`, by force if need be."""
        cancelled = await self._queue.cancel(request_id)
        if cancelled.was is State.RUNNING:
            self.stop_attempt(request_id, reason, soft=soft)
        return cancelled

    def left(self, request_id: str) -> None:
        """The caller of a run has hung up: the request ends, but no process for it."""
        self._commits.keep(self.cancel(request_id, "client_disconnected", soft=True))

    def stop_attempt(self, request_id: str, reason: str, *, soft: bool = False) -> None:
        """Tell the runner that an attempt's outcome is decided; `overdue` sees to it that it lets go, unless it is
        `soft`."""
        runner = self.accounts.holder(request_id)
        if runner is None:
            return
        running = runner.running.get(request_id)
        if running is None:  # a suspect that has not begun yet
            self._end(runner, request_id)
        elif running.cancelled_at is None or (running.soft and not soft):
            running.cancelled_at, running.soft = self._clock.monotonic(), soft
            _tell_cancelled(runner, running, reason)

    # ---- claims to runners

    def _place(self, claim: Claim) -> None:
        self._make(self.accounts.place(in_time(claim, self._clock), self._clock.monotonic()))

    def _make(self, moves: Iterable[Move]) -> None:
        for move in moves:
            if isinstance(move, Start):
                self._start(move.runner, move.running)
            else:
                self._put_back(move)

    def _start(self, runner: Runner, running: Running) -> None:
        claim = running.claim
        request = claim.request
        self.patience.started(request.app, request.id)
        if request.mode == "session" and not self._channels.started(runner, claim):
            self._commits.outcome(request.id, claim.attempt, outcomes.hung_up())
            self._end(runner, request.id)
            return
        if runner.link is None:
            return  # between two connections; `adopt` sorts it out
        runner.link.send(
            Execute(
                request.id,
                claim.attempt,
                request.path,
                request.mode,
                request.input,
                request.headers,
                request.base_url,
                request.run_timeout,
                request.caller,
            )
        )

    def taken_back(self, claim: Claim) -> None:
        """The disk failed under a claim: its request waits again, to run as another attempt, or was never written."""
        holder = self.accounts.holder(claim.request.id)
        if holder is not None and holder.id == claim.runner:
            self.stop_attempt(claim.request.id, "its start could not be written")

    def _end(self, runner: Runner, request_id: str) -> Spending:
        """An attempt is over: its slot goes to the next."""
        spent, moves = self.accounts.end(runner, request_id, self._clock.monotonic())
        if moves or not runner.running:
            self._look.set()
            self._make(moves)
        self._pump.wake_if_waiting(runner.app)
        return spent

    # ---- what runners say: a method of the frame's name for each (`pondage.fleet.fleet`)

    def ready(self, runner: Runner) -> None:
        """A runner can take requests."""
        self._pump.wake(runner.app)

    def entries(self, runner: Runner, frame: Entries) -> None:
        """Log entries and progress go into the log; partial output goes on to whoever listens, too."""
        if not self.chunks.add(runner, frame):
            self._commits.entries(frame)

    def poisoned(self, runner: Runner, frame: Poisoned) -> None:
        """The runner cannot let go of an attempt."""
        _warn(self.accounts.condemn(runner, frame.request_id, self._clock.monotonic()))

    def finished(self, runner: Runner, frame: Finished) -> None:
        """An outcome. It may be one that was handed in before, or that nobody waits for any more."""
        running, spent = runner.running.get(frame.request_id), NOTHING_SPENT
        if running is not None and running.claim.attempt == frame.attempt:
            if frame.retry and self._may_retry(runner, running):
                reason = frame.outcome.error or "the app asked for another attempt"
                self._again(runner, fates.Fate(frame.request_id, frame.attempt, reason, strike=True))
                return
            if frame.again:
                self._commits.keep(self._unfinished(runner, running, frame))
                return
            spent = self._end(runner, frame.request_id)
            if running.cancelled_at is not None:
                # It has its outcome already; what it took until it let go is counted beside it.
                request = running.claim.request
                self._queue.spend(request.app, request.caller, spent)
            else:
                self.forecasts.ended(running.claim.request, frame.outcome)
        self._deliver(runner, frame, spent)

    def _deliver(self, runner: Runner, frame: Finished, spent: Spending) -> None:
        commit = partial(self._commits.outcome, frame.request_id, frame.attempt, frame.outcome, runner, spent)
        self.chunks.after(frame.request_id, frame.attempt, commit)

    def _may_retry(self, runner: Runner, running: Running) -> bool:
        """Whether an app that asks for another attempt gets one: until the request's strikes are used up."""
        return running.cancelled_at is None and running.claim.strikes + 1 < max_strikes(runner.info, self._settings)

    async def _unfinished(self, runner: Runner, running: Running, frame: Finished) -> None:
        """It was not the request's doing: run it again where that may help, else hand its outcome in."""
        if frame.again is Again.ELSEWHERE:
            runner.leaving = runner.leaving or f"{fates.DEVICE} ({frame.outcome.error})"
            self._look.set()
        try:
            before = frame.again is Again.ELSEWHERE and await self._was_elsewhere(frame.request_id)
        except Exception as error:  # its outcome is there, and a log that cannot be read must not keep it back
            complain(f"whether {frame.request_id} ran elsewhere before cannot be told", error)
            before = True
        if runner.running.get(frame.request_id) is not running:
            return  # the runner was lost meanwhile, and its requests have their fates
        fate = fates.of_unfinished(running, frame.again, frame.outcome, elsewhere_before=before, info=runner.info)
        if fate is None:
            self._deliver(runner, frame, self._end(runner, frame.request_id))
        else:
            self._again(runner, fate)

    async def _was_elsewhere(self, request_id: str) -> bool:
        events = await self._queue.events(request_id, kinds=frozenset({"retried"}))
        return any(isinstance(e.entry, Retried) and e.entry.reason.startswith(fates.DEVICE) for e in events)

    def _again(self, runner: Runner, fate: fates.Fate) -> None:
        """An attempt leaves its runner, which forgets it, and its request runs again."""
        spent = self._end(runner, fate.request_id)
        self.chunks.forget(fate.request_id, fate.attempt)
        self._carry_out(fate._replace(spent=spent), runner.app)
        if runner.link is not None:
            runner.link.send_later(Committed(fate.request_id, fate.attempt, done=True))

    # ---- what goes wrong

    def overdue(self) -> list[Runner]:
        """Look at the clock: enforce run limits, and name the runners that must be ended because they hold on."""
        moves = self.accounts.overdue(self._clock.monotonic())
        for move in moves:
            if isinstance(move, TooLong):
                claim = move.running.claim
                self._commits.outcome(claim.request.id, claim.attempt, outcomes.ran_too_long(claim.request.run_timeout))
                _tell_cancelled(move.runner, move.running, "request_timeout")
        _warn(move for move in moves if isinstance(move, HoldsOn))
        return [move.runner for move in moves if isinstance(move, Replace)]

    def runner_lost(self, runner: Runner, cause: str, *, blameless: bool = False) -> None:
        """A runner is gone: every attempt it held gets its fate, and every suspect that waited there goes back."""
        now = self._clock.monotonic()
        spent = {request_id: runner.spent(running, now) for request_id, running in runner.running.items()}
        held, waiting = self.accounts.lost(runner, cause)
        for decision in fates.of_dead_runner(
            held,
            cause=cause,
            blameless=blameless or self._pump.stopping,
            killed_for=runner.killed_for,
            max_strikes=max_strikes(runner.info, self._settings),
            info=runner.info,
        ):
            self._carry_out(decision._replace(spent=spent.pop(decision.request_id, NOTHING_SPENT)), runner.app)
        for running in held:
            request = running.claim.request
            if request.id in spent:  # cancelled, and its runner did not let go
                self._queue.spend(request.app, request.caller, spent[request.id])
            self.chunks.forget(request.id, running.claim.attempt)
            self._channels.lost(request.id, cause)
        self._make(waiting)
        self._look.set()

    def _put_back(self, move: PutBack) -> None:
        claim = move.claim
        self._carry_out(fates.Fate(claim.request.id, claim.attempt, move.reason, alone=claim.alone), claim.request.app)

    def carry_out(self, decisions: Iterable[fates.Fate], app: str) -> None:
        for decision in decisions:
            self._carry_out(decision, app)

    def _carry_out(self, fate: fates.Fate, app: str) -> None:
        if fate.outcome is not None:
            self._commits.outcome(fate.request_id, fate.attempt, fate.outcome, spent=fate.spent)
        else:
            self._commits.keep(self._retried(fate, app))

    async def _retried(self, fate: fates.Fate, app: str) -> None:
        await self._commits.put_back(fate)
        self._pump.wake(app)
        self._look.set()

    def adopt(self, runner: Runner, claims: Sequence[Claim], still: dict[str, int]) -> None:
        """A runner is back after its gateway: what it still has runs on, what it never got goes back to the queue."""
        held, missing = self.accounts.adopt(runner, claims, still, self._clock.monotonic())
        for running in held:
            if running.claim.request.mode == "stream":
                self._commits.keep(self._look_for_chunks(running))
        self._make(missing)

    async def _look_for_chunks(self, running: Running) -> None:
        """Whether an attempt of the gateway before has shown part of its output."""
        look = partial(self.chunks.were_seen, running.claim)
        if await until_done("the log of a stream cannot be read", look, give_up=lambda: self._commits.stopping):
            running.seen_chunk = True

    # ---- end

    def hold(self) -> None:
        """Claim nothing more from now on."""
        self._pump.stopping = self._commits.stopping = True

    async def drained(self, seconds: float) -> bool:
        """Wait until nothing runs any more; False if something still does after `seconds`."""
        # Processes keep the machine's time, whatever clock was injected.
        try:
            async with asyncio.timeout(seconds):
                while any(runner.running for runner in self.accounts.all_runners()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Claim nothing more; wait until what was decided is committed."""
        self.hold()
        await self._pump.stop()
        await self._commits.settled()


def max_strikes(info: AppInfo | None, settings: Settings) -> int:
    """How many attempts a request of this app may spoil."""
    return info.max_strikes if info and info.max_strikes is not None else settings.max_strikes


def in_time(claim: Claim, clock: Clock) -> Claim:
    """A claim whose attempt may run no longer than until the request's deadline."""
    request = claim.request
    if request.deadline is None:
        return claim
    left = max(request.deadline - clock.wall(), _LEAST_RUN)
    limit = left if request.run_timeout is None else min(request.run_timeout, left)
    return replace(claim, request=replace(request, run_timeout=limit))


def _tell_cancelled(runner: Runner, running: Running, reason: str) -> None:
    if runner.link is not None:
        runner.link.send(Cancel(running.claim.request.id, running.claim.attempt, reason, running.soft))


def _warn(condemned: Iterable[HoldsOn]) -> None:
    for runner, request_id in condemned:
        log.warning(
            "runner %s did not stop cancelled request %s within cancel_grace: killed; the app reloads",
            runner.id, request_id,
        )  # fmt: skip


def _consume(receipt: asyncio.Future[Receipt]) -> None:
    """A lazy submit's own commit has no other witness; its error reaches the caller with the outcome's."""
    if not receipt.cancelled():
        receipt.exception()
