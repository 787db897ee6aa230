"""Services start in their order, stop in the reverse, and are begun again or end the server, as each declares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from pondage import services as module
from pondage.services import Every, Room, Services, Work

pytestmark = pytest.mark.anyio


class Part:
    """A service that writes down what happens to it, and may fail."""

    def __init__(self, name: str, told: list[str], *errors: Exception) -> None:
        self.name = name
        self.told = told
        self.errors = list(errors)
        self.works = asyncio.Event()

    async def run(self) -> None:
        self.told.append(f"{self.name} runs")
        if self.errors:
            raise self.errors.pop(0)
        self.works.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append(f"{self.name} ended")

    async def stop(self) -> None:
        self.told.append(f"{self.name} stops")


async def served(services: Services, stop: asyncio.Event, then: Callable[[], object] = lambda: None) -> None:
    """As the server does it."""
    async with asyncio.TaskGroup() as group:
        services.start(group)
        try:
            then()
            await services.wait(stop)
        finally:
            await services.stop()


async def test_they_start_in_order_and_stop_in_the_reverse_while_they_run() -> None:
    services, told, stop = Services(), list[str](), asyncio.Event()
    last = Part("door", told)
    services.add("database", Room(lambda: told.append("database closed")))
    services.add("sender", Part("sender", told))
    services.add("door", last)
    serving = asyncio.create_task(served(services, stop))
    await last.works.wait()
    stop.set()
    await serving
    assert told == [
        "sender runs", "door runs", "door stops", "door ended", "sender stops", "sender ended", "database closed",
    ]  # fmt: skip
    await services.stop()
    assert told[-1] == "database closed", "a second stop does nothing"


async def test_one_that_fails_is_seen_and_said_and_begins_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    services, told, stop = Services(), list[str](), asyncio.Event()
    part = Part("sender", told, RuntimeError("first"), RuntimeError("second"))
    services.add("the sender", part)
    seen = set()
    with caplog.at_level(logging.ERROR, "pondage.server"):
        serving = asyncio.create_task(served(services, stop))
        while not part.works.is_set():
            seen.update(services.faults.items())
            await asyncio.sleep(0)
    assert seen == {("the sender", "RuntimeError: first"), ("the sender", "RuntimeError: second")}
    assert services.faults == {} and len(caplog.records) == 2
    stop.set()
    await serving


async def test_one_with_which_the_server_ends_stops_the_others_in_order_and_its_failure_is_told() -> None:
    services, told = Services(), list[str]()
    services.add("database", Room(lambda: told.append("database closed")))
    services.add("sender", Part("sender", told))
    services.add("gateway", Part("gateway", told, OSError("no port")), ends_server=True)
    await served(services, asyncio.Event())
    assert str(services.failure) == "no port" and services.over
    assert told == [
        "sender runs", "gateway runs", "gateway stops", "sender stops", "sender ended", "database closed",
    ]  # fmt: skip


async def test_one_that_does_not_stop_in_order_keeps_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    services, told, stop = Services(), list[str](), asyncio.Event()

    def broken() -> None:
        raise RuntimeError("stuck")

    services.add("database", Room(lambda: told.append("database closed")))
    services.add("the runners", Room(broken))
    stop.set()
    with caplog.at_level(logging.ERROR, "pondage.server"):
        await served(services, stop)
    assert told == ["database closed"]
    assert [record.getMessage() for record in caplog.records] == ["the runners did not stop in order: stuck"]


async def test_rounds_go_on_after_one_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    services, stop, rounds = Services(), asyncio.Event(), 0

    async def once() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 4:
            stop.set()
        if rounds in {1, 2}:
            raise OSError("full")

    services.add("the sweep", Every(0, once, at_once=True))
    services.add("the rest", Work(asyncio.Event().wait))  # type: ignore[arg-type]  # it never returns
    with caplog.at_level(logging.ERROR, "pondage.server"):
        await served(services, stop)
    assert [record.getMessage() for record in caplog.records] == ["the sweep failed, and is tried again: full"]
    assert services.faults == {}
