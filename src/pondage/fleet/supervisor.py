"""Keeps as many runners as each app needs, and knows why when it cannot.

A runner is alive once its process runs, and ready only after `setup()`; a replacement serves before the old one stops.
An app that cannot start is tried again with growing pauses, forever, and its queued callers can read the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field

from pondage.clock import Clock
from pondage.errors import PondageError
from pondage.fleet import fates
from pondage.fleet.discover import AppSource
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.placement import Placement, RunnerNote, code_of
from pondage.fleet.plan import Demand, backoff, plan
from pondage.fleet.runner_logs import RunnerLogs
from pondage.fleet.runners import Runner, RunnerPhase, Running
from pondage.queue.interface import Claim, KnownApp, Queue
from pondage.settings import Settings
from pondage.wire.frames import AppInfo, Drain, Ready, SetupFailed
from pondage.wire.ids import new_request_id

log = logging.getLogger("pondage.fleet")


@dataclass
class ManagedApp:
    """An app that this gateway runs, or only knows from before (`source` is None)."""

    name: str
    info: AppInfo
    source: AppSource | None = None
    fault: str | None = None
    first_seen: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    generation: int = 0
    """Counts reloads; runners of an older one are replaced."""


@dataclass
class Ward:
    """A runner with what only its supervisor needs to know."""

    runner: Runner
    generation: int
    end_by: float | None = None
    """Monotonic time after which a process that should leave is ended."""
    cause: str | None = None
    """Why we ended it, if we did."""
    explained: bool = False
    """It has said itself why it failed to set up."""


@dataclass
class Survivors:
    """Runners of the gateway before this one, which may come back with what they finished."""

    claims: dict[str, dict[str, Claim]] = field(default_factory=dict)
    notes: dict[str, RunnerNote] = field(default_factory=dict)
    until: float = 0.0
    trusted_until: float = 0.0
    """Fresh runners are started beside those that have not come back by then."""


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
        self.wards: dict[str, Ward] = {}
        self._survivors = Survivors()
        self._look = look
        self._stopping = False

    # ---- start

    async def open(self, sources: list[AppSource]) -> None:
        """Learn the known apps, and what became of the requests that ran when the last gateway ended."""
        for known in await self._queue.apps():
            self.apps[known.name] = ManagedApp(known.name, known.info, first_seen=known.first_seen)
        for source in sources:
            await self.serve(source)
        claims: dict[str, dict[str, Claim]] = {}
        for claim in await self._queue.recover():
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
            app.first_seen = self._clock.wall()
            await self._put(app)
        app.source = source
        app.generation += 1
        app.failures, app.not_before = 0, 0.0
        self._look.set()

    async def _abandon(self, claims: dict[str, Claim], reason: str) -> None:
        for claim in claims.values():
            seen = claim.request.mode == "stream" and await self._dispatcher.has_chunks(claim)
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
            self._watch_clocks()
            if self._look.is_set():
                self._look.clear()
                for app in list(self.apps.values()):
                    await self._reconcile(app)
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
            for runner in self._dispatcher.all_runners():
                runner.last_heard = now
        self._looked = now
        for runner in self._dispatcher.overdue():
            if (ward := self.wards.get(runner.id)) is not None:
                ward.cause = f"it did not let go of request {runner.killed_for}"
            self._placement.end(runner.id)
        for ward in list(self.wards.values()):
            runner = ward.runner
            if ward.end_by is not None and now >= ward.end_by:
                ward.cause = ward.cause or "it did not leave in time"
                self._placement.end(runner.id)
            elif runner.phase is RunnerPhase.READY and now - runner.last_heard > settings.lease:
                ward.cause = f"it was silent for {settings.lease:g} s, its lease is over"
                log.warning("runner %s of %s: %s", runner.id, runner.app, ward.cause)
                self._placement.end(runner.id)
        if self._survivors.notes and now >= self._survivors.until:
            for runner_id in list(self._survivors.notes):
                self._placement.end(runner_id)

    async def _reconcile(self, app: ManagedApp) -> None:
        wards = [ward for ward in self.wards.values() if ward.runner.app == app.name]
        fresh = [w for w in wards if w.generation == app.generation and w.runner.replace_at is None]
        ready = [w.runner for w in fresh if w.runner.phase is RunnerPhase.READY]
        starting = sum(w.runner.phase is RunnerPhase.STARTING for w in fresh)
        if self._clock.monotonic() < self._survivors.trusted_until:
            # A survivor that may come back is as good as one that sets up.
            starting += sum(note.app == app.name and _same(app, note) for note in self._survivors.notes.values())
        if ready or app.source is None:
            for ward in wards:
                if ward not in fresh:
                    self._dismiss(ward)
        if app.source is None or self._stopping:
            return
        now = self._clock.monotonic()
        depth = self._queue.depth(app.name)
        todo = plan(_demand(app, self._settings, ready, starting, depth.queued, depth.running, now))
        for _ in range(todo.start):
            await self._start(app)
        for runner_id in todo.stop:
            self._dismiss(self.wards[runner_id])
        if todo.again_at is not None:
            self._next_look = todo.again_at if self._next_look < now else min(self._next_look, todo.again_at)

    async def _start(self, app: ManagedApp) -> None:
        runner_id = new_request_id()[-12:]
        now = self._clock.monotonic()
        if app.source is None:
            return
        runner = Runner(runner_id, app.name, pid=0, started_at=self._clock.wall(), heard_at=now)
        limit = app.info.startup_timeout or self._settings.startup_timeout
        self.wards[runner_id] = Ward(runner, app.generation, end_by=now + limit)
        self._dispatcher.runners(app.name)[runner_id] = runner
        try:
            runner.pid = await self._placement.start(runner_id, app.source, self.died)
        except OSError as error:
            self.died(runner_id, f"no process could be started: {error}")

    def _dismiss(self, ward: Ward) -> None:
        """Let a runner finish what it has and leave."""
        if ward.runner.phase is RunnerPhase.DRAINING:
            return
        ready = ward.runner.phase is RunnerPhase.READY
        ward.runner.phase = RunnerPhase.DRAINING
        grace = self._settings.grace
        if ward.runner.info and ward.runner.info.termination_grace_period is not None:
            grace = ward.runner.info.termination_grace_period
        ward.cause = ward.cause or "it was no longer needed"
        ward.end_by = self._clock.monotonic() + (grace + self._settings.cancel_grace if ready else 0)
        if ward.runner.link is not None:
            ward.runner.link.send(Drain(grace))

    # ---- what runners and processes say

    def greeted(self, runner_id: str, app: str, pid: int, running: dict[str, int]) -> Runner | None:
        """A runner says hello: one that we started, or a survivor. None: it is nobody we know."""
        if (ward := self.wards.get(runner_id)) is not None:
            return ward.runner
        note = self._survivors.notes.pop(runner_id, None)
        if note is None or note.pid != pid or note.app != app:
            return None
        now = self._clock.monotonic()
        runner = Runner(runner_id, app, pid=pid, started_at=self._clock.wall(), heard_at=now)
        managed = self.apps.get(app)
        # With other code than today's it finishes what it has, and a fresh one takes over.
        same = managed is not None and _same(managed, note)
        self.wards[runner_id] = Ward(runner, managed.generation if managed and same else -1)
        self._dispatcher.adopt(runner, self._survivors.claims.pop(runner_id, {}), running)
        log.info("runner %s of %s has come back with %d requests", runner_id, app, len(runner.running))
        return runner

    def ready(self, runner: Runner, frame: Ready) -> None:
        ward = self.wards.get(runner.id)
        if ward is None:
            return
        app = self.apps[runner.app]
        runner.info = frame.info
        ward.end_by = None
        if runner.phase is RunnerPhase.STARTING:
            runner.phase = RunnerPhase.READY
            self._runner_logs.note(runner.app, runner.id, "INFO", f"ready, process {runner.pid}")
        app.info, app.fault, app.failures = frame.info, None, 0
        self._store(app)
        self._dispatcher.ready(runner)
        self._look.set()

    def setup_failed(self, runner: Runner, frame: SetupFailed) -> None:
        if (ward := self.wards.get(runner.id)) is not None:
            ward.explained = True
        where = f" ({frame.where})" if frame.where else ""
        reason = f"{frame.reason}{where}"
        self._runner_logs.note(runner.app, runner.id, "ERROR", f"{reason}\n{frame.traceback.rstrip()}")
        self._fail(runner.app, reason, "\n" + frame.traceback.rstrip())

    def died(self, runner_id: str, cause: str) -> None:
        """A process has ended."""
        self._survivors.notes.pop(runner_id, None)
        self._look.set()
        claims = self._survivors.claims.pop(runner_id, None)
        if claims:
            asyncio.ensure_future(self._abandon(claims, cause)).add_done_callback(_report)
        ward = self.wards.pop(runner_id, None)
        if ward is None:
            return
        runner = ward.runner
        was = runner.phase
        cause = f"{cause}: {ward.cause}" if ward.cause else cause
        if runner.link is not None:
            runner.link.close()
        self._dispatcher.runner_lost(runner, cause)
        if not ward.explained:
            self._runner_logs.note(runner.app, runner_id, "INFO" if was is RunnerPhase.DRAINING else "WARN", cause)
        if was is RunnerPhase.STARTING and not ward.explained and not self._stopping:
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
        self._store(app)

    def _store(self, app: ManagedApp) -> None:
        asyncio.ensure_future(self._put(app)).add_done_callback(_report)

    async def _put(self, app: ManagedApp) -> None:
        await self._queue.put_app(
            KnownApp(app.name, app.info, app.first_seen or self._clock.wall(), self._clock.wall(), app.fault)
        )

    # ---- stop

    async def stop(self, grace: float, hurry: asyncio.Event) -> None:
        """Let running requests finish for `grace` seconds, or until `hurry`; the rest goes back to the queue."""
        self._stopping = True
        self._dispatcher.hold()
        for ward in self.wards.values():
            self._dismiss(ward)
        drained = asyncio.ensure_future(self._dispatcher.drained(grace))
        hurried = asyncio.ensure_future(hurry.wait())
        await asyncio.wait([drained, hurried], return_when=asyncio.FIRST_COMPLETED)
        for task in (drained, hurried):
            task.cancel()
        for ward in list(self.wards.values()):
            if ward.runner.running or ward.runner.alone:
                self._dispatcher.runner_lost(ward.runner, "the server was stopped", blameless=True)
        if not hurry.is_set():
            await self._leave_by_themselves()
        await self._placement.stop()

    async def _leave_by_themselves(self) -> None:
        """Runners with nothing left to do run `teardown()` and exit."""
        # Processes keep the machine's time, whatever clock was injected.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.cancel_grace):
                while self.wards:
                    await asyncio.sleep(0.02)


def _same(app: ManagedApp, note: RunnerNote) -> bool:
    """Whether a survivor runs what this gateway would start."""
    return app.source is not None and (app.source.spec, code_of(app.source)) == (note.spec, note.code)


def _demand(
    app: ManagedApp, settings: Settings, ready: list[Runner], starting: int, queued: int, running: int, now: float
) -> Demand:
    info = app.info
    least = 1 if info.min_concurrency is None else info.min_concurrency
    return Demand(
        min_concurrency=least,
        max_concurrency=max(least, 1 if info.max_concurrency is None else info.max_concurrency),
        concurrency_buffer=info.concurrency_buffer or 0,
        keep_alive=settings.idle_keep_alive if info.keep_alive is None else info.keep_alive,
        slots=info.max_multiplexing,
        queued=queued,
        running=running,
        starting=starting,
        ready=len(ready),
        idle=tuple((runner.id, runner.idle_since) for runner in ready if not runner.running),
        not_before=app.not_before,
        now=now,
    )


def _report(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("%s", error, exc_info=None if isinstance(error, PondageError) else error)
