"""Is this run slower than the one that was committed? Compared as ratios to raw limits of the same run.

A slower machine moves a figure and its limit alike, so that their ratio stays; only what our own code does moves it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.figures import OURS, Figure, Result, Section

TOLERANCE = 1.35
"""A figure that is worse by more than this factor is a regression. The same code, measured twice on a shared machine
of two cores, differs by up to a quarter."""


class Change(NamedTuple):
    """How one figure of ours moved: `factor` above 1 is worse, below 1 better."""

    scenario: str
    name: str
    factor: float

    @property
    def worse(self) -> bool:
        return self.factor > TOLERANCE


def compare(new: Result, old: Result) -> list[Change]:
    """Every figure of ours that both runs have, the worst first."""
    before = {_key(section, figure): value for section, figure, value in _relative(old)}
    changes = []
    for section, figure, value in _relative(new):
        earlier = before.get(_key(section, figure))
        if earlier and value:
            factor = value / earlier if figure.better == "less" else earlier / value
            changes.append(Change(section.name, figure.name, factor))
    return sorted(changes, key=lambda change: -change.factor)


def uncompared(new: Result, old: Result) -> list[str]:
    """The figures of ours that could be compared, but the older run has not measured, or not with the same limit."""
    before = {_key(section, figure) for section, figure, _ in _relative(old)}
    found = [_key(section, figure) for section, figure, _ in _relative(new)]
    return [f"{key[0]}: {key[1]}" for key in found if key not in before]


def _key(section: Section, figure: Figure) -> tuple[str, str, str]:
    """What two runs must share: a ratio to another limit says nothing about this one."""
    return section.name, figure.name, figure.limit


def _relative(result: Result) -> Iterator[tuple[Section, Figure, float]]:
    """Our figures, each by its limit."""
    for section in result.sections:
        for figure in section.figures:
            limit = section.limits.get(figure.limit)
            if figure.subject == OURS and limit and (scale := statistics.median(limit)):
                yield section, figure, figure.median / scale
