"""A result as a Markdown page: the promises first, then every figure beside its peers', then the curves."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.figures import Curve, Figure, Result, Section
from benchmarks.regression import TOLERANCE, Change


def number(value: float) -> str:
    """A figure with three digits that matter."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"


def markdown(result: Result, changes: Sequence[Change] = (), uncompared: Sequence[str] = ()) -> str:
    """The whole page, with what `regression` found."""
    parts = [
        f"# Benchmarks of {result.began}",
        f"{'Quick run' if result.quick else 'Full run'}, {result.seconds:.0f} s. Medians of the rounds; in brackets "
        "the lowest and the highest. The subjects of a scenario take turns. Load generator, servers and "
        "brokers share the machine.",
        _table(["machine", ""], ([name.replace("_", " "), str(value)] for name, value in _flat(result.machine))),
        "## Goals",
        _goals(result.sections),
    ]
    for section in result.sections:
        parts += _section(section)
    if changes or uncompared:
        parts += ["## Against the last committed result", _changes(changes)]
    if uncompared:
        parts.append(
            f"Not in the committed result, or there by another limit, and so not compared: {'; '.join(uncompared)}."
        )
    return "\n\n".join(parts) + "\n"


def _flat(machine: dict[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in machine.items():
        if isinstance(value, dict):
            yield name, ", ".join(f"{key} {one}" for key, one in value.items())
        else:
            yield name, str(value)


def _goals(sections: list[Section]) -> str:
    rows = []
    for section in sections:
        for goal in section.goals:
            low, high = min(goal.samples), max(goal.samples)
            reached = f"{number(goal.reached)} ({number(low)} to {number(high)})"
            rows.append(
                [section.name, goal.name, f"{goal.bound} {goal.unit}", reached, "yes" if goal.met else "**no**"]
            )
    return _table(["scenario", "goal", "promised", "reached", "met"], rows)


def _section(section: Section) -> list[str]:
    parts = [f"## {section.title}"]
    if section.failed:
        parts.append(f"Failed: `{section.failed}`")
    if section.figures:
        parts.append(_figures(section.figures))
    for curve in section.curves:
        parts.append(_curve(curve))
    if section.skipped:
        parts.append("\n".join(f"- {name} is left out: {reason}" for name, reason in section.skipped.items()))
    if section.limits:
        medians = ", ".join(f"{name} {number(statistics.median(values))}" for name, values in section.limits.items())
        parts.append(f"Raw limits around it: {medians}.")
    return parts


def _figures(figures: list[Figure]) -> str:
    subjects = list(dict.fromkeys(figure.subject for figure in figures))
    rows = []
    for name in dict.fromkeys(figure.name for figure in figures):
        cells = {figure.subject: figure for figure in figures if figure.name == name}
        unit = next(iter(cells.values())).unit
        rows.append([f"{name}, {unit}", *(_cell(cells.get(subject)) for subject in subjects)])
    return _table(["", *subjects], rows)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    low, high = figure.spread
    return (
        f"{number(figure.median)} ({number(low)} to {number(high)})"
        if len(figure.samples) > 1
        else number(figure.median)
    )


def _curve(curve: Curve) -> str:
    header = [curve.along, *(f"{along:,.0f}" for along, _ in curve.points)]
    return _table(header, [[f"{curve.name}, {curve.unit}", *(number(value) for _, value in curve.points)]])


def _changes(changes: Sequence[Change]) -> str:
    rows = [
        [change.scenario, change.name, f"{change.factor:.2f}", "**slower**" if change.worse else ""]
        for change in changes
    ]
    note = f"Each figure as a ratio to a raw limit of its own run; above 1 is worse, above {TOLERANCE:g} a regression."
    return note + "\n\n" + _table(["scenario", "figure", "factor", ""], rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
