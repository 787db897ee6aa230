"""Work that must not end unnoticed: what fails is logged, once for each new reason, and done again.

A background task that ends with an exception leaves something deaf behind it: requests that nobody claims, an end that
nobody hears of. So every such task of the server runs through one of these.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from pondage.errors import PondageError

T = TypeVar("T")

PAUSE = 1.0
"""Seconds until work that failed is done again."""

log = logging.getLogger("pondage.server")


async def until_done(
    what: str, work: Callable[[], Awaitable[T]], *, give_up: Callable[[], bool] = lambda: False, pause: float = PAUSE
) -> T:
    """Do `work` until it succeeds, and return what it returns.

    Args:
        what: names the work in the log.
        give_up: asked after each failure; True ends it.
        pause: seconds between two tries.

    Raises:
        Exception: the last failure, where `give_up()` said so.
    """
    said = ""
    while True:
        try:
            return await work()
        except Exception as error:
            if give_up():
                raise
            said = complain(f"{what}, and it is tried again", error, said)
            await asyncio.sleep(pause)


def complain(what: str, error: BaseException, said: str = "") -> str:
    """Log a failure unless it is the one that was `said` last; returns what is said now."""
    text = f"{type(error).__name__}: {error}"
    if text != said:
        log.error("%s: %s", what, error, exc_info=None if isinstance(error, PondageError) else error)
    return text


class Tasks:
    """Tasks that nobody awaits: kept until they have ended, and heard when they fail."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, what: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work`, which `what` names in the log should it fail."""
        task = asyncio.get_running_loop().create_task(work, name=what)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            complain(f"{task.get_name()} failed", error)
