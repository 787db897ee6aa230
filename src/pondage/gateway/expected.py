"""How callers read when a request starts and ends: a member of JSON answers, and a header."""

from __future__ import annotations

from typing import Any

from pondage.fleet.expectations import Span
from pondage.fleet.interface import Forecast

HEADER = "pondage-expected"
"""Seconds from now, such as `start-p50=4, start-p90=9.5, end-p50=12, end-p90=31`; none where nobody can tell."""

_MOVED = 0.2
"""By which share an end must have moved for readers of a stream to be told."""


def members(forecast: Forecast) -> dict[str, Any] | None:
    """`{"start": {"p50", "p90"}, "end": {…}}` in seconds from now; `start` is None once it has started."""
    if forecast.end is None:
        return None
    return {"start": forecast.start and _span(forecast.start), "end": _span(forecast.end)}


def headers(told: dict[str, Any] | None) -> dict[str, str]:
    """The same as a header."""
    if told is None:
        return {}
    parts = [f"{what}-{share}={told[what][share]:g}" for what in ("start", "end") if told[what] for share in told[what]]
    return {HEADER: ", ".join(parts)}


def has_moved(said: dict[str, Any] | None, told: dict[str, Any] | None, elapsed: float) -> bool:
    """Whether an expectation differs from the one that was said `elapsed` seconds ago by more than the time between."""
    if said is None or told is None:
        return said is not told
    before, now = max(said["end"]["p90"] - elapsed, 0.0), told["end"]["p90"]
    return bool(abs(now - before) > max(_MOVED * max(now, before), 1.0))


def _span(span: Span) -> dict[str, float]:
    return {"p50": _short(span.p50), "p90": _short(span.p90)}


def _short(seconds: float) -> float:
    return round(seconds, 3 if seconds < 1 else 1)
