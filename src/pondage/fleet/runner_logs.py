"""What runners say that belongs to no request: the newest lines of each app, in memory, for `pondage runners logs`.

A request's own lines are in its log, on disk. These are for whoever asks why a model does not load, or why a process
ended; they need not outlive the gateway.
"""

from __future__ import annotations

import logging
from collections import deque

from pondage.clock import Clock
from pondage.fleet.interface import RunnerLine
from pondage.wire.events import Entry, Level, Log

log = logging.getLogger("pondage.runners")


class RunnerLogs:
    """The newest `most` lines of each app."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._lines: dict[str, deque[RunnerLine]] = {}

    def runner_log(self, app: str, runner: str, entries: list[Entry]) -> None:
        """A runner has printed or logged something outside of every request."""
        for entry in entries:
            if isinstance(entry, Log):
                log.info("%s %s: %s", app, runner, entry.message)
                self._keep(app, RunnerLine(entry.at, app, runner, entry.level, entry.message))

    def note(self, app: str, runner: str, level: Level, message: str) -> None:
        """The gateway's own word about a runner: that it is ready, why it did not start, how it ended."""
        self._keep(app, RunnerLine(self._clock.wall(), app, runner, level, message))

    def lines(self, app: str) -> list[RunnerLine]:
        """The lines of an app, oldest first."""
        return list(self._lines.get(app, ()))

    def _keep(self, app: str, line: RunnerLine) -> None:
        self._lines.setdefault(app, deque(maxlen=self._most)).append(line)
