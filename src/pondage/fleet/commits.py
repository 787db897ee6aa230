"""What was decided becomes durable: outcomes, log entries, requests that wait again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from functools import partial
from typing import Any

from pondage.errors import StorageFull, Unavailable
from pondage.fleet.fates import Fate
from pondage.fleet.runners import Runner
from pondage.queue.interface import NOTHING_SPENT, Completion, Queue, Spending
from pondage.steady import until_done
from pondage.wire.events import Outcome
from pondage.wire.frames import Committed, Entries

log = logging.getLogger("pondage.fleet")

REPEAT = 1.0
"""Seconds until a write that failed, for want of space say, is tried again."""


class Commits:
    """The writes under way. `stopping`: what cannot be written now is left to the next start."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._pending: set[asyncio.Future[Any]] = set()
        self.stopping = False

    def outcome(
        self,
        request_id: str,
        attempt: int,
        outcome: Outcome,
        runner: Runner | None = None,
        spent: Spending = NOTHING_SPENT,
    ) -> None:
        """Write the outcome, again and again while the disk is full, then let the runner forget it."""
        commit = self._queue.complete(request_id, attempt, outcome, spent)
        self._pending.add(commit)

        def committed(done: asyncio.Future[Completion]) -> None:
            self._pending.discard(commit)
            if done.cancelled():
                return
            if (error := done.exception()) is not None:
                if not isinstance(error, StorageFull):
                    trace = None if isinstance(error, Unavailable) else error
                    log.error("the outcome of %s cannot be committed: %s", request_id, error, exc_info=trace)
                if not self.stopping:
                    loop = asyncio.get_running_loop()
                    loop.call_later(REPEAT, self.outcome, request_id, attempt, outcome, runner, spent)
            elif runner is not None and runner.link is not None:
                runner.link.send_later(Committed(request_id, attempt, done=True))

        commit.add_done_callback(committed)

    def entries(self, frame: Entries) -> None:
        """Write log entries. Those for which there is no room are lost, and that is said."""
        append = self._queue.append(frame.request_id, frame.attempt, frame.entries)
        self._pending.add(append)

        def appended(done: asyncio.Future[bool]) -> None:
            self._pending.discard(append)
            if done.cancelled():
                return
            if (error := done.exception()) is not None:
                log.error("log entries of %s are not kept: %s", frame.request_id, error)

        append.add_done_callback(appended)

    async def put_back(self, fate: Fate) -> None:
        """Its request waits again.

        Where a stop comes first it still runs in the database, and the next start puts it back.
        """
        put_back = partial(
            self._queue.retry,
            fate.request_id,
            fate.attempt,
            reason=fate.reason,
            strike=fate.strike,
            alone=fate.alone,
            spent=fate.spent,
        )
        what = f"{fate.request_id} is not put back yet"
        await until_done(what, put_back, give_up=lambda: self.stopping, pause=REPEAT)

    def keep(self, work: Awaitable[object]) -> None:
        """Work that ends in a write: `settled` waits for it."""
        task = asyncio.ensure_future(work)
        self._pending.add(task)

        def ended(done: asyncio.Future[Any]) -> None:
            self._pending.discard(done)
            if not done.cancelled() and (error := done.exception()) is not None:
                log.error("dispatch: %s", error, exc_info=error)

        task.add_done_callback(ended)

    async def settled(self) -> None:
        """Wait until nothing is being written any more."""
        while self._pending:
            await asyncio.wait(self._pending)
