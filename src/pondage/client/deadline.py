"""A caller's time limit for one call with everything that belongs to it."""

from __future__ import annotations

from pondage.client.errors import TimeoutError
from pondage.clock import Clock


class Deadline:
    """`seconds` from now on; None for no limit."""

    def __init__(self, seconds: float | None, clock: Clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = None if seconds is None else clock.monotonic() + seconds

    def remaining(self) -> float | None:
        """Seconds left, not below 0; None for no limit."""
        return None if self._end is None else max(0.0, self._end - self._clock.monotonic())

    def bound(self, seconds: float | None) -> float | None:
        """`seconds`, or what is left if that is less."""
        remaining = self.remaining()
        if remaining is None:
            return seconds
        return remaining if seconds is None else min(seconds, remaining)

    @property
    def over(self) -> bool:
        return self._end is not None and self._clock.monotonic() >= self._end

    def check(self, request_id: str | None = None) -> None:
        """Raise if it is over.

        Raises:
            TimeoutError: it is.
        """
        if self.over:
            raise TimeoutError(self.seconds or 0.0, request_id)
