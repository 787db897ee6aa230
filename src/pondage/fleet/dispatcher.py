"""Requests to runners, outcomes to the queue. One per gateway.

A request's way through here: `submit` offers a free slot with the insert, or the pump of its app claims it later;
`_start` hands it to a runner; `finished` brings the outcome, which is committed and then acknowledged to the runner.
Whatever goes wrong between is decided in `fates` and carried out here.

Longer than modules are here, because the accounts (slots, running, tickets) must be changed in one place.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from pondage.clock import Clock
from pondage.errors import PondageError, StorageFull, Unavailable
from pondage.fleet import fates
from pondage.fleet.channels import Channels
from pondage.fleet.chunks import ChunkLog
from pondage.fleet.forecasts import Forecasts
from pondage.fleet.patience import Patience
from pondage.fleet.runners import Runner, RunnerPhase, Running, offer, pick
from pondage.queue.interface import (
    NOTHING_SPENT,
    Cancelled,
    Claim,
    Completion,
    NewRequest,
    Queue,
    Receipt,
    Spending,
    Submission,
)
from pondage.queue.news import Listener, News
from pondage.settings import Settings
from pondage.steady import complain, until_done
from pondage.wire.events import Chunk, Entry, Outcome, Retried
from pondage.wire.frames import Again, AppInfo, Cancel, Committed, Entries, Execute, Finished
from pondage.wire.states import State

log = logging.getLogger("pondage.fleet")

ChunkSink = Callable[[int, Chunk], bool]

MOST_CLAIMS = 256
"""Slots that one claim asks for."""
_REPEAT_COMMIT = 1.0
"""Seconds until a commit that failed for want of space is tried again."""


class PendingRequest:
    """The `Ticket` of a submitted request."""

    def __init__(self, queue: Queue, submission: Submission) -> None:
        self._queue = queue
        self._submission = submission
        self.request_id = submission.request.id

    async def receipt(self) -> Receipt:
        return await self._submission.receipt

    async def outcome(self) -> Outcome:
        request_id = self.request_id
        if self._submission.request.idempotency_key is not None:
            # The key may name an earlier request; then that one's outcome is the answer.
            request_id = self.request_id = (await self.receipt()).request_id
        elif self._submission.receipt.done():
            self._submission.receipt.result()
        outcome = await self._queue.wait(request_id, None)
        if outcome is None:
            await self.receipt()
            raise PondageError(f"request {request_id} has vanished from the queue")
        return outcome


class Dispatcher(Listener):
    """Hands claims to runners and keeps the accounts of who runs what.

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
        self._pools: defaultdict[str, dict[str, Runner]] = defaultdict(dict)
        self._holder: dict[str, Runner] = {}
        """Who runs a request."""
        self._wanted: dict[str, asyncio.Event] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._pending: set[asyncio.Future[Any]] = set()
        self._sinks: defaultdict[str, list[ChunkSink]] = defaultdict(list)
        self._chunk_logs: dict[tuple[str, int], ChunkLog] = {}
        """By request and attempt, while the attempt runs."""
        self.patience = Patience(queue, clock, settings)
        self.forecasts = Forecasts(queue, clock, self._pools)
        self._stopping = False
        news.listen(self)

    # ---- callers

    def submit(self, request: NewRequest, *, lazy: bool = False, direct: bool = False) -> PendingRequest:
        """Put a request into the queue, and to a runner at once where a slot is free and nobody waits.

        `direct`: its caller stays for the outcome, as that of a lazy one and of a session does in any case.
        """
        pool = self._pools.get(request.app)
        runner = pick(pool.values()) if pool and not self._stopping else None
        submission = self._queue.submit(request, slot=runner.id if runner else None, lazy=lazy)
        if runner is not None and submission.claim is not None:
            self._start(runner, submission.claim)
        elif runner is not None and submission.claimed is not None:
            runner.offered += 1
            submission.claimed.add_done_callback(lambda claimed: self._offer_answered(runner, claimed))
        if submission.claim is None:
            self.patience.waits(request, direct=direct or lazy or request.mode == "session")
            submission.receipt.add_done_callback(lambda receipt: self._queued(request.app, receipt))
        elif lazy:
            submission.receipt.add_done_callback(_consume)
        return PendingRequest(self._queue, submission)

    def _offer_answered(self, runner: Runner, claimed: asyncio.Future[Claim | None]) -> None:
        runner.offered -= 1
        if not claimed.cancelled() and claimed.exception() is None and (claim := claimed.result()) is not None:
            self._place(self._pools[runner.app], claim)
        else:
            self.pump(runner.app)

    def _queued(self, app: str, receipt: asyncio.Future[Receipt]) -> None:
        if not receipt.cancelled() and receipt.exception() is None:
            self.pump(app)
            self._look.set()

    async def cancel(self, request_id: str, reason: str) -> Cancelled:
        """End a request as cancelled, then stop its attempt, by force if need be."""
        cancelled = await self._queue.cancel(request_id)
        if cancelled.was is State.RUNNING:
            self.stop_attempt(request_id, reason)
        return cancelled

    def stop_attempt(self, request_id: str, reason: str) -> None:
        """Tell the runner that an attempt's outcome is decided; `overdue` sees to it that it lets go."""
        runner = self._holder.get(request_id)
        if runner is None:
            return
        running = runner.running.get(request_id)
        if running is None:  # a suspect that has not begun yet
            runner.alone = type(runner.alone)(c for c in runner.alone if c.request.id != request_id)
            self._release(runner, request_id)
        elif running.cancelled_at is None:
            running.cancelled_at = self._clock.monotonic()
            if runner.link is not None:
                runner.link.send(Cancel(request_id, running.claim.attempt, reason))

    def listen(self, request_id: str, sink: ChunkSink) -> Callable[[], None]:
        """Hear chunks before their commit, until the returned function is called or the sink says False."""
        self._sinks[request_id].append(sink)

        def stop() -> None:
            if sink in self._sinks.get(request_id, ()):
                self._sinks[request_id].remove(sink)
                if not self._sinks[request_id]:
                    del self._sinks[request_id]

        return stop

    # ---- slots and claims

    def runners(self, app: str) -> dict[str, Runner]:
        return self._pools[app]

    def all_runners(self) -> Iterable[Runner]:
        return [runner for pool in self._pools.values() for runner in pool.values()]

    def pump(self, app: str) -> None:
        """See whether somebody waits for the free slots of `app`."""
        if self._stopping:
            return
        pump = self._pumps.get(app)
        if pump is None or pump.done():
            if pump is not None and not pump.cancelled() and (error := pump.exception()) is not None:
                log.error("%s: its pump had ended and is started again: %s", app, error, exc_info=error)
            self._wanted[app] = asyncio.Event()
            self._pumps[app] = asyncio.get_running_loop().create_task(self._pump(app), name=f"pump {app}")
        self._wanted[app].set()

    async def _pump(self, app: str) -> None:
        wanted = self._wanted[app]
        pool = self._pools[app]
        said = ""
        while True:
            await wanted.wait()
            wanted.clear()
            while slots := offer(pool.values(), MOST_CLAIMS):
                try:
                    claims = await self._queue.claim(app, slots)
                except Exception as error:
                    said = complain(f"{app}: nothing can be claimed, and it is tried again", error, said)
                    await asyncio.sleep(_REPEAT_COMMIT)
                    wanted.set()
                    break
                said = ""
                for claim in claims:
                    self._place(pool, claim)
                if len(claims) < len(slots):
                    break  # nobody else waits, as far as is known

    def _place(self, pool: dict[str, Runner], claim: Claim) -> None:
        runner = pool.get(claim.runner)
        if runner is None or runner.phase is not RunnerPhase.READY:
            # It left between the offer and the claim.
            self._requeue(claim, "its runner left before it began")
        elif claim.alone or runner.exclusive or runner.alone:
            # What was claimed along with a suspect does not become its neighbour: it waits for its turn, too.
            runner.alone.append(claim)
            self._holder[claim.request.id] = runner
            self._start_suspect(runner)
        else:
            self._start(runner, claim)

    def _start_suspect(self, runner: Runner) -> None:
        if runner.phase is not RunnerPhase.READY or runner.replace_at is not None:
            while runner.alone:
                self._requeue(runner.alone.popleft(), "its runner is leaving")
        elif runner.alone and not runner.running:
            runner.exclusive = True
            self._start(runner, runner.alone.popleft())

    def _start(self, runner: Runner, claim: Claim) -> None:
        request = claim.request
        self.patience.started(request.app, request.id)
        if request.mode == "session" and not self._channels.started(runner, claim):
            self._commit(claim.request.id, claim.attempt, _hung_up())
            self._release(runner, request.id)
            return
        link = runner.link
        now, timeout = self._clock.monotonic(), request.run_timeout
        deadline = None if timeout is None else now + timeout + self._settings.cancel_grace
        runner.begin(Running(claim, deadline), now)
        self._holder[request.id] = runner
        if link is None:
            return  # between two connections; `adopt` sorts it out
        link.send(
            Execute(
                request.id,
                claim.attempt,
                request.path,
                request.mode,
                request.input,
                request.headers,
                request.base_url,
                timeout,
                request.caller,
            )
        )

    def taken_back(self, claim: Claim) -> None:
        """The disk failed under a claim: the request waits again, and will run as another attempt."""
        holder = self._holder.get(claim.request.id)
        if holder is not None and holder.id == claim.runner:
            self.stop_attempt(claim.request.id, "its start could not be written")

    def _release(self, runner: Runner, request_id: str) -> Spending:
        now = self._clock.monotonic()
        spent = runner.end(request_id, now)
        if self._holder.get(request_id) is runner:
            del self._holder[request_id]
        if not runner.running:
            runner.exclusive = False
            runner.idle_since = now
            self._start_suspect(runner)
            self._look.set()
        self.pump_if_waiting(runner.app)
        return spent

    def pump_if_waiting(self, app: str) -> None:
        if self._queue.depth(app).queued:
            self.pump(app)

    # ---- what runners say

    def finished(self, runner: Runner, frame: Finished) -> None:
        """An outcome. It may be one that was handed in before, or that nobody waits for any more."""
        running, spent = runner.running.get(frame.request_id), NOTHING_SPENT
        if running is not None and running.claim.attempt == frame.attempt:
            if frame.retry and self._retry_declared(runner, running, frame):
                return
            if frame.again:
                self._keep(self._unfinished(runner, running, frame))
                return
            spent = self._release(runner, frame.request_id)
            if running.cancelled_at is not None:
                # It has its outcome already; what it took until it let go is counted beside it.
                request = running.claim.request
                self._queue.spend(request.app, request.caller, spent)
            else:
                self.forecasts.ended(running.claim.request, frame.outcome)
        self._deliver(runner, frame, spent)

    def _deliver(self, runner: Runner, frame: Finished, spent: Spending) -> None:
        commit = partial(self._commit, frame.request_id, frame.attempt, frame.outcome, runner, spent)
        # It stays until it is empty: an outcome that comes twice must not overtake the chunks the second time.
        chunks = self._chunk_logs.get((frame.request_id, frame.attempt))
        if chunks is None:
            commit()
        else:
            chunks.after(partial(self._drained_chunks, frame, commit))

    def _drained_chunks(self, frame: Finished, commit: Callable[[], None]) -> None:
        self._chunk_logs.pop((frame.request_id, frame.attempt), None)
        commit()

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
        spent = self._release(runner, frame.request_id)
        if fate is None:
            self._deliver(runner, frame, spent)
        else:
            self._again(runner, frame, fate._replace(spent=spent))

    async def _was_elsewhere(self, request_id: str) -> bool:
        events = await self._queue.events(request_id, kinds=frozenset({"retried"}))
        return any(isinstance(e.entry, Retried) and e.entry.reason.startswith(fates.DEVICE) for e in events)

    def _again(self, runner: Runner, frame: Finished, fate: fates.Fate) -> None:
        self._chunk_logs.pop((frame.request_id, frame.attempt), None)
        self._carry_out(fate, runner.app)
        if runner.link is not None:
            runner.link.send_later(Committed(frame.request_id, frame.attempt, done=True))

    def _retry_declared(self, runner: Runner, running: Running, frame: Finished) -> bool:
        """The app asked for another attempt; granted until its strikes are used up."""
        limit = max_strikes(runner.info, self._settings)
        if running.cancelled_at is not None or running.claim.strikes + 1 >= limit:
            return False
        spent = self._release(runner, frame.request_id)
        reason = frame.outcome.error or "the app asked for another attempt"
        self._again(runner, frame, fates.Fate(frame.request_id, frame.attempt, reason, strike=True, spent=spent))
        return True

    def _commit(
        self,
        request_id: str,
        attempt: int,
        outcome: Outcome,
        runner: Runner | None = None,
        spent: Spending = NOTHING_SPENT,
    ) -> None:
        """Write the outcome, again and again while the disk is full, then let the runner forget it."""
        commit = self._queue.complete(request_id, attempt, outcome, spent)
        self._pending.add(commit)

        def committed(done: asyncio.Future[Completion]) -> None:
            self._pending.discard(commit)
            if done.cancelled():
                return
            if (error := done.exception()) is not None:
                if not isinstance(error, StorageFull):
                    trace = None if isinstance(error, Unavailable) else error
                    log.error("the outcome of %s cannot be committed: %s", request_id, error, exc_info=trace)
                if not self._stopping:
                    loop = asyncio.get_running_loop()
                    loop.call_later(_REPEAT_COMMIT, self._commit, request_id, attempt, outcome, runner, spent)
            elif runner is not None and runner.link is not None:
                runner.link.send_later(Committed(request_id, attempt, done=True))

        commit.add_done_callback(committed)

    def entries(self, runner: Runner, frame: Entries) -> None:
        """Log entries and progress go into the log; partial output goes on to whoever listens, too."""
        key = (frame.request_id, frame.attempt)
        running = runner.running.get(frame.request_id)
        chunks = self._chunk_logs.get(key)
        if chunks is None and any(type(entry) is Chunk for entry in frame.entries):
            if running is not None and running.claim.attempt == frame.attempt:
                chunks = self._chunk_logs[key] = self._chunk_log(runner, frame)
                running.seen_chunk = True
        if chunks is None:
            self._append(frame)
            return
        chunks.add(frame.entries)

    def _chunk_log(self, runner: Runner, frame: Entries) -> ChunkLog:
        request_id, attempt = frame.request_id, frame.attempt

        def committed(entries: list[Entry], held: bool) -> None:
            last = max((entry.n for entry in entries if type(entry) is Chunk), default=0)
            if last and runner.link is not None:
                runner.link.send(Committed(request_id, attempt, chunks=last))

        show = partial(self._show, request_id, attempt)
        return ChunkLog(self._queue, request_id, attempt, show=show, committed=committed, pause=_REPEAT_COMMIT)

    def _show(self, request_id: str, attempt: int, entries: list[Entry]) -> None:
        if sinks := self._sinks.get(request_id):
            for entry in entries:
                if type(entry) is Chunk:
                    sinks[:] = [sink for sink in sinks if sink(attempt, entry)]
            if not sinks:
                self._sinks.pop(request_id, None)

    def _append(self, frame: Entries) -> None:
        append = self._queue.append(frame.request_id, frame.attempt, frame.entries)
        self._pending.add(append)

        def appended(done: asyncio.Future[bool]) -> None:
            self._pending.discard(append)
            if done.cancelled():
                return
            if (error := done.exception()) is not None:
                log.error("log entries of %s are not kept: %s", frame.request_id, error)

        append.add_done_callback(appended)

    def ready(self, runner: Runner) -> None:
        """A runner can take requests."""
        self.pump(runner.app)

    # ---- what goes wrong

    def overdue(self) -> list[Runner]:
        """Look at the clock: enforce run limits, and name the runners that must be ended because they hold on."""
        now = self._clock.monotonic()
        settings = self._settings
        condemned = []
        for runner in self.all_runners():
            for request_id, running in list(runner.running.items()):
                if running.cancelled_at is None and running.deadline is not None and now >= running.deadline:
                    self._commit(request_id, running.claim.attempt, ran_too_long(running.claim.request.run_timeout))
                    self.stop_attempt(request_id, "request_timeout")
                elif running.cancelled_at is not None and now >= running.cancelled_at + settings.cancel_grace:
                    self.condemn(runner, request_id)
            neighbours = any(running.cancelled_at is None for running in runner.running.values())
            if runner.replace_at is not None and (now >= runner.replace_at or not neighbours):
                condemned.append(runner)
        return condemned

    def condemn(self, runner: Runner, request_id: str) -> None:
        """The runner cannot let go of an attempt: no more work for it, and its end once its neighbours are done."""
        if runner.replace_at is None:
            runner.replace_at = self._clock.monotonic() + self._settings.cancel_grace / 2
            runner.killed_for = request_id
            log.warning("runner %s does not let go of %s and is replaced", runner.id, request_id)

    def runner_lost(self, runner: Runner, cause: str, *, blameless: bool = False) -> None:
        """A runner is gone: every attempt it held gets its fate, and every suspect that waited there goes back."""
        runner.phase = RunnerPhase.LOST
        self._pools[runner.app].pop(runner.id, None)
        now = self._clock.monotonic()
        spent = {request_id: runner.spent(running, now) for request_id, running in runner.running.items()}
        for decision in fates.of_dead_runner(
            list(runner.running.values()),
            cause=cause,
            blameless=blameless or self._stopping,
            killed_for=runner.killed_for,
            max_strikes=max_strikes(runner.info, self._settings),
            info=runner.info,
        ):
            self._carry_out(decision._replace(spent=spent.pop(decision.request_id, NOTHING_SPENT)), runner.app)
        for request_id, left in spent.items():  # cancelled ones, whose runner did not let go
            request = runner.running[request_id].claim.request
            self._queue.spend(request.app, request.caller, left)
        for claim in runner.alone:
            self._requeue(claim, cause)
        for request_id, running in runner.running.items():
            self._holder.pop(request_id, None)
            self._chunk_logs.pop((request_id, running.claim.attempt), None)
            self._channels.lost(request_id, cause)
        runner.running.clear()
        runner.alone.clear()
        self._look.set()

    def _requeue(self, claim: Claim, reason: str) -> None:
        self._holder.pop(claim.request.id, None)
        fate = fates.Fate(claim.request.id, claim.attempt, reason, alone=claim.alone)
        self._carry_out(fate, claim.request.app)

    def carry_out(self, decisions: Iterable[fates.Fate], app: str) -> None:
        for decision in decisions:
            self._carry_out(decision, app)

    def _carry_out(self, fate: fates.Fate, app: str) -> None:
        if fate.outcome is not None:
            self._commit(fate.request_id, fate.attempt, fate.outcome, spent=fate.spent)
            return
        self._keep(self._retried(fate, app))

    async def _retried(self, fate: fates.Fate, app: str) -> None:
        """Put a request back. Where a stop comes first it runs in the database still, and the next start does it."""
        put_back = partial(
            self._queue.retry,
            fate.request_id,
            fate.attempt,
            reason=fate.reason,
            strike=fate.strike,
            alone=fate.alone,
            spent=fate.spent,
        )
        what = f"{fate.request_id} is not put back yet"
        await until_done(what, put_back, give_up=lambda: self._stopping, pause=_REPEAT_COMMIT)
        self.pump(app)
        self._look.set()

    def _keep(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        self._pending.add(task)

        def ended(done: asyncio.Future[Any]) -> None:
            self._pending.discard(done)
            if not done.cancelled() and (error := done.exception()) is not None:
                log.error("dispatch: %s", error, exc_info=error)

        task.add_done_callback(ended)

    def adopt(self, runner: Runner, claims: dict[str, Claim], still: dict[str, int]) -> None:
        """A runner is back after its gateway: what it still has runs on, what it never got goes back to the queue."""
        self._pools[runner.app][runner.id] = runner
        for request_id, claim in claims.items():
            if still.get(request_id) == claim.attempt:
                timeout = claim.request.run_timeout
                deadline = None if timeout is None else self._clock.monotonic() + timeout
                running = Running(claim, deadline)
                runner.begin(running, self._clock.monotonic())
                self._holder[request_id] = runner
                if claim.request.mode == "stream":
                    self._keep(self._look_for_chunks(running))
            else:
                self._requeue(claim, "the gateway was restarted before the runner had it")

    async def _look_for_chunks(self, running: Running) -> None:
        """Whether an attempt of the gateway before has shown part of its output."""
        look = partial(self.has_chunks, running.claim)
        if await until_done("the log of a stream cannot be read", look, give_up=lambda: self._stopping):
            running.seen_chunk = True

    async def has_chunks(self, claim: Claim) -> bool:
        """Whether partial output of this request is in its log."""
        return bool(await self._queue.chunks(claim.request.id, after=(0, 0), limit=1))

    # ---- end

    async def stop(self) -> None:
        """Claim nothing more; wait until what was decided is committed."""
        self._stopping = True
        for pump in self._pumps.values():
            pump.cancel()
        await asyncio.gather(*self._pumps.values(), return_exceptions=True)
        while self._pending:
            await asyncio.wait(self._pending)

    async def drained(self, seconds: float) -> bool:
        """Wait until nothing runs any more; False if something still does after `seconds`."""
        # Processes keep the machine's time, whatever clock was injected.
        try:
            async with asyncio.timeout(seconds):
                while any(runner.running for runner in self.all_runners()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return False
        return True

    def hold(self) -> None:
        """Claim nothing more from now on."""
        self._stopping = True


def max_strikes(info: AppInfo | None, settings: Settings) -> int:
    """How many attempts a request of this app may spoil."""
    return info.max_strikes if info and info.max_strikes is not None else settings.max_strikes


def ran_too_long(seconds: float | None) -> Outcome:
    """The outcome of a run limit that the runner did not keep by itself (docs/errors.md)."""
    return Outcome.failure(
        504, f"the request ran longer than its limit of {seconds:g} s", "request_timeout",
        **{"x-fal-request-timeout-type": "user"},
    )  # fmt: skip


def _hung_up() -> Outcome:
    return Outcome.failure(499, "the caller left before its session began", "client_disconnected")


def _consume(receipt: asyncio.Future[Receipt]) -> None:
    """A lazy submit's own commit has no other witness; its error reaches the caller with the outcome's."""
    if not receipt.cancelled():
        receipt.exception()
