"""A server in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from pondage.clock import Clock
from pondage.errors import PondageError
from pondage.server import Server
from pondage.settings import load

T = TypeVar("T")

_START_LIMIT = 30.0
_STOP_LIMIT = 30.0


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
                            raise PondageError(f"{name} does not start: {app.fault}")
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


@contextlib.contextmanager
def serve(
    *targets: str, wait: bool = True, clock: Clock | None = None, data: str | None = None, **settings: Any
) -> Iterator[ServedApp]:
    """Serve apps on a free loopback port until the block ends.

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
