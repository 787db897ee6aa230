"""Ends what runners have started, wherever it went."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable

from pondage import processes

log = logging.getLogger("pondage.fleet")

_PATIENCE = 2.0
"""Seconds that the children of a runner which has ended may go on making more, or clean up after each other."""
_PAUSE = 0.02
"""Seconds between two looks at them."""
_BURY_INTERVAL = 2.0
"""Seconds between two looks for orphans that have ended."""


class Kin:
    """The processes that runners of this gateway have started.

    Args:
        runners: the pids of those runners that are our children.
        others: whether another runner than the named one lives.
        orphans: this process inherits what runners leave behind.
    """

    def __init__(self, runners: Callable[[], set[int]], others: Callable[[str], bool], *, orphans: bool) -> None:
        self._runners = runners
        self._others = others
        self._orphans = orphans
        self._burying: asyncio.Task[None] | None = None

    async def end(self, runner_id: str, leader: int | None = None) -> None:
        """End all that a runner has started; in rounds, since what is being ended may start more.

        Args:
            leader: the runner's pid, while that cannot be anybody else's.
        """
        try:
            if not await self._end(runner_id, leader):
                _end_group(leader)
        except OSError as error:
            log.error("what runner %s has started may live on: %s", runner_id, error)
            _end_group(leader)

    async def _end(self, runner_id: str, leader: int | None) -> bool:
        """False: there is no way to ask for processes."""
        until = time.monotonic() + _PATIENCE
        while True:
            found = await asyncio.to_thread(processes.survey)
            left = processes.kin(found, runner_id, leader)
            if self._orphans and not self._others(runner_id):
                # Without a mark, and in a session of its own: it can be this runner's only.
                left += [p for p in processes.orphans(found, self._runners()) if not p.zombie and p not in left]
            late = time.monotonic() >= until
            for process in left:
                # Those who clean up after others leave when the others have.
                if late or process.pid not in found.janitors:
                    processes.kill(process)
            if late or not left:
                return bool(found.processes)
            await asyncio.sleep(_PAUSE)

    def begin(self) -> None:
        """Reap orphans from now on, until `stop`."""
        if self._orphans and self._burying is None:
            self._burying = asyncio.get_running_loop().create_task(self._bury())

    async def stop(self) -> None:
        """Whatever is left belongs to nobody who lives, and ends."""
        if self._burying is not None:
            self._burying.cancel()
            self._burying = None
        if self._orphans:
            await self.end("")
            await self._reap()

    async def _bury(self) -> None:
        while True:
            await asyncio.sleep(_BURY_INTERVAL)
            # One cheap question first, so that an idle server does nothing else.
            if processes.has_dead_child():
                await self._reap()

    async def _reap(self) -> None:
        with contextlib.suppress(OSError):
            found = await asyncio.to_thread(processes.survey)
            for process in processes.orphans(found, self._runners()):
                processes.reap(process.pid)


def _end_group(leader: int | None) -> None:
    if leader is not None:
        with contextlib.suppress(OSError):
            os.killpg(leader, signal.SIGKILL)
