"""The servers under test, each started as its user would start it, in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import HOST, Ask, WrongAnswer, additions, ask, press
from benchmarks.peers.environments import python_of
from benchmarks.processes import Processes, free_port

HERE = Path(__file__).parent
ROOT = HERE.parent
START_LIMIT = 60.0
"""Seconds that a server has until it answers."""


class Running(NamedTuple):
    """A server that was started.

    Attributes:
        work: the path that takes the workload.
        asks: the requests of the workload, from that path.
    """

    name: str
    port: int
    processes: Processes
    work: str
    asks: Callable[[str], list[Ask]] = additions


@contextlib.contextmanager
def pondage(
    scratch: Path,
    app: str = "noop.py",
    *,
    env: Mapping[str, str] = {},
    name: str = "pondage",
    settings: tuple[str, ...] = (),
    command: Path | None = None,
) -> Iterator[Running]:
    """`pondage serve benchmarks/apps/APP`. What it prints goes to a file, as under any service manager.

    Args:
        command: the `pondage` of another environment than this one.
    """
    folder = scratch / name
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder / "log", folder)
    port = free_port()
    called = [str(command or Path(sys.executable).with_name("pondage")), "serve", str(HERE / "apps" / app)]
    called += ["--port", str(port), "--data", str(folder / "data")]
    for setting in settings:
        called += ["--set", setting]
    processes.start(called, env)
    try:
        yield Running("Pondage", port, processes, "/bench/noop")
    finally:
        processes.stop()


def uvicorn_command(python: str, app: str, port: int, *more: str) -> list[str]:
    """uvicorn as `uvicorn[standard]` starts, with uvloop and httptools, without its access log."""
    quiet = ["--no-access-log", "--log-level", "warning"]
    return [
        python,
        "-m",
        "uvicorn",
        app,
        "--host",
        HOST,
        "--port",
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        *quiet,
        *more,
    ]


@contextlib.contextmanager
def fastapi(scratch: Path) -> Iterator[Running]:
    """FastAPI behind uvicorn, in its own environment: the plain choice, no queue.

    Raises:
        Missing: it cannot be had here.
    """
    yield from _uvicorn("FastAPI", scratch, python_of("fastapi"), "fastapi_app:app", "/run")


@contextlib.contextmanager
def raw_asgi(scratch: Path) -> Iterator[Running]:
    """A bare ASGI callable behind uvicorn, in our environment, whose database is in `scratch`."""
    env = {"RAW_FOLDER": str(scratch)}
    yield from _uvicorn("raw ASGI", scratch, sys.executable, "raw:app", "/bench/noop", env)


def _uvicorn(
    name: str, scratch: Path, python: str, app: str, work: str, env: Mapping[str, str] = {}
) -> Iterator[Running]:
    folder = scratch / name.replace(" ", "-").lower()
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder / "log", HERE / "apps")
    port = free_port()
    processes.start(uvicorn_command(python, app, port), env)
    try:
        yield Running(name, port, processes, work)
    finally:
        processes.stop()


async def until(
    ready: Callable[[], Awaitable[bool]], processes: Processes, limit: float = START_LIMIT, pause: float = 0.005
) -> None:
    """Wait until a server is as it should be.

    Raises:
        RuntimeError: it has ended.
        TimeoutError: it is not after `limit` seconds.
    """
    end = time.monotonic() + limit
    last = "it is not ready"
    while True:
        try:
            async with asyncio.timeout(max(end - time.monotonic(), 0.0)):
                if await ready():
                    return
        except (OSError, ValueError, WrongAnswer) as error:
            last = str(error) or type(error).__name__
        processes.check()
        if time.monotonic() > end:
            raise TimeoutError(f"not ready after {limit:g} s: {last}; its log is {processes.log}")
        await asyncio.sleep(pause)


async def answers(running: Running) -> None:
    """Wait for the first right answer to the workload."""

    async def answered() -> bool:
        await press(running.port, running.asks(running.work)[:1], callers=1, seconds=START_LIMIT, most=1)
        return True

    await until(answered, running.processes)


async def ready(running: Running) -> None:
    """Wait until every app of a Pondage server has a runner."""

    async def asked() -> bool:
        return (await ask(running.port, "GET", "/readyz")).status == 200

    await until(asked, running.processes)


async def drained(running: Running) -> None:
    """Wait until nothing that was submitted waits any more: requests of one app run in order."""
    wait = "Prefer: wait=300"
    answer = await ask(running.port, "POST", "/queue" + running.work, {"x": 41, "pad": ""}, wait)
    if answer.json() != {"y": 42}:
        raise TimeoutError(f"the queue did not drain: {answer.body[:200]!r}")
