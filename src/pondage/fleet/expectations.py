"""When a request will start and end, as far as its app's history tells. Pure: no clock, no I/O.

Three things are learnt of each app, and forgotten slowly: how long a run takes at each endpoint, as a line over its
cost (`RunModel`); how far what happened was from what was said (`Spread`); and how often the 90 % were kept
(`Calibration`), by which the next one is widened or narrowed. So the p90 holds for about nine of ten also where an app
behaves like no model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MEMORY = 200
"""About how many requests an app's history weighs."""
LEAST = 5
"""Runs at an endpoint from which on something is expected of the next."""
MOST_SECONDS = 10 * 86_400.0
"""Nothing is expected to take longer."""
MOST_COST = 1e12
"""Nothing costs more."""
HALF, MOST = 0.5, 0.9
"""The two shares that are told: half of all requests, and nine of ten."""

_DECAY = 1 - 1 / MEMORY
_LEARNING = 0.02
"""How far one request that came later than said moves the share that is asked for next."""


class Span(NamedTuple):
    """Seconds from now within which half of such requests, and nine of ten, are done."""

    p50: float
    p90: float


class Expected(NamedTuple):
    """When a request starts and ends. `run` is how many seconds its function is expected to take, `wait` how many it
    waits before that: the middle, before any spread."""

    start: Span
    end: Span
    run: float
    wait: float = 0.0


class RunModel:
    """Seconds of a run as a line over the cost of its input, by weighted least squares."""

    __slots__ = ("_n", "_x", "_xx", "_xy", "_y", "seen")

    def __init__(self) -> None:
        self.seen = 0
        self._n = self._x = self._y = self._xx = self._xy = 0.0

    def learn(self, cost: float, seconds: float) -> None:
        """A run of this cost took so long."""
        self.seen += 1
        self._n = self._n * _DECAY + 1
        self._x = self._x * _DECAY + cost
        self._y = self._y * _DECAY + seconds
        self._xx = self._xx * _DECAY + cost * cost
        self._xy = self._xy * _DECAY + cost * seconds

    def seconds(self, cost: float) -> float | None:
        """What a run of this cost is expected to take; None without history."""
        if self.seen < LEAST:
            return None
        mean_x, mean_y = self._x / self._n, self._y / self._n
        spread = self._xx / self._n - mean_x * mean_x
        slope = 0.0
        if spread > 1e-9 * max(mean_x * mean_x, 1e-12):
            slope = max((self._xy / self._n - mean_x * mean_y) / spread, 0.0)
        if mean_y - slope * mean_x < 0:
            # A line through the origin: nothing costs less than nothing.
            slope, mean_x, mean_y = mean_y / mean_x, 0.0, 0.0
        return min(max(mean_y + slope * (cost - mean_x), 0.0), MOST_SECONDS)


class Spread:
    """How far what happened was from what was expected: a histogram of their ratio, which forgets."""

    _STEPS = 8
    """Parts of an octave that are told apart."""

    def __init__(self) -> None:
        self._counts: dict[int, float] = {}
        self._all = 0.0
        self._weight = 1.0

    def learn(self, ratio: float) -> None:
        """Something took `ratio` times as long as expected."""
        at = round(math.log2(min(max(ratio, 1e-3), 1e3)) * self._STEPS)
        self._counts[at] = self._counts.get(at, 0.0) + self._weight
        self._all += self._weight
        # Newer ones weigh more, instead of older ones less; all are scaled down before the numbers grow large.
        self._weight /= _DECAY
        if self._weight > 1e9:
            self._counts = {at: n / self._weight for at, n in self._counts.items() if n / self._weight > 1e-6}
            self._all = sum(self._counts.values())
            self._weight = 1.0

    def ratio(self, share: float) -> float:
        """How many times the expectation this share stays within. Without history a guess that is wide."""
        left = self._all * min(max(share, 0.0), 1.0)
        if self._all < LEAST * self._weight * _DECAY**LEAST:
            return 1.0 if share <= HALF else 2.0
        found = 0
        for found in sorted(self._counts):
            left -= self._counts[found]
            if left <= 0:
                break
        return float(2 ** (found / self._STEPS))


class Calibration:
    """How often a share was kept, and the share that is asked for next so that it will be."""

    def __init__(self, share: float) -> None:
        self._wanted = share
        self.asked = share
        self.told = 0
        self.kept = 0

    def learn(self, kept: bool) -> None:
        """A request ended within its span, or later."""
        self.told += 1
        self.kept += kept
        # Over many requests the steps up and down are equal only where the share is kept as often as is wanted.
        self.asked += _LEARNING * ((not kept) - (1 - self._wanted))
        self.asked = min(max(self.asked, self._wanted / 2), 0.999)


class Load(NamedTuple):
    """What an app has to do now. `ahead` is seconds of running that wait before a request, `running` the expected
    seconds that each running one has left, `slots` how many may run at once (those that set up too), `starting` the
    seconds until the first slot is there (0: it is)."""

    ahead: float
    running: Sequence[float]
    slots: int
    starting: float = 0.0


class AppHistory:
    """What is known of one app."""

    def __init__(self) -> None:
        self._runs: dict[str, RunModel] = {}
        self._direct, self._queued = Spread(), Spread()
        """Of requests that found a free slot, and of those that had to wait."""
        self.half, self.most = Calibration(HALF), Calibration(MOST)

    def ran(self, path: str, cost: float, seconds: float) -> None:
        """A run at an endpoint took so long."""
        self._runs.setdefault(path, RunModel()).learn(cost, seconds)

    def seconds(self, path: str, cost: float) -> float | None:
        """What a run at this endpoint is expected to take; None without history."""
        model = self._runs.get(path)
        return None if model is None else model.seconds(cost)

    def expect(self, path: str, cost: float, load: Load) -> Expected | None:
        """When a request that waits behind `load` starts and ends; None where its run has no history."""
        run = self.seconds(path, cost)
        if run is None:
            return None
        return self._spread(waiting(load), run)

    def expect_rest(self, path: str, cost: float, elapsed: float) -> Span | None:
        """When a request ends that has run for `elapsed` seconds; None where its run has no history."""
        run = self.seconds(path, cost)
        if run is None:
            return None
        end = self._spread(0.0, run).end
        # One that has run for longer than nine of ten is expected to need a tenth of that again.
        late = max(elapsed / 10, 0.0)
        return Span(max(end.p50 - elapsed, late), max(end.p90 - elapsed, late))

    def came(self, said: Expected, seconds: float) -> None:
        """A request ended `seconds` after it was said to end within `said.end`."""
        spread = self._queued if said.wait > 0 else self._direct
        spread.learn(seconds / max(said.wait + said.run, 1e-6))
        self.half.learn(seconds <= said.end.p50)
        self.most.learn(seconds <= said.end.p90)

    def _spread(self, wait: float, run: float) -> Expected:
        spread = self._queued if wait > 0 else self._direct
        half = spread.ratio(self.half.asked)
        most = max(spread.ratio(self.most.asked), half)
        start, end = Span(wait * half, wait * most), Span((wait + run) * half, (wait + run) * most)
        return Expected(start, end, run, wait)


def waiting(load: Load) -> float:
    """Seconds until a slot is free for a request behind this load: the work before it, shared by all slots."""
    if load.slots <= 0:
        return MOST_SECONDS if load.starting <= 0 else load.starting + load.ahead
    busy = sorted(load.running)
    free = load.slots - len(busy)
    if free > 0 and load.ahead <= 0:
        return load.starting
    return load.starting + (sum(busy) + load.ahead) / load.slots


def cost_of(fields: Sequence[str], values: Mapping[str, Any]) -> float:
    """The product of the fields by which an endpoint names its cost; one that is missing or no number counts for 1."""
    cost = 1.0
    for name in fields:
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            cost = min(cost * min(value, MOST_COST), MOST_COST)
    return cost
