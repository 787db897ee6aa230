"""A server in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from pondage.clock import Clock
from pondage.errors import PondageError
from pondage.queue.news import Listener
from pondage.server import Server
from pondage.settings import load
from pondage.wire.events import Log
from pondage.wire.states import OutcomeKind

T = TypeVar("T")

_START_LIMIT = 30.0
_STOP_LIMIT = 30.0
_LINES = 20
"""Lines of a runner's log that are shown of an app that does not start."""
log = logging.getLogger("pondage.testing")


class ServedApp:
    """A running server. `url` is its origin, `data` its data folder."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.url = server.url
        self.data = server.settings.data
        self._loop = loop

    def wait_ready(self, timeout: float = _START_LIMIT) -> None:
        """Wait until every app has a ready runner.

        Raises:
            PondageError: one cannot start, or needs too long; the message says why.
        """
        self.call(self._ready(timeout))

    async def _ready(self, timeout: float) -> None:
        fleet = self.server.fleet
        waiting = {name for name in fleet.app_names() if (app := fleet.app(name)) is not None and app.served}
        try:
            async with asyncio.timeout(timeout):
                while waiting:
                    for name in list(waiting):
                        app = fleet.app(name)
                        if app is not None and app.fault:
                            said = "\n".join(line.message for line in fleet.runner_log(name)[-_LINES:])
                            raise PondageError(f"{name} does not start: {app.fault}\n{said}".rstrip())
                        if app is not None and app.slots:
                            waiting.discard(name)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise PondageError(f"not ready after {timeout:g} s: {', '.join(sorted(waiting))}") from None

    def call(self, work: Coroutine[Any, Any, T], timeout: float = _STOP_LIMIT) -> T:
        """Run a coroutine on the server's loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def on_loop(self, function: Callable[[], T]) -> T:
        """Call a function on the server's loop."""

        async def run() -> T:
            return function()

        return self.call(run())


class _Failures(Listener):
    """Logs the traceback of every request that its app's own exception ended, so that it is in the test's failure:
    callers are told no more than 500."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    def ended(self, request_id: str) -> None:
        task = asyncio.get_running_loop().create_task(self._look(request_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, request_id: str) -> None:
        view = await self._server.queue.get(request_id)
        if view is None or view.outcome != OutcomeKind.ERROR:
            return
        events = await self._server.queue.events(request_id, limit=1000, kinds=frozenset({"log"}))
        logs = [event.entry.message for event in events if isinstance(event.entry, Log)]
        traces = [message for message in logs if "Traceback (most" in message]
        if traces:
            endpoint = view.app + ("" if view.path == "/" else view.path)
            log.error("%s failed in request %s:\n%s", endpoint, request_id, "\n".join(traces))


@contextlib.contextmanager
def serve(
    *targets: str, wait: bool = True, clock: Clock | None = None, data: str | None = None, **settings: Any
) -> Iterator[ServedApp]:
    """Serve apps on a free loopback port until the block ends. The traceback of a request that its app failed is logged
    by `pondage.testing`, so that pytest shows it with the failed test.

    Args:
        targets: what `pondage serve` takes: files or `package.module:Class`.
        wait: whether to wait for the runners first.
        clock: another clock than the system's.
        data: the data folder; by default one that is removed afterwards.
        settings: fields of `pondage.settings.Settings`; port 0 and a grace of 5 s unless given.

    Raises:
        PondageError: the server or an app does not start.
    """
    folder = data or tempfile.mkdtemp(prefix="pondage-test-")
    chosen, _ = load({"port": 0, "grace": 5.0, "data": folder, **settings}, environ={})
    box: dict[str, Any] = {}
    up = threading.Event()

    async def main() -> None:
        stop = box["stop"] = asyncio.Event()
        box["loop"] = asyncio.get_running_loop()
        try:
            server = box["server"] = await Server.open(chosen, list(targets), clock=clock)
            server.news.listen(_Failures(server))
            await server.run(stop, lambda _: up.set())
        except BaseException as error:
            box["error"] = error
        finally:
            up.set()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="pondage server", daemon=True)
    thread.start()
    try:
        if not up.wait(_START_LIMIT):
            raise PondageError(f"the server did not start within {_START_LIMIT:g} s")
        if "error" in box:
            raise box["error"]
        served = ServedApp(box["server"], box["loop"])
        if wait:
            served.wait_ready()
        yield served
    finally:
        if "loop" in box and "stop" in box and thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join(_STOP_LIMIT)
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)
        if thread.is_alive():
            raise PondageError(f"the server did not stop within {_STOP_LIMIT:g} s:\n{_stacks(box['loop'])}")
    if "error" in box:
        raise box["error"]


def _stacks(loop: asyncio.AbstractEventLoop) -> str:
    """Where every task of a server that hangs stands."""
    text = io.StringIO()
    for task in asyncio.all_tasks(loop):
        task.print_stack(file=text)
    return text.getvalue()
