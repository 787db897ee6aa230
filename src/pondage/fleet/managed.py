"""What the supervisor knows: its apps and their rows in the database, its runners, and who may come back."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from functools import partial

from pondage.clock import Clock
from pondage.fleet.discover import AppSource
from pondage.fleet.placement import RunnerNote, code_of
from pondage.fleet.plan import STARTING_COUNTS, Demand
from pondage.fleet.runners import Runner, RunnerPhase
from pondage.queue.interface import Claim, KnownApp, Queue
from pondage.settings import Settings
from pondage.steady import Tasks, until_done
from pondage.wire.frames import AppInfo


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
    on_fault: str | None = None
    """What a runner whose `setup()` failed said of it; `info` is that of the last one that was ready."""


@dataclass
class SupervisedRunner:
    """A runner with what only its supervisor needs to know."""

    runner: Runner
    generation: int
    end_by: float | None = None
    """Monotonic time after which a process that should leave is ended."""
    may_finish_until: float = float("inf")
    """Monotonic time until which one that was told to leave may finish what it has."""
    cause: str | None = None
    """Why we ended it, if we did."""
    explained: bool = False
    """It has said itself why it failed to set up."""
    began: float = 0.0
    """Monotonic time of its start; 0 for a survivor."""
    ended_at: float | None = None
    """Monotonic time at which its process was first told to end."""


@dataclass
class Survivors:
    """Runners of the gateway before this one, which may come back with what they finished."""

    claims: dict[str, dict[str, Claim]] = field(default_factory=dict)
    notes: dict[str, RunnerNote] = field(default_factory=dict)
    until: float = 0.0
    trusted_until: float = 0.0
    """Fresh runners are started beside those that have not come back by then."""


class AppRecords:
    """The apps' rows in the database."""

    def __init__(self, queue: Queue, clock: Clock, apps: dict[str, ManagedApp], tasks: Tasks) -> None:
        self._queue = queue
        self._clock = clock
        self._apps = apps
        self._tasks = tasks
        self._unwritten: set[str] = set()
        self._writing: asyncio.Task[None] | None = None
        self.stopping = False

    async def write(self, app: ManagedApp) -> None:
        """Write down what is known of an app, now."""
        await self._queue.put_app(
            KnownApp(app.name, app.info, app.first_seen or self._clock.wall(), self._clock.wall(), app.fault)
        )

    def soon(self, app: ManagedApp) -> None:
        """The same beside everything else, and again until it is on disk."""
        self._unwritten.add(app.name)
        if self._writing is None or self._writing.done():
            self._writing = self._tasks.begin("writing down the apps", self._write_all())

    async def _write_all(self) -> None:
        while self._unwritten:
            name = self._unwritten.pop()
            write = partial(self.write, self._apps[name])
            await until_done(f"{name} is not written down", write, give_up=lambda: self.stopping)


def same_code(app: ManagedApp, note: RunnerNote) -> bool:
    """Whether a survivor runs what this gateway would start."""
    return app.source is not None and (app.source.spec, code_of(app.source)) == (note.spec, note.code)


def demand(
    app: ManagedApp,
    settings: Settings,
    ready: list[Runner],
    starting: int,
    leaving: int,
    queued: int,
    running: int,
    now: float,
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
        leaving=leaving,
        idle=tuple((runner.id, runner.idle_since) for runner in ready if not runner.running),
        not_before=app.not_before,
        now=now,
    )


def counts(one: SupervisedRunner, now: float) -> bool:
    return one.runner.phase is RunnerPhase.STARTING and now - one.began < STARTING_COUNTS


def default_starts() -> int:
    """How many set up at once where `max_starting` says nothing: one for each processor, at least four."""
    return max(os.cpu_count() or 1, 4)
