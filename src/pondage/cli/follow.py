"""A request as it happens: place in the queue, progress, log lines, the end. One bar that is redrawn, or lines."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from pondage.cli.terminal import Terminal, bar, duration, short

if TYPE_CHECKING:
    from pondage.client import Completed, Queued, Status
    from pondage.client.statuses import Expected, Progress

STILL_WAITING = 15.0
"""Where nothing is redrawn, a line says so after so many seconds without news."""
_FRAME = 0.2


class Follower:
    """Shows statuses. Used as a context manager, so that the bar is gone when the result is printed."""

    def __init__(self, terminal: Terminal, request_id: str) -> None:
        self._terminal = terminal
        self._id = short(request_id)
        self._began = time.monotonic()
        self._started: float | None = None
        self._position: int | None = None
        self._fault: str | None = None
        self._told = False
        self.error: str | None = None
        """What the request said of its failure, once it has ended badly."""
        self._shown: Progress | None = None
        self._line = ""
        self._drawn = False
        self._news = self._began
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="pondage bar", daemon=True)

    def __enter__(self) -> Follower:
        if not self._terminal.json and self._terminal.level >= 0:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with self._lock:
            self._wipe()

    def show(self, status: Status) -> None:
        """What has changed since the last status."""
        from pondage.client.statuses import Completed, InProgress, Queued

        if isinstance(status, Completed):
            self.error = status.error
        if self._terminal.json:
            return
        with self._lock:
            self._news = time.monotonic()
            if isinstance(status, Queued):
                self._queued(status)
            elif isinstance(status, InProgress | Completed):
                if self._started is None:
                    self._started = time.monotonic()
                    soon = _expected(status.expected) if isinstance(status, InProgress) else ""
                    self._print(f"{self._id}  started{soon}")
                for entry in status.new_logs:
                    self._print("  │ " + str(entry.get("message", "")).replace("\n", "\n  │ "))
                # The last step may come with the end itself.
                if status.progress is not None and status.progress != self._shown:
                    self._shown = status.progress
                    self._progress(status.progress.step, status.progress.total, status.progress.message)
                if isinstance(status, Completed):
                    self._done(status)

    def _queued(self, status: Queued) -> None:
        if status.fault and status.fault != self._fault:
            self._print(f"{self._id}  waiting: {status.fault}")
        self._fault = status.fault
        position = status.position
        if position == self._position:
            return
        self._position = position
        place = "next" if position == 0 else f"{position} ahead"
        hint = "" if self._told else "          ^C leaves it running"
        self._told = True
        self._print(f"{self._id}  queued: {place}{_expected(status.expected)}{hint}")

    def _progress(self, step: float, total: float | None, message: str) -> None:
        self._line = f"{self._id}  {bar(step / total)} {step:g}/{total:g}" if total else f"{self._id}  step {step:g}"
        self._line += f"  {message}" if message else ""
        if not self._terminal.redraws:
            self._print(self._line)
        self._draw()

    def _done(self, status: Completed) -> None:
        self._line = ""
        now = time.monotonic()
        started = self._started or now
        outcome, style = ("error", "red") if status.error else ("ok", "green")
        if status.error_type == "client_cancelled":
            outcome, style = "cancelled", "yellow"
        ran = status.metrics.get("inference_time")
        run = ran if isinstance(ran, int | float) else now - started
        times = f"wait {duration(started - self._began)}  run {duration(run)}"
        self._print(f"{self._id}  {self._terminal.paint(outcome, style)}   {times}")

    def _print(self, text: str) -> None:
        """A line that stays, above the bar."""
        self._wipe()
        self._terminal.say(text)
        self._draw()

    def _draw(self) -> None:
        if self._terminal.redraws and self._line:
            ran = duration(time.monotonic() - (self._started or self._began))
            self._terminal.redraw(f"{self._line}  {ran}")
            self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            self._terminal.redraw("")
            self._drawn = False

    def _tick(self) -> None:
        """Keeps the time in the bar going; without a bar, says now and then that all is well."""
        while not self._ended.wait(_FRAME):
            with self._lock:
                if self._terminal.redraws:
                    self._draw()
                elif time.monotonic() - self._news >= STILL_WAITING:
                    self._news = time.monotonic()
                    waited = duration(self._news - self._began)
                    self._terminal.say(f"{self._id}  still waiting, {waited} so far")


def _expected(expected: Expected | None) -> str:
    """When it starts and ends, as one clause; nothing where nobody can tell."""
    if expected is None:
        return ""
    start, end = expected.start, expected.end
    begins = f"starts in {duration(start.p50)} to {duration(start.p90)}, " if start and start.p90 >= 0.5 else ""
    return f", {begins}done in {duration(end.p50)} to {duration(end.p90)}"
