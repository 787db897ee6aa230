"""One task for each app that offers its free slots to the queue, and places what the queue gives for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pondage.fleet.accounts import Accounts
from pondage.fleet.commits import REPEAT
from pondage.queue.interface import Claim, Queue
from pondage.steady import complain

log = logging.getLogger("pondage.fleet")

MOST_CLAIMS = 256
"""Slots that one claim asks for."""


class Pump:
    """`place` is given each claim."""

    def __init__(self, queue: Queue, accounts: Accounts, place: Callable[[Claim], None]) -> None:
        self._queue = queue
        self._accounts = accounts
        self._place = place
        self._wanted: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.stopping = False

    def wake(self, app: str) -> None:
        """See whether somebody waits for the free slots of `app`."""
        if self.stopping:
            return
        task = self._tasks.get(app)
        if task is None or task.done():
            if task is not None and not task.cancelled() and (error := task.exception()) is not None:
                log.error("%s: its pump had ended and is started again: %s", app, error, exc_info=error)
            self._wanted[app] = asyncio.Event()
            self._tasks[app] = asyncio.get_running_loop().create_task(self._run(app), name=f"pump {app}")
        self._wanted[app].set()

    def wake_if_waiting(self, app: str) -> None:
        """The same where somebody is known to wait."""
        line = self._queue.lines.get(app)
        if line is not None and line.queued:
            self.wake(app)

    async def _run(self, app: str) -> None:
        wanted = self._wanted[app]
        said = ""
        while True:
            await wanted.wait()
            wanted.clear()
            while slots := self._accounts.offer(app, MOST_CLAIMS):
                try:
                    claims = await self._claim(app, slots)
                except Exception as error:
                    said = complain(f"{app}: nothing can be claimed, and it is tried again", error, said)
                    await asyncio.sleep(REPEAT)
                    wanted.set()
                    break
                said = ""
                for claim in claims:
                    self._place(claim)
                if len(claims) < len(slots):
                    break  # nobody else waits, as far as is known

    async def _claim(self, app: str, slots: list[str]) -> list[Claim]:
        try:
            return await self._queue.claim(app, slots)
        finally:
            self._accounts.answered(app, slots)

    async def stop(self) -> None:
        """Claim nothing more."""
        self.stopping = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
