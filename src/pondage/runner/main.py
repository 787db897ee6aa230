"""The child process: connect, load the app, execute until told to stop.

Exit codes: 0 drained, 2 wrong arguments, 3 the app does not start, 4 no gateway was left to work for.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from pondage.allocation import reuse_buffers
from pondage.app.app import App, ignored_attributes
from pondage.app.loading import LoadError, load, trace_of, where_of
from pondage.app.served import Endpoint, app_info, compile_endpoints
from pondage.clock import SystemClock
from pondage.loop import run_loop
from pondage.runner import capture
from pondage.runner.execute import Executor
from pondage.runner.files import FILE_FRAMES, Transfers
from pondage.runner.journal import Journal, Limits, Notebook
from pondage.runner.link import Link
from pondage.runner.outcomes import in_one_line
from pondage.runner.pulse import Pulse
from pondage.runner.session import SESSION_FRAMES
from pondage.wire import frames
from pondage.wire.frames import AppInfo, Frame, FromGateway, Hello, Ready, SetupFailed, Welcome

log = logging.getLogger("pondage.runner")

PATIENCE = 10.0
"""Seconds that the first connection may take."""

TERM_GRACE = 30.0
"""Seconds that running requests get when the process itself is told to end, and not by its gateway."""

OWN_LINE = 16 * 1024
"""Characters of a line of output that belongs to no request."""


class Arguments(msgspec.Struct, frozen=True):
    """What the command line said."""

    connect: str
    app: str
    name: str
    id: str
    note: Path | None
    token: str


class Runner:
    """The process from its first frame to its last."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._clock = SystemClock()
        self._loop = asyncio.get_running_loop()
        self._link = Link(
            arguments.connect.removeprefix("unix:"),
            arguments.note,
            self._clock,
            received=self._received,
            connected=self._connected,
            lost=self._lost,
        )
        self._journal = Journal(self._link, self._clock)
        self._own = Notebook(self._journal, Limits(OWN_LINE, sys.maxsize))
        self._welcomed: asyncio.Future[Welcome] = self._loop.create_future()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._info: AppInfo | None = None
        self._executor: Executor | None = None
        self._transfers: Transfers | None = None
        self._app: App | None = None
        self._draining = False
        self._reconnect_for = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Serve until drained or alone; returns the exit code."""
        if not await self._link.connect(PATIENCE):
            return 4
        begun: list[asyncio.Future[Any]] = [self._welcomed, self._ended]
        await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
        if not self._welcomed.done():
            return self._ended.result()  # the gateway died before it said anything
        welcome = self._welcomed.result()
        self._reconnect_for = welcome.reconnect
        capture.install(self._own)
        os.register_at_fork(after_in_child=self._link.forget)
        self._transfers = Transfers(self._link, welcome)
        self._loop.add_signal_handler(signal.SIGTERM, lambda: self._spawn(self._drain(TERM_GRACE)))
        pulse = Pulse(self._link, self._journal, welcome, self._clock, lambda: self._executor)
        pulse.start()
        self._spawn(self._set_up(welcome, self._transfers))
        code = await self._ended
        self._journal.flush()
        self._link.flush()
        # What still runs is cancelled with the loop; that is no outcome: the gateway puts those requests back.
        self._link.close()
        return code

    # ---- the link

    def _connected(self) -> tuple[list[Frame], list[Frame]]:
        held = self._executor.held() if self._executor else []
        a = self._arguments
        first: list[Frame] = [Hello(frames.VERSION, a.id, a.name, os.getpid(), a.token, held)]
        if self._info is not None and not self._draining:
            first.append(Ready(self._info))
        return first, self._executor.resend() if self._executor else []

    def _lost(self) -> None:
        if self._transfers is not None:
            self._transfers.gateway_lost()
        if self._executor is not None:
            self._executor.gateway_lost()
        if not self._ended.done():
            self._spawn(self._reconnect())

    async def _reconnect(self) -> None:
        if not await self._link.connect(self._reconnect_for) and not self._ended.done():
            self._ended.set_result(4)

    def _received(self, frame: FromGateway) -> None:
        executor = self._executor
        if isinstance(frame, frames.Execute) and executor is not None:
            executor.execute(frame)
        elif isinstance(frame, frames.Committed) and executor is not None:
            executor.committed(frame)
        elif isinstance(frame, frames.Cancel) and executor is not None:
            executor.cancel(frame)
        elif isinstance(frame, SESSION_FRAMES) and executor is not None:
            executor.session(frame)
        elif isinstance(frame, FILE_FRAMES) and self._transfers is not None:
            self._transfers.received(frame)
        elif isinstance(frame, Welcome):
            if not self._welcomed.done():
                self._welcomed.set_result(frame)
            if self._transfers is not None:
                self._transfers.gateway_met()
        elif isinstance(frame, frames.Drain):
            self._spawn(self._drain(frame.grace))

    # ---- the app's life

    async def _set_up(self, welcome: Welcome, transfers: Transfers) -> None:
        try:
            cls, endpoints = await asyncio.to_thread(self._load)
            app = self._app = cls()
            self._info = app_info(cls, self._arguments.name, endpoints)
            os.environ["FAL_RUNNER_STATE"] = "SETUP"
            await _call(app.setup)
        except LoadError as error:
            self._refuse(error.reason, error.where, error.trace)
            return
        except BaseException as error:
            self._info = None
            self._refuse(f"setup() failed: {in_one_line(error)}", where_of(error), trace_of(error))
            return
        os.environ["FAL_RUNNER_STATE"] = "RUNNING"
        if ignored := ignored_attributes(cls):
            self._own.log("INFO", f"{cls.__name__}: {', '.join(ignored)} mean nothing here and are ignored", "pondage")
        self._executor = Executor(
            app,
            self._arguments.name,
            endpoints,
            welcome,
            link=self._link,
            journal=self._journal,
            own=self._own,
            transfers=transfers,
            clock=self._clock,
        )
        self._link.send(Ready(self._info))

    def _load(self) -> tuple[type[App], dict[str, Endpoint]]:
        classes = load(self._arguments.app)
        if len(classes) > 1:
            raise LoadError(f"{self._arguments.app} holds several apps; a runner serves one, as file.py:Class")
        try:
            return classes[0], compile_endpoints(classes[0])
        except TypeError as error:
            place, _, text = str(error).partition(": ")
            known = place.rpartition(":")[2].isdigit()
            raise LoadError(text if known else str(error), place if known else "", trace_of(error)) from error

    def _refuse(self, reason: str, where: str, trace: str) -> None:
        self._journal.flush()
        self._link.send(SetupFailed(reason, where, trace))
        self._link.flush()
        if not self._ended.done():
            self._ended.set_result(3)

    async def _drain(self, grace: float) -> None:
        if self._draining:
            return
        self._draining = True
        os.environ["FAL_RUNNER_STATE"] = "TERMINATING"
        if self._app is not None and self._executor is not None:
            await self._quietly(self._app.handle_exit)
            try:
                await asyncio.wait_for(self._executor.idle(), grace)
            except TimeoutError:
                log.warning("requests were still running at the end of the grace period")
            await self._quietly(self._app.teardown)
        if not self._ended.done():
            self._ended.set_result(0)

    async def _quietly(self, hook: Any) -> None:
        try:
            await _call(hook)
        except BaseException as error:
            self._own.log("ERROR", trace_of(error), "pondage")

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _call(hook: Any) -> Any:
    """An author's hook: async ones on the loop, others in a thread."""
    if inspect.iscoroutinefunction(hook):
        return await hook()
    value = await asyncio.to_thread(hook)
    return await value if inspect.isawaitable(value) else value


def parse(argv: list[str]) -> Arguments | str:
    """The command line; a string is the target of `--list`."""
    parser = argparse.ArgumentParser(prog="python -m pondage.runner", description="A runner of one app.")
    parser.add_argument("--connect", help="unix:/path of a gateway's socket")
    parser.add_argument("--app", help="file.py:Class or package.module:Class")
    parser.add_argument("--name", help="owner/alias")
    parser.add_argument("--id", help="this runner's id")
    parser.add_argument("--note", type=Path, help="the file in which a restarted gateway notes its socket")
    parser.add_argument("--list", help="print the App classes of a target as JSON, and exit")
    given = parser.parse_args(argv)
    if given.list:
        return str(given.list)
    for name in ("connect", "app", "name", "id"):
        if getattr(given, name) is None:
            parser.error(f"--{name} is required")
    token = os.environ.pop("PONDAGE_RUNNER_TOKEN", "")
    return Arguments(given.connect, given.app, given.name, given.id, given.note, token)


def main(argv: list[str]) -> int:
    """Run the process; returns its exit code."""
    reuse_buffers()
    arguments = parse(argv)
    if isinstance(arguments, str):
        try:
            found = {cls.__name__: cls.app_name or "" for cls in load(arguments)}
        except LoadError as error:
            print(error, file=sys.stderr)
            return 3
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return 0

    async def serve() -> int:
        return await Runner(arguments).run()

    return run_loop(serve())
