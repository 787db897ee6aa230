"""Charts and summaries of apps, and groups of errors, from what is counted as it happens (`pondage.queue.counts`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pondage.clock import iso
from pondage.errors import Forbidden, InvalidInput, NotFound
from pondage.gateway import answers
from pondage.gateway.api import moment, number
from pondage.gateway.call import Call, Response
from pondage.gateway.shapes import AppSummary, ErrorGroupItem, ErrorGroups, Latency, Series, SeriesPoint, Summaries
from pondage.queue.counts import DAY, HOUR, MINUTE, ErrorGroup, Rolled, Rollup, quantile

MOST_POINTS = 300
"""Points of one chart."""
_STEPS = (*(MINUTE * n for n in (1, 2, 5, 10, 15, 30)), *(HOUR * n for n in (1, 2, 3, 6, 12, 24)))
"""How far points may lie apart, in seconds; beyond a day in whole days."""
_LATEST = 253_402_300_799
"""The last second that a date can name."""
_SPARKS = 61
"""Points of a summary's line, so that an hour has one for each minute."""


# ---- what is asked


def span(call: Call, usual: float) -> tuple[float, float]:
    """From when to when the query asks; `usual` seconds up to now where it does not say.

    Raises:
        InvalidInput: it ends before it begins, or a date cannot name it.
    """
    asked = {name: moment(call, name) for name in ("since", "until")}
    for name, at in asked.items():
        if at is not None and not 0 <= at <= _LATEST:
            raise InvalidInput.field(["query", name], f"{at:g} is no time from 1970 to 9999, in seconds since 1970")
    since, until = asked["since"], asked["until"]
    end = call.rooms.clock.wall() + 1 if until is None else until
    begin = max(end - usual, 0.0) if since is None else since
    if begin > end:
        raise InvalidInput.field(["query", "since"], f"{begin:.3f} is later than until, {end:.3f}")
    return begin, end


def _key_only(call: Call) -> None:
    if call.caller.by_token:
        raise Forbidden("how an app fares is for keys: a token sees none of it")


# ---- charts


async def show_series(call: Call) -> Response:
    """What happened to an app's requests, as the points of a chart: counts, and how long they waited and ran.

    Raises:
        NotFound: no such app, or it is not the caller's.
        Forbidden: it came with a token.
        InvalidInput: the time is none.
    """
    _key_only(call)
    name = call.params["app"]
    if not call.caller.may_call(name):
        raise NotFound(f"Application {name!r} not found")
    since, until = span(call, HOUR)
    step = step_of(until - since, number(call, "points", MOST_POINTS, MOST_POINTS))
    # What happened in a minute is not kept for as long as what happened in an hour.
    if since < call.rooms.clock.wall() - call.rooms.settings.rollup_minutes_kept:
        step = max(step, HOUR)
    begin = since // step * step
    rolled = await call.rooms.queue.counts.rollups(since=begin, until=until, app=name, hourly=step >= HOUR)
    if not rolled and call.rooms.fleet.infos.get(name) is None:
        raise NotFound(f"Application {name!r} not found")
    made = points(rolled, int(begin), until, step)
    whole = added_up(rolled).get(name, Rollup())
    shown = Series(
        app=name, since=iso(begin), until=iso(until), step=step, points=[_point(at, made[at]) for at in made],
        **_members(whole),
    )  # fmt: skip
    return answers.json(shown)


def step_of(seconds: float, most: int = MOST_POINTS) -> int:
    """How far the points of a chart lie apart: the least of the usual steps of which `most` cover `seconds`.

    One more may be needed where the span begins within a step; so there is room for it.
    """
    least = seconds / max(most - 1, 1)
    for step in _STEPS:
        if step >= least:
            return step
    return math.ceil(least / DAY) * DAY


def points(rolled: Iterable[Rolled], begin: int, until: float, step: int) -> dict[int, Rollup]:
    """The rollups of one app, added up by steps; those in which nothing happened are there too."""
    made = {at: Rollup() for at in range(begin, math.ceil(until), step)}
    for one in rolled:
        if (rollup := made.get(one.at - (one.at - begin) % step)) is not None:
            rollup.add(one.rollup)
    return made


def _members(rollup: Rollup) -> dict[str, Any]:
    """The members that points and summaries have in common."""
    return {
        "submitted": rollup.submitted, "ok": rollup.ok, "error": rollup.error, "cancelled": rollup.cancelled,
        "lost": rollup.lost,
        "wait": _latency(rollup.waits, rollup.waited), "run": _latency(rollup.runs, rollup.ran),
        "whole": _latency(rollup.totals, rollup.total),
    }  # fmt: skip


def _latency(histogram: Mapping[int, int], seconds: float) -> Latency | None:
    count = sum(histogram.values())
    if not count:
        return None
    p50, p90, p99 = (quantile(histogram, share) or 0.0 for share in (0.5, 0.9, 0.99))
    return Latency(mean=seconds / count, p50=p50, p90=p90, p99=p99)


def _point(at: int, rollup: Rollup) -> SeriesPoint:
    return SeriesPoint(at=iso(at), **_members(rollup))


# ---- all apps


async def show_summary(call: Call) -> Response:
    """How every app fared, by default in the last hour: counts, how long requests waited and ran, and a line of ends.

    Raises:
        Forbidden: it came with a token.
    """
    _key_only(call)
    since, until = span(call, HOUR)
    step = step_of(until - since, _SPARKS)
    hourly = step >= HOUR or since < call.rooms.clock.wall() - call.rooms.settings.rollup_minutes_kept
    step = max(step, HOUR) if hourly else step
    begin = int(since // step * step)
    rolled = await call.rooms.queue.counts.rollups(since=begin, until=until, hourly=hourly)
    by_app: dict[str, list[Rolled]] = {name: [] for name in call.rooms.fleet.app_names()}
    for one in rolled:
        by_app.setdefault(one.app, []).append(one)
    items = [_summary(name, by_app[name], begin, until, step) for name in sorted(by_app) if call.caller.may_call(name)]
    return answers.json(Summaries(iso(begin), iso(until), step, items))


def _summary(name: str, rolled: list[Rolled], begin: int, until: float, step: int) -> AppSummary:
    whole = added_up(rolled).get(name, Rollup())
    made = list(points(rolled, begin, until, step).values())
    return AppSummary(app=name, ends=[one.ended for one in made], errors=[one.error for one in made], **_members(whole))


def added_up(rolled: Iterable[Rolled]) -> dict[str, Rollup]:
    """The sum of rollups by app."""
    sums: dict[str, Rollup] = {}
    for one in rolled:
        sums.setdefault(one.app, Rollup()).add(one.rollup)
    return sums


# ---- errors


async def list_errors(call: Call) -> Response:
    """The kinds of errors, those that came most often first: by default those of the last day.

    A key without the scope `read-all` sees none, since a group is of everybody's requests.
    """
    _key_only(call)
    since, until = span(call, DAY)
    app = call.query.get("app")
    groups = await call.rooms.queue.counts.errors(since=since, until=until, app=app)
    groups = [group for group in groups if call.caller.may_call(group.app)]
    wanted = call.query.get("error_type")
    whole = sum(group.errors.count for group in groups)
    most = max(1, number(call, "limit", 100, 1000))
    chosen = [group for group in groups if wanted in (None, group.error_type)]
    items = [_group(group, whole) for group in chosen[:most]]
    return answers.json(ErrorGroups(iso(since), iso(until), whole, len(chosen), items, None))


def _group(group: ErrorGroup, whole: int) -> ErrorGroupItem:
    errors = group.errors
    return ErrorGroupItem(
        app=group.app, error_type=group.error_type or None, message=group.message, count=errors.count,
        share=errors.count / whole, first=iso(errors.first), last=iso(errors.last), sample=errors.sample,
    )  # fmt: skip
