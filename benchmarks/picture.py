"""A result as a picture: bars beside the peers, and the curves. Plain SVG, readable on light and dark pages."""

from __future__ import annotations

from html import escape

from benchmarks.figures import OURS, Curve, Figure, Result
from benchmarks.report import number

SHOWN = (
    "run, 64 callers",
    "CPU of a run",
    "run, one caller, p50",
    "submits acknowledged",
    "events of one stream",
    "echo of 1 KB, p50",
    "start to first answer",
    "CPU of a call, sync",
    "CPU of a call, async",
    "upload, 256 MB",
    "download, 256 MB",
)
"""The figures that are drawn as bars, in this order."""

WIDTH, COLUMN, MARGIN = 920, 440, 20
BAR, TITLE, GAP, HEAD = 22, 28, 26, 30
LABEL, VALUE = 175, 70
"""Room for the names of subjects, and for the figures behind the bars."""

PLOT = 110
OUR_COLOUR, THEIR_COLOUR, INK = "#2f6fdb", "#9aa4b2", "#5b6470"


def svg(result: Result) -> str:
    """Panels in two columns, each put where there is more room."""
    figures = [figure for section in result.sections for figure in section.figures]
    panels = [bars([f for f in figures if f.name == name]) for name in SHOWN if any(f.name == name for f in figures)]
    panels += [line(curve) for section in result.sections for curve in section.curves if len(curve.points) > 1]
    heights = [MARGIN + HEAD, MARGIN + HEAD]
    body = [f'<text x="{MARGIN}" y="{MARGIN + 12}">{escape(_about(result))}</text>']
    for drawn, height in panels:
        column = 0 if heights[0] <= heights[1] else 1
        x = MARGIN + column * (COLUMN + MARGIN)
        body.append(f'<g transform="translate({x},{heights[column]})">{drawn}</g>')
        heights[column] += height + GAP
    height = max(heights)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    font = 'font-family="system-ui, sans-serif" font-size="12"'
    return f'{head} {font} fill="{INK}">\n' + "\n".join(body) + "\n</svg>\n"


def bars(figures: list[Figure]) -> tuple[str, int]:
    """One bar for each subject, the best first; returns the drawing and its height."""
    parts = [_title(figures[0])]
    longest = max(figure.median for figure in figures) or 1.0
    ordered = sorted(figures, key=lambda figure: figure.median, reverse=figures[0].better == "more")
    for n, figure in enumerate(ordered):
        y = TITLE + n * BAR
        width = max(1.0, figure.median / longest * (COLUMN - LABEL - VALUE))
        colour = OUR_COLOUR if figure.subject == OURS else THEIR_COLOUR
        weight = ' font-weight="600"' if figure.subject == OURS else ""
        parts.append(f'<text x="0" y="{y + 13}"{weight}>{escape(figure.subject)}</text>')
        parts.append(f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR - 6}" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{LABEL + width + 6:.1f}" y="{y + 13}">{number(figure.median)}</text>')
    return "".join(parts), TITLE + len(figures) * BAR


def line(curve: Curve) -> tuple[str, int]:
    """A curve over evenly spaced points, from zero up; returns the drawing and its height."""
    parts = [_title(curve)]
    highest = max(value for _, value in curve.points) or 1.0
    left, right = 30, COLUMN - 50
    step = (right - left) / (len(curve.points) - 1)
    spots = [
        (left + n * step, TITLE + 14 + (PLOT - 14) * (1 - value / highest)) for n, (_, value) in enumerate(curve.points)
    ]
    foot = TITLE + PLOT
    parts.append(f'<path d="M{left} {foot}H{right}" stroke="{THEIR_COLOUR}"/>')
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{OUR_COLOUR}" stroke-width="2"/>')
    for (x, y), (along, value) in zip(spots, curve.points, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{OUR_COLOUR}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y - 7:.1f}" text-anchor="middle">{number(value)}</text>')
        parts.append(f'<text x="{x:.1f}" y="{foot + 16}" text-anchor="middle">{along:,.0f}</text>')
    parts.append(f'<text x="{(left + right) / 2}" y="{foot + 32}" text-anchor="middle">{escape(curve.along)}</text>')
    return "".join(parts), foot + 34


def _about(result: Result) -> str:
    amount = "Quick run" if result.quick else "Full run"
    return f"{amount} of {result.began}, {result.machine.get('cores', '?')} cores; medians, the best first"


def _title(shown: Figure | Curve) -> str:
    better = "more is better" if shown.better == "more" else "less is better"
    unit = f'<tspan font-weight="400">{escape(shown.unit)}, {better}</tspan>'
    return f'<text x="0" y="14" font-weight="600">{escape(shown.name)} {unit}</text>'
