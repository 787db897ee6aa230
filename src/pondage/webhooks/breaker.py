"""How much may be sent to one host just now: an allowance that grows with success, and a circuit breaker. Pure."""

from __future__ import annotations

from pondage.settings import Settings


class Breaker:
    """One host's record. Times are monotonic seconds.

    Closed: `allowance` tries at once, from 1, doubled by each success up to `webhook_per_host`, halved by each failure.
    After `webhook_breaker` failures in a row it opens: nothing is sent for `webhook_breaker_pause`, then one try. That
    one closes it, or opens it again.
    """

    __slots__ = ("_most", "_pause", "_slow_after", "_threshold", "allowance", "failures", "open_until", "slow")

    def __init__(self, settings: Settings) -> None:
        self._most = settings.webhook_per_host
        self._threshold = settings.webhook_breaker
        self._pause = settings.webhook_breaker_pause
        self._slow_after = settings.webhook_slow
        self.allowance = 1
        self.failures = 0
        self.open_until: float | None = None
        self.slow = False
        """The last try failed or took long: such hosts share a part of the concurrency, so that others never wait."""

    def room(self, under_way: int, now: float) -> int:
        """How many more tries may begin."""
        if self.open_until is not None and now < self.open_until:
            return 0
        return max(0, (1 if self.open_until is not None else self.allowance) - under_way)

    def succeeded(self, duration: float) -> str:
        """Take note of a success; returns a note for the log of tries, empty where there is nothing to say."""
        note = "" if self.open_until is None else f"the host answers again after {self.failures} failures in a row"
        self.failures = 0
        self.open_until = None
        self.allowance = min(self._most, self.allowance * 2)
        self.slow = duration > self._slow_after
        return note

    def failed(self, now: float) -> str:
        """Take note of a failure; returns a note for the log of tries, empty where there is nothing to say."""
        self.failures += 1
        self.allowance = max(1, self.allowance // 2)
        self.slow = True
        if self.failures < self._threshold:
            return ""
        self.open_until = now + self._pause
        return f"{self.failures} failures in a row: the host is left alone for {self._pause:g} s"
