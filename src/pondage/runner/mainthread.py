"""Who has the main thread: our loop, or an author's plain code with no loop around it.

Signal handlers can be set in the main thread only, and `asyncio.run` wants no other loop in its thread; so a plain
`setup()` gets the main thread for itself, while a second thread runs our loop and keeps the gateway answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pondage.loop import apart, run_whatever_happens, wind_up

_PATCHER = "nest_asyncio"
"""The library that makes loops re-entrant; it takes asyncio's own kind of loop only."""


class MainThread:
    """The loop, wherever it runs, and the end of the process.

    Args:
        moved: called in the thread that runs the loop from now on, before it does.
        left: called in the second thread when the end comes while an author's code has the main one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        moved: Callable[[asyncio.AbstractEventLoop], None],
        left: Callable[[int], None],
    ) -> None:
        self.loop = loop
        self.ended: int | None = None
        """The exit code, once it is decided."""
        self._moved = moved
        self._left = left
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def end(self, code: int) -> None:
        """Decide the exit code; the first one counts. From the main thread or the loop's."""
        if self.ended is None:
            self.ended = code
        self.loop.call_soon_threadsafe(self._over.set)

    async def over(self) -> None:
        """Until the exit code is decided."""
        if self.ended is None:
            await self._over.wait()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the rest; on the loop only."""
        task = self.loop.create_task(work)
        apart(task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the loop in this thread until `work` is done."""
        run_whatever_happens(self.loop, work)

    def wind_up(self) -> None:
        """Cancel what is left on the loop, at the very end."""
        for task in self._tasks:
            task.cancel()
        wind_up(self.loop)

    def lend(self, work: Callable[[], None], another_loop: Callable[[], bool] = lambda: False) -> None:
        """Do an author's plain `work` in this thread, outside of every loop.

        Args:
            another_loop: whether, after it, our loop must be one of asyncio's own kind.
        """
        handed_back: asyncio.Future[bool] = self.loop.create_future()
        tending = threading.Thread(target=self._tend, args=(handed_back,), name="pondage-loop", daemon=True)
        tending.start()
        changes = False
        try:
            work()
            changes = not isinstance(self.loop, asyncio.BaseEventLoop) and another_loop()
        finally:
            self.loop.call_soon_threadsafe(handed_back.set_result, changes)
            tending.join()
            if changes:
                self.loop = asyncio.SelectorEventLoop()
                self._over = asyncio.Event()
            self._moved(self.loop)

    def _tend(self, handed_back: asyncio.Future[bool]) -> None:
        self._moved(self.loop)
        run_whatever_happens(self.loop, self._until(handed_back, decided=self.ended is not None))

    async def _until(self, handed_back: asyncio.Future[bool], *, decided: bool) -> None:
        if not decided:
            over = asyncio.ensure_future(self.over())
            await asyncio.wait(_any(handed_back, over), return_when=asyncio.FIRST_COMPLETED)
            if not handed_back.done() and self.ended is not None:
                self._left(self.ended)
            over.cancel()
        if await handed_back:
            # Another loop follows: what is under way on this one, such as a search for a gateway, ends first.
            while self._tasks:
                await asyncio.wait(self._tasks)


def _any(*waiting: asyncio.Future[Any]) -> list[asyncio.Future[Any]]:
    return list(waiting)


def patches_loops(target: str) -> bool:
    """Whether an app uses nest_asyncio: it is imported already, or its own file names it."""
    if _PATCHER in sys.modules:
        return True
    with contextlib.suppress(OSError):
        return _PATCHER.encode() in Path(target.partition(":")[0]).read_bytes()
    return False
