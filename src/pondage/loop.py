"""The event loop of our processes: uvloop, where it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop that is nobody's current one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.SelectorEventLoop()
    return uvloop.new_event_loop()


def wind_up(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on a loop, as `asyncio.run` does, so that its `finally` blocks run."""

    async def cancel() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    loop.run_until_complete(cancel())
    loop.run_until_complete(loop.shutdown_asyncgens())


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a process's whole work and return what it returns, like `asyncio.run`."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)
