"""Is the new one slower than the old? Pairs of samples, one ratio each; their median with its interval. Pure.

What the machine does meanwhile meets both sides of a pair, and the order within the pairs alternates, so that a ratio
says more than two medians that were taken apart.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

PAIRS = 12
"""Pairs of one run: the interval of their median then leaves out the two lowest and the two highest."""
BOUND = 1.03
"""The largest median that holds."""
CONFIDENCE = 0.95
WIDE = 0.05
"""An interval that reaches further than this to both sides, on average, says too little."""


class Interval(NamedTuple):
    """Between which the median lies, with at least `CONFIDENCE` where there are six samples or more."""

    low: float
    high: float


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The interval of a median by order statistics, which assumes nothing of how the samples are spread.

    Of n samples, the k-th lowest and the k-th highest enclose the median unless fewer than k fall to one side of it,
    the chance of which is that of n fair coins. The innermost pair that is sure enough is taken, or the outermost.
    """
    ordered = sorted(samples)
    count = len(ordered)
    if not ordered:
        raise ValueError("there is no sample")
    best = 1
    for k in range(1, count // 2 + 1):
        beyond = 2 * sum(math.comb(count, i) for i in range(k)) / 2**count
        if beyond <= 1 - confidence:
            best = k
    return Interval(ordered[best - 1], ordered[count - best])


class Comparison(NamedTuple):
    """One quantity by pairs: old and new in the order in which they were measured.

    Attributes:
        judged: whether the bound is on it, and less of it is better; others are told only.
    """

    scenario: str
    name: str
    unit: str
    old: list[float]
    new: list[float]
    judged: bool

    @property
    def ratios(self) -> list[float]:
        """New by old, pair by pair."""
        return [new / old for old, new in zip(self.old, self.new, strict=True) if old]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def interval(self) -> Interval:
        return median_interval(self.ratios)

    @property
    def wide(self) -> bool:
        """Whether the interval is too wide to say much."""
        low, high = self.interval
        return (high - low) / 2 > WIDE * self.median

    def held(self, bound: float) -> bool:
        """Whether the new one is no slower: its median is within the bound, or nothing shows that it differs at all."""
        low, high = self.interval
        return self.median <= bound or low <= 1.0 <= high


def table(comparisons: Sequence[Comparison], bound: float) -> str:
    """What was found, as Markdown."""
    lines = [
        "| scenario | quantity | old | new | new by old | 95 % of the median | |",
        "| --- | --- | ---: | ---: | ---: | --- | --- |",
    ]
    for one in comparisons:
        low, high = one.interval
        verdict = ("holds" if one.held(bound) else "**slower**") if one.judged else "told only"
        if one.judged and one.wide:
            verdict += ", wide"
        old, new = statistics.median(one.old), statistics.median(one.new)
        lines.append(
            f"| {one.scenario} | {one.name} | {old:.4g} {one.unit} | {new:.4g} {one.unit} | {one.median:.3f} "
            f"| {low:.3f} to {high:.3f} | {verdict} |"
        )
    return "\n".join(lines)
