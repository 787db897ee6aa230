"""What a run yields, as data: figures, goals, growth curves, and the raw limits measured around them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

Better = Literal["more", "less"]

OURS = "Pondage"
"""The subject of our own figures."""


class Figure(msgspec.Struct, frozen=True):
    """One measured quantity of one subject.

    Attributes:
        name: what was measured; the same for every subject that it was measured of.
        subject: whose figure it is.
        samples: one value for each round, in the order of the rounds.
        limit: the raw limit of the machine (a name in `Section.limits`) that this figure scales with. A later run is
            compared as a ratio to it; without one the figure is shown and not compared.
    """

    name: str
    subject: str
    unit: str
    better: Better
    samples: list[float]
    limit: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest sample."""
        return min(self.samples), max(self.samples)


class Goal(msgspec.Struct, frozen=True):
    """A promise about figures, and what was reached. `least` and `most` are the bounds that hold; None: no bound."""

    name: str
    unit: str
    samples: list[float]
    least: float | None = None
    most: float | None = None

    @property
    def reached(self) -> float:
        return statistics.median(self.samples)

    @property
    def met(self) -> bool:
        return (self.least is None or self.reached >= self.least) and (self.most is None or self.reached <= self.most)

    @property
    def bound(self) -> str:
        """The promise in words."""
        return f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"


class Curve(msgspec.Struct, frozen=True):
    """How one figure moves while something grows: `points` are pairs of how much there was and what was measured."""

    name: str
    along: str
    unit: str
    better: Better
    points: list[tuple[float, float]]


class Section(msgspec.Struct):
    """What one scenario yielded.

    Attributes:
        skipped: what could not be measured, and why.
        limits: raw limits of the machine, measured right before and right after the scenario.
        failed: the error that ended the scenario, or nothing.
    """

    name: str
    title: str
    figures: list[Figure] = []
    goals: list[Goal] = []
    curves: list[Curve] = []
    skipped: dict[str, str] = {}
    limits: dict[str, list[float]] = {}
    seconds: float = 0.0
    failed: str = ""

    def add(
        self, name: str, subject: str, unit: str, better: Better, samples: Iterable[float], *, limit: str = ""
    ) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, subject, unit, better, [float(sample) for sample in samples], limit))

    def samples(self, name: str, subject: str) -> list[float]:
        """The samples of a figure; none if it was not measured."""
        for figure in self.figures:
            if (figure.name, figure.subject) == (name, subject):
                return figure.samples
        return []

    def leave_out(self, name: str, why: BaseException | str) -> None:
        """Say why something is not measured: one line, the middle of a long text cut out."""
        text = " ".join(str(why).split()) or type(why).__name__
        self.skipped[name] = text if len(text) <= 420 else f"{text[:200]} … {text[-200:]}"

    def goal(
        self, name: str, unit: str, samples: Sequence[float], *, least: float | None = None, most: float | None = None
    ) -> None:
        """Add a goal; without samples it was not measured and is left out."""
        if samples:
            self.goals.append(Goal(name, unit, list(samples), least, most))


class Result(msgspec.Struct):
    """One run."""

    began: str
    quick: bool
    seconds: float
    machine: dict[str, Any]
    sections: list[Section]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours by theirs, round by round: what slowed one round slowed both sides of it."""
    return [mine / other for mine, other in zip(ours, theirs, strict=False) if other]
