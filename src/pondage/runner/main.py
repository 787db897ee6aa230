"""The child process: connect, load the app, execute until told to stop.

While requests are served our loop is in the main thread. The author's plain code (the module, `setup`, `teardown`) has
the main thread to itself, as in `python app.py` (see `mainthread`).

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
import threading
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from pondage.allocation import reuse_buffers
from pondage.app.app import App, ignored_attributes
from pondage.app.current import set_current_app
from pondage.app.loading import LoadError, as_script, load, trace_of, where_of
from pondage.app.served import Endpoint, app_info, compile_endpoints
from pondage.clock import SystemClock
from pondage.loop import new_loop
from pondage.runner import capture, forked
from pondage.runner.attempt import carried
from pondage.runner.descriptors import Descriptors, flush_c
from pondage.runner.ending import leave
from pondage.runner.execute import Executor
from pondage.runner.files import FILE_FRAMES, Transfers
from pondage.runner.journal import MAX_UNSENT, STUCK, Journal, Limits, Notebook
from pondage.runner.link import Link
from pondage.runner.listing import list_apps
from pondage.runner.mainthread import MainThread, patches_loops
from pondage.runner.pulse import Pulse
from pondage.runner.session import SESSION_FRAMES
from pondage.wire import frames
from pondage.wire.frames import AppInfo, Frame, FromGateway, Hello, Ready, SetupFailed, Welcome
from pondage.wire.text import in_one_line, text_of

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
    output: tuple[int, int] | None = None


class Runner:
    """The process from its first frame to its last."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._clock = SystemClock()
        self._main = MainThread(new_loop(), moved=self._moved, left=self._leave)
        self._link = Link(
            arguments.connect.removeprefix("unix:"),
            # Absolute, since an author's code may change the working folder.
            arguments.note and arguments.note.absolute(),
            self._clock,
            loop=self._main.loop,
            received=self._received,
            connected=self._connected,
            lost=self._lost,
        )
        self._journal = Journal(self._link, self._clock, self._main.loop)
        self._own = Notebook(self._journal, Limits(OWN_LINE, sys.maxsize))
        self._welcomed: asyncio.Future[Welcome] = self._main.loop.create_future()
        self._info: AppInfo | None = None
        self._executor: Executor | None = None
        self._transfers: Transfers | None = None
        self._pulse: Pulse | None = None
        self._descriptors: Descriptors | None = None
        self._app: App | None = None
        self._endpoints: dict[str, Endpoint] = {}
        self._setting_up: Any = None
        self._draining = False
        self._loop_thread = threading.get_ident()
        self._reconnect_for = 0.0

    def run(self) -> int:
        """Serve until drained or alone, in the main thread; returns the exit code."""
        main = self._main
        main.run(self._join())
        if self._welcomed.done():
            main.lend(self._set_up, another_loop=lambda: patches_loops(self._arguments.app))
            main.run(self._serve())
            if self._draining and self._executor is not None and self._app is not None:
                main.lend(partial(self._tear_down, self._app))
            self._flush()
            # What still runs is cancelled with the loop; that is no outcome: the gateway puts those requests back.
            self._link.fall_silent()
            if self._executor is not None:
                main.run(self._executor.let_go())
            main.wind_up()
        return main.ended or 0

    async def _join(self) -> None:
        """Reach a gateway and be welcomed; where that fails, there is no welcome."""
        if not await self._link.connect(PATIENCE):
            self._main.end(4)
            return
        over: asyncio.Future[Any] = asyncio.ensure_future(self._main.over())
        begun: list[asyncio.Future[Any]] = [self._welcomed, over]
        await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not self._welcomed.done():
            return  # the gateway died before it said anything
        welcome = self._welcomed.result()
        self._reconnect_for = welcome.reconnect
        capture.install(self._own)
        self._descriptors = Descriptors(self._arguments.output, whose=self._whose, room=self._room, send=self._send)
        os.register_at_fork(after_in_child=self._forked)
        self._transfers = Transfers(self._link, welcome)
        self._pulse = Pulse(self._link, self._journal, welcome, self._clock, lambda: self._executor)
        self._pulse.start()

    async def _serve(self) -> None:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # else the author's code means something by it
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGTERM, lambda: self._main.spawn(self._drain(TERM_GRACE))
            )
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # KeyboardInterrupt would come up wherever this thread is just then, in another request's function perhaps.
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGINT, log.warning, "SIGINT has no meaning here; SIGTERM ends a runner"
            )
        self._main.spawn(self._begin())
        await self._main.over()

    def _moved(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop_thread = threading.get_ident()
        self._journal.moved(loop)
        self._link.moved(loop)
        if self._pulse is not None:
            self._pulse.loop = loop

    def _forked(self) -> None:
        self._link.forget()
        forked.begin(self._main.loop if threading.get_ident() == self._loop_thread else None)

    def _leave(self, code: int) -> None:
        """The end has come while an author's code has the main thread: nobody waits for that any more."""
        self._flush()
        leave(code)

    def _whose(self) -> Notebook:
        """To whom belongs what child processes and C code print now: the request that is served alone, if one is."""
        running = list(self._executor.running.values()) if self._executor is not None else []
        return running[0].notes if len(running) == 1 else self._own

    def _room(self) -> None:
        self._link.wait_for_room(MAX_UNSENT, STUCK)

    def _send(self) -> None:
        self._journal.flush()
        self._link.flush()

    def _flush(self) -> None:
        if self._descriptors is not None:
            flush_c()
            self._descriptors.settle()
            self._own.end_lines()
        self._send()

    # ---- the link

    def _connected(self) -> tuple[list[Frame], list[Frame]]:
        held = self._executor.held() if self._executor else []
        a = self._arguments
        first: list[Frame] = [Hello(frames.VERSION, a.id, a.name, os.getpid(), a.token, held)]
        if self._info is not None and self._executor is not None and not self._draining:
            first.append(Ready(self._info))
        return first, self._executor.resend() if self._executor else []

    def _lost(self) -> None:
        if self._transfers is not None:
            self._transfers.gateway_lost()
        if self._executor is not None:
            self._executor.gateway_lost()
        if self._main.ended is None:
            self._main.spawn(self._reconnect())

    async def _reconnect(self) -> None:
        if not await self._link.connect(self._reconnect_for):
            self._main.end(4)

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
        elif isinstance(frame, frames.Credentials):
            os.environ["PONDAGE_KEY"] = frame.token
        elif isinstance(frame, Welcome):
            if not self._welcomed.done():
                self._welcomed.set_result(frame)
            if self._transfers is not None:
                self._transfers.gateway_met()
        elif isinstance(frame, frames.Drain):
            self._main.spawn(self._drain(frame.grace))

    # ---- the app's life

    def _set_up(self) -> None:
        """Import the app and call `setup()`, in the main thread; what of it is `async` is left for the loop."""
        try:
            as_script(self._arguments.app)
            cls, self._endpoints = self._load()
            app = cls()
            set_current_app(app)
            self._info = _checked(cls, app_info(cls, self._arguments.name, self._endpoints))
            os.environ["FAL_RUNNER_STATE"] = "SETUP"
            self._setting_up = None if inspect.iscoroutinefunction(app.setup) else app.setup()
        except BaseException as error:
            if forked.here:
                forked.end(error)
            self._refuse(error)
        else:
            if forked.here:
                forked.end(None)
            self._app = app

    async def _begin(self) -> None:
        """The rest of `setup()` where it is `async`, and then the word that requests may come."""
        app, info, transfers = self._app, self._info, self._transfers
        if app is None or info is None or transfers is None or self._descriptors is None:
            return
        try:
            if inspect.iscoroutinefunction(app.setup):
                await app.setup()
            elif inspect.isawaitable(self._setting_up):
                await self._setting_up
        except BaseException as error:
            self._refuse(error)
            return
        os.environ["FAL_RUNNER_STATE"] = "RUNNING"
        cls = type(app)
        if ignored := ignored_attributes(cls):
            self._own.log("INFO", f"{cls.__name__}: {', '.join(ignored)} mean nothing here and are ignored", "pondage")
        self._descriptors.settle()
        self._executor = Executor(
            app,
            self._arguments.name,
            self._endpoints,
            self._welcomed.result(),
            link=self._link,
            journal=self._journal,
            own=self._own,
            transfers=transfers,
            clock=self._clock,
            descriptors=self._descriptors,
        )
        self._link.send(Ready(info))

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

    def _refuse(self, error: BaseException) -> None:
        if isinstance(error, LoadError):
            failed = SetupFailed(text_of(error.reason), text_of(error.where), error.trace)
        else:
            failed = SetupFailed(f"setup() failed: {in_one_line(error)}", where_of(error), trace_of(error))
        if self._info is not None:
            failed.on_fault = self._info.on_fault
        self._app = self._info = None
        self._flush()
        self._link.send(failed)
        self._link.flush()
        self._main.end(3)

    async def _drain(self, grace: float) -> None:
        if self._draining:
            return
        self._draining = True
        os.environ["FAL_RUNNER_STATE"] = "TERMINATING"
        app = self._app
        if app is not None and self._executor is not None:
            await self._quietly(app.handle_exit)
            try:
                await asyncio.wait_for(self._executor.idle(), grace)
            except TimeoutError:
                log.warning("requests were still running at the end of the grace period")
            if inspect.iscoroutinefunction(app.teardown):
                await self._quietly(app.teardown)
        self._main.end(0)

    def _tear_down(self, app: App) -> None:
        """A plain `teardown()`, in the main thread."""
        if inspect.iscoroutinefunction(app.teardown):
            return
        try:
            value = app.teardown()
            if inspect.isawaitable(value):
                asyncio.run_coroutine_threadsafe(_awaited(value), self._main.loop).result()
        except BaseException as error:
            if forked.here:
                forked.end(error)
            self._own.log("ERROR", trace_of(error), "pondage")

    async def _quietly(self, hook: Any) -> None:
        try:
            if inspect.iscoroutinefunction(hook):
                await hook()
            elif inspect.isawaitable(value := await asyncio.to_thread(carried, hook)):
                await value
        except BaseException as error:
            self._own.log("ERROR", trace_of(error), "pondage")


def _checked(cls: type[App], info: AppInfo) -> AppInfo:
    """What the class declares, as the gateway will read it.

    Raises:
        LoadError: an attribute is not of its type.
    """
    try:
        return msgspec.msgpack.decode(msgspec.msgpack.encode(info), type=AppInfo)
    except Exception as error:
        raise LoadError(f"class {cls.__name__}: an attribute or an endpoint's declaration is wrong: {error}") from error


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def parse(argv: list[str]) -> Arguments | str:
    """The command line; a string is the target of `--list`."""
    parser = argparse.ArgumentParser(prog="python -m pondage.runner", description="A runner of one app.")
    parser.add_argument("--connect", help="unix:/path of a gateway's socket")
    parser.add_argument("--app", help="file.py:Class or package.module:Class")
    parser.add_argument("--name", help="owner/alias")
    parser.add_argument("--id", help="this runner's id")
    parser.add_argument("--note", type=Path, help="the file in which a restarted gateway notes its socket")
    parser.add_argument("--output", help="the descriptors that standard output and error are read from, as 5,6")
    parser.add_argument("--list", help="print the App classes of a target as JSON, and exit")
    given = parser.parse_args(argv)
    if given.list:
        return str(given.list)
    for name in ("connect", "app", "name", "id"):
        if getattr(given, name) is None:
            parser.error(f"--{name} is required")
    token = os.environ.pop("PONDAGE_RUNNER_TOKEN", "")
    output = None
    if given.output is not None:
        first, _, second = given.output.partition(",")
        output = int(first), int(second)
    return Arguments(given.connect, given.app, given.name, given.id, given.note, token, output)


def main(argv: list[str]) -> int:
    """Run the process; returns its exit code."""
    reuse_buffers()
    arguments = parse(argv)
    if isinstance(arguments, str):
        return list_apps(arguments)
    return Runner(arguments).run()
