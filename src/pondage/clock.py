"""Time, injected. Rooms never call `time` themselves, so that a test and the crash test can move it.

Wall time is for people, retention and scheduled starts; monotonic time is for leases and waits.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def wall(self) -> float:
        """Seconds since 1970, UTC. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment. Never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class SteadyWall:
    """Wall time for what cannot be undone: what is deleted by its age.

    It goes on with the monotonic clock and never jumps ahead with the wall clock: one that was set forward by a week
    must not delete a week's results. Where it is behind, it catches up at twice the pace; deleting late does no harm.

    Args:
        since: a wall time at which the world is known to have been, such as that of the newest row; now, if none is.
    """

    CATCH_UP = 2.0

    def __init__(self, clock: Clock, since: float | None = None) -> None:
        self._clock = clock
        self._at = clock.monotonic()
        self._now = clock.wall() if since is None else min(since, clock.wall())

    def now(self) -> float:
        """Seconds since 1970, never more than the wall clock says."""
        at = self._clock.monotonic()
        self._now = min(self._clock.wall(), self._now + (at - self._at) * self.CATCH_UP)
        self._at = at
        return self._now


class ManualClock:
    """A clock that a test moves by hand; `jump` moves wall time only, as an administrator does."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._wall = wall
        self._monotonic = 0.0

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._wall += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        self._wall += seconds


def iso(seconds: float) -> str:
    """`seconds` since 1970 as ISO 8601 in UTC with `+00:00` (older Pythons cannot read `Z`)."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
