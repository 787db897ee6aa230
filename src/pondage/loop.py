"""The event loop of our processes: uvloop, where it is installed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger("pondage.runner")

T = TypeVar("T")


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop that is nobody's current one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.SelectorEventLoop()
    return uvloop.new_event_loop()


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a process's whole work and return what it returns, like `asyncio.run`."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def run_whatever_happens(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run a loop that serves an author's code until `work` is done, and return what that returns.

    The loop goes on when a task or a callback raises SystemExit or KeyboardInterrupt, which ends a loop, when somebody
    stops it, and when somebody cancels all tasks. Whoever awaits the task that raised gets its exception.
    """
    main = loop.create_task(work)
    apart(main)
    main.add_done_callback(lambda done: loop.stop())
    while not main.done():
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:
            log.warning("%s left a task and would have ended the process; it goes on", type(error).__name__)
    return main.result()


def apart(task: asyncio.Task[Any]) -> None:
    """Keep a task of our own out of `asyncio.all_tasks()`: what an author's code cancels there is not for it."""
    asyncio._unregister_task(task)


def wind_up(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on a loop, as `asyncio.run` does, so that its `finally` blocks run."""

    async def cancel() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await loop.shutdown_asyncgens()

    run_whatever_happens(loop, cancel())
