"""The supervisor's start: what ran when the last gateway ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pondage.clock import ManualClock
from pondage.fleet.channels import Channels
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.placement import RunnerNote
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

    async def apps(self) -> list[Any]:
        return []

    async def recover(self) -> list[Claim]:
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
    (runner,) = dispatcher.all_runners()
    assert (runner.id, list(runner.running)) == ("r1", ["a"]), "what it still has runs on"
    assert sorted(queue.retried) == ["b", "c"], "the others go back to the queue, each once"
