"""Keeps as many runners as each app needs, and knows why when it cannot.

A runner is alive once its process runs, and ready only after `setup()`; a replacement serves before the old one stops,
unless the old one's device failed: then it must have let go of it.
An app that cannot start is tried again with growing pauses, forever, and its queued callers can read the reason.

Longer than modules are here: starting, replacing and giving up are states of one app, which its methods share.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from pondage.clock import Clock
from pondage.errors import InvalidInput, StorageFull, Unavailable
from pondage.fleet import fates
from pondage.fleet.discover import AppSource
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.managed import (
    AppRecords,
    ManagedApp,
    SupervisedRunner,
    Survivors,
    counts,
    default_starts,
    demand,
    same_code,
)
from pondage.fleet.patience import FAIL
from pondage.fleet.placement import Placement
from pondage.fleet.plan import STARTING_COUNTS, Wish, backoff, plan, stagger
from pondage.fleet.runner_logs import RunnerLogs
from pondage.fleet.runners import Runner, RunnerPhase
from pondage.fleet.slots import Running
from pondage.queue.interface import Claim, Queue
from pondage.settings import Settings
from pondage.steady import Tasks, complain, until_done
from pondage.wire.frames import AppInfo, Drain, Ready, SetupFailed
from pondage.wire.ids import new_request_id

log = logging.getLogger("pondage.fleet")

_SERVING = (RunnerPhase.READY, RunnerPhase.DRAINING)
"""An app with such a runner can run: one that leaves may hold the device that its successor needs."""


class Supervisor:
    """Starts, watches, replaces and ends runners. It looks at all apps whenever `look` is set."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        look: asyncio.Event,
        queue: Queue,
        placement: Placement,
        clock: Clock,
        settings: Settings,
        runner_logs: RunnerLogs,
    ) -> None:
        self._dispatcher = dispatcher
        self._queue = queue
        self._placement = placement
        self._clock = clock
        self._settings = settings
        self._runner_logs = runner_logs
        self.apps: dict[str, ManagedApp] = {}
        self.infos: dict[str, AppInfo] = {}
        """What each of them declares."""
        self.supervised: dict[str, SupervisedRunner] = {}
        self._survivors = Survivors()
        self._look = look
        self._stopping = False
        self._tasks = Tasks()
        self._records = AppRecords(queue, clock, self.apps, self._tasks)
        self._ending: asyncio.Task[None] | None = None
        self._said: dict[str, str] = {}
        """What was last logged of an app that could not be looked after."""

    async def forget(self, name: str) -> None:
        """See `Fleet.forget`. From the first step on its calls are 404, so that nothing comes meanwhile."""
        app = self.apps[name]
        if app.source is not None:
            raise InvalidInput.field(["path", "app"], f"{name} is served by this server; stop serving it first")
        info = self.infos.pop(name)
        if await self._queue.forget_app(name):
            del self.apps[name]
            return
        self.infos[name] = info
        raise InvalidInput.field(
            ["path", "app"], f"requests of {name} wait or run; cancel them first: pondage requests cancel --app {name}"
        )

    # ---- start

    async def open(self, sources: list[AppSource]) -> None:
        """Learn the known apps, and what became of the requests that ran when the last gateway ended."""
        for known in await self._queue.apps():
            self.apps[known.name] = ManagedApp(known.name, known.info, first_seen=known.first_seen)
            self.infos[known.name] = known.info
        for source in sources:
            await self.serve(source)
        claims: dict[str, dict[str, Claim]] = {}
        for claim in await self._queue.orphans():
            claims.setdefault(claim.runner, {})[claim.request.id] = claim
        # Survivors may say hello from here on, at every `await`: what they had must be known by then.
        self._survivors.notes = {note.id: note for note in self._placement.survivors()}
        self._survivors.until = self._clock.monotonic() + self._settings.reconnect
        self._survivors.trusted_until = self._next_look = self._clock.monotonic() + self._settings.heartbeat
        gone = [claims.pop(runner_id) for runner_id in list(claims) if runner_id not in self._survivors.notes]
        self._survivors.claims = claims
        for note in self._survivors.notes.values():
            self._placement.adopt(note, self.died)
        for held in gone:
            await self._abandon(held, "the server was restarted")

    async def serve(self, source: AppSource) -> None:
        """Run an app from now on; an app that runs already is replaced by its new source."""
        app = self.apps.get(source.name)
        if app is None:
            app = self.apps[source.name] = ManagedApp(source.name, AppInfo(source.name, []), source)
            self.infos[source.name] = app.info
            app.first_seen = self._clock.wall()
            try:
                await self._records.write(app)
            except (StorageFull, Unavailable) as error:
                # What is kept already can be read all the same; the app is written down once there is room.
                log.error("%s is not written down yet: %s", source.name, error)
                self._records.soon(app)
        app.source = source
        app.generation += 1
        app.failures, app.not_before = 0, 0.0
        self._look.set()

    async def _abandon(self, claims: dict[str, Claim], reason: str) -> None:
        for claim in claims.values():
            seen = claim.request.mode == "stream" and await until_done(
                f"the log of {claim.request.id} cannot be read", partial(self._dispatcher.chunks.were_seen, claim)
            )
            app = self.apps.get(claim.request.app)
            decided = fates.of_dead_runner(
                [Running(claim, None, seen_chunk=seen)],
                cause=reason, blameless=True, killed_for=None, max_strikes=self._settings.max_strikes,
                info=app.info if app else None,
            )  # fmt: skip
            self._dispatcher.carry_out(decided, claim.request.app)

    # ---- the loop

    async def run(self) -> None:
        """Compare what is with what should be: at every change, and often enough to keep the time limits."""
        tick = self._settings.heartbeat / 4
        while True:
            try:
                self._watch_clocks()
            except Exception as error:
                self._trouble("the clocks of the runners", error)
            if self._look.is_set():
                self._look.clear()
                await self._look_around()
            self._look_at_patience()
            try:
                async with asyncio.timeout(tick):
                    await self._look.wait()
            except TimeoutError:
                # Back-offs and idle times have no event of their own.
                if self._clock.monotonic() >= self._next_look:
                    self._look.set()

    _next_look = 0.0
    _looked = float("inf")
    """Monotonic time of the last look at the clocks."""

    def _watch_clocks(self) -> None:
        now = self._clock.monotonic()
        settings = self._settings
        if now - self._looked > settings.lease / 2:
            # We stood still ourselves (a suspended machine, say) and could hear nobody: every lease begins anew.
            for runner in self._dispatcher.accounts.all_runners():
                runner.last_heard = now
        self._looked = now
        for runner in self._dispatcher.overdue():
            if (one := self.supervised.get(runner.id)) is not None:
                one.cause = f"it did not stop cancelled request {runner.killed_for} in time"
                self._end(one, now)
        for one in list(self.supervised.values()):
            runner = one.runner
            if one.end_by is not None and now >= one.end_by:
                one.cause = one.cause or "it did not leave in time"
                self._end(one, now)
            elif runner.phase is RunnerPhase.READY and now - runner.last_heard > settings.lease:
                one.cause = f"it was silent for {settings.lease:g} s, its lease is over"
                if one.ended_at is None:
                    log.warning("runner %s of %s: %s", runner.id, runner.app, one.cause)
                self._end(one, now)
        if self._survivors.notes and now >= self._survivors.until:
            for runner_id in list(self._survivors.notes):
                self._placement.end(runner_id)

    def _end(self, one: SupervisedRunner, now: float) -> None:
        """End a process. Where nobody hears of its end for a whole lease, its requests wait for it no longer."""
        one.ended_at = now if one.ended_at is None else one.ended_at
        if now - one.ended_at > self._settings.lease:
            log.error("the process %d of runner %s does not end; its requests go on", one.runner.pid, one.runner.id)
            self.died(one.runner.id, "its process does not end")
        else:
            self._placement.end(one.runner.id)

    def _trouble(self, what: str, error: Exception) -> None:
        """Something could not be looked after: it is said once, and looked at again."""
        self._said[what] = complain(f"{what}: they could not be looked after, and are looked at again", error,
                                    self._said.get(what, ""))  # fmt: skip
        self._again_at(self._clock.monotonic() + self._settings.heartbeat)

    async def _look_around(self) -> None:
        """Every app: what is too much leaves, what is missing starts, a few at a time."""
        wishes: list[Wish] = []
        for app in list(self.apps.values()):
            try:
                if (wish := self._reconcile(app)) is not None:
                    wishes.append(wish)
            except Exception as error:
                self._trouble(f"the runners of {app.name}", error)
        if not wishes:
            return
        now = self._clock.monotonic()
        counted = [one.began for one in self.supervised.values() if counts(one, now)]
        if counted:
            self._again_at(min(counted) + STARTING_COUNTS)
        for name in stagger(wishes, len(counted), self._settings.max_starting or default_starts()):
            try:
                await self._start(self.apps[name])
            except Exception as error:
                self._trouble(f"the runners of {name}", error)

    def _look_at_patience(self) -> None:
        """End the requests that do not wait for an app that cannot run; beside the rest, since it needs the disk."""
        if self._ending is None or self._ending.done():
            faulty = [
                app for app in self.apps.values() if app.fault is not None or self._dispatcher.patience.has(app.name)
            ]
            if faulty:
                self._ending = self._tasks.begin(
                    "ending what waits for apps that cannot run", self._end_waiting(faulty)
                )

    async def _end_waiting(self, apps: list[ManagedApp]) -> None:
        for app in apps:
            runs = any(r.phase in _SERVING for r in self._dispatcher.accounts.runners(app.name))
            fault = None if runs or app.source is None else app.fault
            all_fail = app.info.on_fault == FAIL or app.on_fault == FAIL
            await self._dispatcher.patience.look(app.name, fault, all_fail=all_fail)

    def _again_at(self, moment: float) -> None:
        now = self._clock.monotonic()
        self._next_look = moment if self._next_look < now else min(self._next_look, moment)

    def _reconcile(self, app: ManagedApp) -> Wish | None:
        """What leaves, leaves; what should start is returned."""
        supervised = [one for one in self.supervised.values() if one.runner.app == app.name]
        for one in supervised:
            self._let_leave(one)
        fresh = [w for w in supervised if w.generation == app.generation and w.runner.replace_at is None]
        ready = [w.runner for w in fresh if w.runner.phase is RunnerPhase.READY]
        starting = sum(w.runner.phase is RunnerPhase.STARTING for w in fresh)
        if self._clock.monotonic() < self._survivors.trusted_until:
            # A survivor that may come back is as good as one that sets up.
            starting += sum(note.app == app.name and same_code(app, note) for note in self._survivors.notes.values())
        if ready or app.source is None:
            for one in supervised:
                if one not in fresh:
                    self._dismiss(one)
        if app.source is None or self._stopping:
            return None
        hold = self._dispatcher.accounts.held.get(app.name)
        if hold is not None and hold.drained:
            for one in supervised:
                if not one.runner.running and not one.runner.slots.waiting:
                    self._dismiss(one)
            return None
        now = self._clock.monotonic()
        depth = self._queue.depth(app.name)
        leaving = sum(w.runner.leaving is not None for w in supervised if w.runner.phase is RunnerPhase.DRAINING)
        todo = plan(demand(app, self._settings, ready, starting, leaving, depth.queued, depth.running, now))
        for runner_id in todo.stop:
            self._dismiss(self.supervised[runner_id])
        if todo.again_at is not None:
            self._again_at(todo.again_at)
        rushing = sum(counts(one, now) for one in supervised)
        return Wish(app.name, todo.start, app.failures, depth.queued, rushing) if todo.start else None

    async def _start(self, app: ManagedApp) -> None:
        runner_id = new_request_id()[-12:]
        now = self._clock.monotonic()
        if app.source is None:
            return
        runner = Runner(runner_id, app.name, pid=0, started_at=self._clock.wall(), heard_at=now)
        limit = app.info.startup_timeout or self._settings.startup_timeout
        self.supervised[runner_id] = SupervisedRunner(runner, app.generation, end_by=now + limit, began=now)
        self._dispatcher.accounts.enrol(runner)
        try:
            runner.pid = await self._placement.start(runner_id, app.source, self.died)
        except Exception as error:
            self.died(runner_id, f"no process could be started: {error}")

    def _dismiss(self, one: SupervisedRunner) -> None:
        """Let a runner finish what it has and leave."""
        if one.runner.phase is RunnerPhase.DRAINING:
            return
        ready = one.runner.phase is RunnerPhase.READY
        one.runner.phase = RunnerPhase.DRAINING
        grace = self._settings.grace
        if one.runner.info and one.runner.info.termination_grace_period is not None:
            grace = one.runner.info.termination_grace_period
        one.cause = one.cause or "it was no longer needed"
        now = self._clock.monotonic()
        one.may_finish_until = now + grace
        one.end_by = now + (grace + self._settings.cancel_grace if ready else 0)
        if one.runner.link is not None:
            one.runner.link.send(Drain(grace))

    def _let_leave(self, one: SupervisedRunner) -> None:
        """One that cannot be trusted any more, such as one whose device failed, leaves, and another takes its place."""
        runner = one.runner
        if runner.leaving is not None and runner.phase is RunnerPhase.READY:
            one.cause = one.cause or runner.leaving
            self._runner_logs.note(runner.app, runner.id, "WARN", runner.leaving)
            log.warning("runner %s of %s is replaced: %s", runner.id, runner.app, runner.leaving)
            self._dismiss(one)

    # ---- what runners and processes say

    def greeted(self, runner_id: str, app: str, pid: int, running: dict[str, int]) -> Runner | None:
        """A runner says hello: one that we started, or a survivor. None: it is nobody we know."""
        if (one := self.supervised.get(runner_id)) is not None:
            return one.runner
        note = self._survivors.notes.pop(runner_id, None)
        if note is None or note.pid != pid or note.app != app:
            return None
        now = self._clock.monotonic()
        runner = Runner(runner_id, app, pid=pid, started_at=self._clock.wall(), heard_at=now)
        managed = self.apps.get(app)
        # With other code than today's it finishes what it has, and a fresh one takes over.
        same = managed is not None and same_code(managed, note)
        self.supervised[runner_id] = SupervisedRunner(runner, managed.generation if managed and same else -1)
        self._dispatcher.adopt(runner, list(self._survivors.claims.pop(runner_id, {}).values()), running)
        log.info("runner %s of %s has come back with %d requests", runner_id, app, len(runner.running))
        return runner

    def ready(self, runner: Runner, frame: Ready) -> None:
        one = self.supervised.get(runner.id)
        if one is None:
            return
        app = self.apps[runner.app]
        runner.declares(frame.info)
        one.end_by = None
        if runner.phase is RunnerPhase.STARTING:
            runner.phase = RunnerPhase.READY
            if one.began:
                self._dispatcher.forecasts.set_up(runner.app, self._clock.monotonic() - one.began)
            self._runner_logs.note(runner.app, runner.id, "INFO", f"ready, process {runner.pid}")
        app.info = self.infos[runner.app] = frame.info
        app.fault, app.failures = None, 0
        self._records.soon(app)
        self._dispatcher.ready(runner)
        self._look.set()

    def setup_failed(self, runner: Runner, frame: SetupFailed) -> None:
        if (one := self.supervised.get(runner.id)) is not None:
            one.explained = True
        where = f" ({frame.where})" if frame.where else ""
        reason = f"{frame.reason}{where}"
        self.apps[runner.app].on_fault = frame.on_fault
        self._runner_logs.note(runner.app, runner.id, "ERROR", f"{reason}\n{frame.traceback.rstrip()}")
        self._fail(runner.app, reason, "\n" + frame.traceback.rstrip())

    def died(self, runner_id: str, cause: str) -> None:
        """A process has ended."""
        self._survivors.notes.pop(runner_id, None)
        self._look.set()
        claims = self._survivors.claims.pop(runner_id, None)
        if claims:
            self._tasks.begin(f"giving up what {runner_id} had", self._abandon(claims, cause))
        one = self.supervised.get(runner_id)
        if one is None:
            return
        runner = one.runner
        was = runner.phase
        cause = f"{cause}: {one.cause}" if one.cause else cause
        if runner.link is not None:
            runner.link.close()
        # Who was told to leave, and had its time, did nothing wrong, and neither did its requests.
        planned = was is RunnerPhase.DRAINING and self._clock.monotonic() >= one.may_finish_until
        self._dispatcher.runner_lost(runner, cause, blameless=planned)
        del self.supervised[runner_id]
        if not one.explained:
            self._runner_logs.note(runner.app, runner_id, "INFO" if was is RunnerPhase.DRAINING else "WARN", cause)
        if was is RunnerPhase.STARTING and not one.explained and not self._stopping:
            self._fail(runner.app, f"{cause} during its setup")
        elif was is RunnerPhase.READY and not self._stopping:
            log.warning("%s: %s", runner.app, cause)
        self._look.set()

    def link_lost(self, runner: Runner) -> None:
        """The connection broke. A local runner that lives without one is of no use: its process is ended."""
        runner.link = None
        self._placement.end(runner.id)

    def _fail(self, name: str, reason: str, details: str = "") -> None:
        app = self.apps[name]
        app.failures += 1
        if app.fault != reason:
            log.error("%s cannot run: %s%s", name, reason, details)
        app.fault = reason
        pause = backoff(app.failures, self._settings.crash_backoff, self._settings.crash_backoff_max)
        app.not_before = self._clock.monotonic() + pause
        log.info("%s is tried again in %g s", name, pause)
        self._records.soon(app)

    # ---- stop

    async def stop(self, grace: float, hurry: asyncio.Event) -> None:
        """Let running requests finish for `grace` seconds, or until `hurry`; the rest goes back to the queue."""
        self._stopping = self._records.stopping = True
        self._dispatcher.hold()
        for one in self.supervised.values():
            self._dismiss(one)
        drained = asyncio.ensure_future(self._dispatcher.drained(grace))
        hurried = asyncio.ensure_future(hurry.wait())
        await asyncio.wait([drained, hurried], return_when=asyncio.FIRST_COMPLETED)
        for task in (drained, hurried):
            task.cancel()
        for one in list(self.supervised.values()):
            if one.runner.running or one.runner.slots.waiting:
                self._dispatcher.runner_lost(one.runner, "the server was stopped", blameless=True)
        if not hurry.is_set():
            await self._leave_by_themselves()
        await self._placement.stop()

    async def _leave_by_themselves(self) -> None:
        """Runners with nothing left to do run `teardown()` and exit."""
        # Processes keep the machine's time, whatever clock was injected.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.cancel_grace):
                while self.supervised:
                    await asyncio.sleep(0.02)
