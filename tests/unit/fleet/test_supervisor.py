"""The supervisor's start: what ran when the last gateway ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pondage import steady
from pondage.clock import ManualClock
from pondage.errors import StorageFull
from pondage.fleet.channels import Channels
from pondage.fleet.discover import AppSource
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.placement import RunnerNote
from pondage.fleet.plan import STARTING_COUNTS
from pondage.fleet.runner_logs import RunnerLogs
from pondage.fleet.supervisor import Supervisor
from pondage.queue.interface import Claim, Depth, NewRequest
from pondage.queue.news import News
from pondage.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def claim(request_id: str, runner: str, mode: Any = "call") -> Claim:
    return Claim(NewRequest(request_id, "acme/echo", "/", mode, b"{}", 0.0), 1, runner)


class Queue:
    """What a start asks of the queue. `in_between` happens while the log of a stream is read."""

    def __init__(self, *claims: Claim) -> None:
        self.claims = list(claims)
        self.retried: list[str] = []
        self.in_between: Any = lambda: None
        self.lines: dict[str, Any] = {}

    async def apps(self) -> list[Any]:
        return []

    async def orphans(self) -> list[Claim]:
        return self.claims

    async def chunks(self, request_id: str, **_: Any) -> list[Any]:
        self.in_between()
        return []

    async def retry(self, request_id: str, attempt: int, **_: Any) -> bool:
        self.retried.append(request_id)
        return True

    def depth(self, app: str) -> Depth:
        return Depth(0, 0)


class Placement:
    """One survivor, `r1`."""

    def survivors(self) -> list[RunnerNote]:
        return [RunnerNote("r1", "acme/echo", "echo.py:Echo", 11, "then")]

    def adopt(self, note: RunnerNote, died: Any) -> None:
        pass


async def test_a_survivor_may_say_hello_while_others_are_given_up() -> None:
    queue = Queue(claim("a", "r1"), claim("b", "r2", "stream"), claim("c", "r1"))
    clock, settings = ManualClock(), Settings()
    look = asyncio.Event()
    dispatcher = Dispatcher(queue, News(), Channels(1), look, clock, settings)  # type: ignore[arg-type]
    supervisor = Supervisor(dispatcher, look, queue, Placement(), clock, settings, RunnerLogs(clock, 9))  # type: ignore[arg-type]
    queue.in_between = lambda: supervisor.greeted("r1", "acme/echo", 11, {"a": 1})
    await supervisor.open([])
    await dispatcher.stop()
    (runner,) = dispatcher.accounts.all_runners()
    assert (runner.id, list(runner.running)) == ("r1", ["a"]), "what it still has runs on"
    assert sorted(queue.retried) == ["b", "c"], "the others go back to the queue, each once"


class Processes:
    """Processes that start and never end by themselves; `ends` counts how often each was told to."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ends: dict[str, int] = {}
        self.trouble: list[Exception] = []

    async def start(self, runner_id: str, source: AppSource, died: Any) -> int:
        if self.trouble:
            raise self.trouble.pop()
        self.started.append(source.name)
        return 1

    def end(self, runner_id: str) -> None:
        self.ends[runner_id] = self.ends.get(runner_id, 0) + 1
        raise PermissionError("not now")

    def survivors(self) -> list[RunnerNote]:
        return []


class Rows(Queue):
    """Rows of apps, on a disk that is full for the first so many writes."""

    def __init__(self, full: int = 0) -> None:
        super().__init__()
        self.full = full
        self.written: list[str] = []

    async def put_app(self, app: Any) -> None:
        if self.full:
            self.full -= 1
            raise StorageFull("full")
        self.written.append(app.name)


def supervised(queue: Queue, processes: Processes, clock: ManualClock, **settings: Any) -> Supervisor:
    look = asyncio.Event()
    chosen = Settings(**settings)
    dispatcher = Dispatcher(queue, News(), Channels(1), look, clock, chosen)  # type: ignore[arg-type]
    return Supervisor(dispatcher, look, queue, processes, clock, chosen, RunnerLogs(clock, 9))  # type: ignore[arg-type]


async def until(what: Any) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.005)


async def test_a_start_on_a_full_disk_goes_on_and_the_app_is_written_down_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steady.until_done, "__kwdefaults__", {**steady.until_done.__kwdefaults__, "pause": 0.01})
    rows = Rows(full=3)
    supervisor = supervised(rows, Processes(), ManualClock())
    await supervisor.open([AppSource("echo.py:Echo", "acme/echo", None)])
    assert rows.written == []
    await until(lambda: rows.written)
    assert rows.written == ["acme/echo"]


async def test_what_cannot_be_started_or_ended_is_seen_and_tried_again() -> None:
    clock, processes = ManualClock(), Processes()
    processes.trouble = [RuntimeError("no child watcher"), OSError("no more processes")]
    supervisor = supervised(Rows(), processes, clock, crash_backoff=0.0)
    await supervisor.open([AppSource("echo.py:Echo", "acme/echo", None)])
    running = asyncio.create_task(supervisor.run())
    await until(lambda: processes.started)
    assert "no child watcher" in str(supervisor.apps["acme/echo"].fault)
    (runner_id,) = supervisor.supervised
    supervisor.supervised[runner_id].end_by = clock.monotonic()
    await until(lambda: processes.ends.get(runner_id, 0) > 1)
    assert not running.done(), "the loop goes on whatever a placement raises"
    # Its end is asked for again and again; after a whole lease its requests wait for it no longer.
    clock.advance(Settings().lease + 1)
    await until(lambda: runner_id not in supervisor.supervised)
    running.cancel()


async def test_two_hundred_apps_start_a_few_at_a_time_and_the_good_one_first() -> None:
    clock, processes = ManualClock(), Processes()
    supervisor = supervised(Rows(), processes, clock, max_starting=4)
    await supervisor.open([AppSource(f"bad.py:Bad{n}", f"acme/bad{n}", None) for n in range(200)])
    for app in supervisor.apps.values():
        app.failures = 1
    await supervisor.serve(AppSource("good.py:Good", "acme/good", None))
    running = asyncio.create_task(supervisor.run())
    await until(lambda: len(processes.started) == 2)
    assert processes.started[0] == "acme/good"
    assert sum(one.runner.app != "acme/good" for one in supervisor.supervised.values()) == 1
    # One that sets up for long stops counting, so that nobody waits for ever behind it.
    clock.advance(STARTING_COUNTS)
    await until(lambda: len(processes.started) >= 3)
    running.cancel()
