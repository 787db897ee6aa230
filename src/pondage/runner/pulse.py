"""The runner's pulse: a thread that beats whatever the loop does.

An author's `async` function that blocks (a model called without a thread) must cost neither the lease nor the logs nor
the ability to be cancelled. Twice per heartbeat the pulse sees whether the loop has moved. While it has not, it sends
what was written, reads the connection in the loop's stead, and interrupts the function that blocks when its request is
cancelled or out of time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable

from pondage.clock import Clock
from pondage.runner.attempt import Attempt
from pondage.runner.ending import leave
from pondage.runner.execute import Executor
from pondage.runner.journal import Journal
from pondage.runner.link import Link
from pondage.wire.frames import Cancel, Heartbeat, Welcome

log = logging.getLogger("pondage.runner")


class Pulse:
    """The thread. `executor()` is None until the app is ready."""

    def __init__(
        self, link: Link, journal: Journal, welcome: Welcome, clock: Clock, executor: Callable[[], Executor | None]
    ) -> None:
        self._link = link
        self._journal = journal
        self._welcome = welcome
        self._clock = clock
        self._executor = executor
        self.loop = asyncio.get_running_loop()
        self._moved = True
        self._alone_since = 0.0
        """Monotonic time since which the loop is blocked and there is no gateway; 0 if that is not so."""
        self._interrupted: dict[tuple[str, int], float] = {}

    def start(self) -> None:
        threading.Thread(target=self._beat, name="pondage-pulse", daemon=True).start()

    def _beat(self) -> None:
        never, ticks = threading.Event(), 0
        while not never.wait(self._welcome.heartbeat / 2):
            ticks += 1
            try:
                self._look(beat=ticks % 2 == 0)
            except Exception:  # a pulse that stops would cost the runner its lease, and all its requests
                log.exception("a look of the runner's pulse failed")

    def _look(self, *, beat: bool) -> None:
        executor = self._executor()
        moved, self._moved = self._moved, False
        try:
            self.loop.call_soon_threadsafe(self._move)
        except RuntimeError:
            pass  # that loop is closed: another takes its place, or the process ends
        if beat:
            self._link.send(Heartbeat(memory_used()))
            self._link.flush()
        if moved:
            self._interrupted.clear()
            self._alone_since = 0.0
        else:
            self._stand_in(executor)

    def _move(self) -> None:
        self._moved = True

    def _stand_in(self, executor: Executor | None) -> None:
        """Do for a blocked loop what cannot wait."""
        self._journal.flush()
        self._link.flush()
        now = self._clock.monotonic()
        if executor is None or not self._link.read():
            self._alone_since = self._alone_since or now
            if executor is not None and now - self._alone_since > self._welcome.reconnect:
                leave(4)  # the loop, which would look for another gateway, may be blocked for good
            return
        self._alone_since = 0.0
        asked = {(f.request_id, f.attempt): f.reason for f in self._link.peek() if isinstance(f, Cancel) and not f.soft}
        for key, attempt in list(executor.running.items()):
            deadline = attempt.context.deadline
            reason = asked.get(key) or ("request_timeout" if deadline is not None and now > deadline else "")
            if not reason and (not attempt.stopped or attempt.soft):
                continue
            if key not in self._interrupted:
                self._interrupted[key] = now
                if _blocks(attempt, self.loop):
                    attempt.interrupt(reason or attempt.stopped)
            elif now - self._interrupted[key] >= self._welcome.cancel_grace:
                self._interrupted[key] = float("inf")
                executor.poisoned(attempt)
                self._link.flush()


def _blocks(attempt: Attempt, loop: asyncio.AbstractEventLoop) -> bool:
    """Whether it is this attempt's own task that the loop is in."""
    return attempt.task is not None and asyncio.current_task(loop) is attempt.task


def memory_used() -> int:
    """Resident bytes of this process; 0 where the system does not say cheaply."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
