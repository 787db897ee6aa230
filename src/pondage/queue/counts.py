"""What is counted of requests, and how it adds up: rollups by minute and hour, usage by key and day, error groups.

Every transaction leaves one row of facts about the requests that it moved (`Submitted`, `Ended`, `Spent`), so that
they are as durable as what they tell of. A background task folds those rows into the tables that people read; readers
add what is not folded yet. Nothing ever counts rows of requests. Pure functions, no SQL.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from pondage.wire.states import OutcomeKind

MINUTE, HOUR, DAY = 60, 3600, 86_400

FIRST_BUCKET = 0.001
"""Seconds up to which a duration falls into the first bucket."""
PER_OCTAVE = 4
BUCKETS = 94
"""Four to each doubling, from 1 ms to three hours; a duration is known within 9 %."""
UNITS = "x-fal-billable-units"
MESSAGE_CHARS = 200
"""Characters of an error's message by which errors are told apart."""


class Submitted(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """A request was accepted."""

    at: float
    app: str
    caller: str
    input_bytes: int


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """A request has its outcome. Durations are seconds; `runner` is its share of a runner's time in its last attempt,
    `devices` the same times the devices that the runner holds."""

    at: float
    app: str
    caller: str
    request_id: str
    kind: OutcomeKind
    waited: float
    ran: float
    total: float
    output_bytes: int
    runner: float = 0.0
    devices: float = 0.0
    units: float = 0.0
    error_type: str | None = None
    error: str | None = None
    input_bytes: int | None = None
    """Of a request that was accepted in the same transaction, which leaves no `Submitted`."""


class Spent(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """A runner's time went to an attempt that brought no outcome: it was lost, put back, or ended after a cancel."""

    at: float
    app: str
    caller: str
    runner: float
    devices: float = 0.0


Fact = Submitted | Ended | Spent


class Rollup(msgspec.Struct, array_like=True):
    """What happened to an app's requests in a minute or an hour. Durations in seconds; histograms by `bucket`."""

    submitted: int = 0
    ok: int = 0
    error: int = 0
    cancelled: int = 0
    lost: int = 0
    """Attempts that brought no outcome."""
    waited: float = 0.0
    ran: float = 0.0
    total: float = 0.0
    waits: dict[int, int] = {}
    runs: dict[int, int] = {}
    totals: dict[int, int] = {}

    @property
    def ended(self) -> int:
        return self.ok + self.error + self.cancelled

    def add(self, other: Rollup) -> None:
        """Add what happened in another one."""
        self.submitted += other.submitted
        self.ok += other.ok
        self.error += other.error
        self.cancelled += other.cancelled
        self.lost += other.lost
        self.waited += other.waited
        self.ran += other.ran
        self.total += other.total
        for mine, theirs in ((self.waits, other.waits), (self.runs, other.runs), (self.totals, other.totals)):
            for at, n in theirs.items():
                mine[at] = mine.get(at, 0) + n


class Usage(msgspec.Struct, array_like=True):
    """What a key used of an app on one day. Seconds, bytes, and the units that endpoints report."""

    submitted: int = 0
    ok: int = 0
    error: int = 0
    cancelled: int = 0
    lost: int = 0
    waited: float = 0.0
    runner: float = 0.0
    devices: float = 0.0
    input_bytes: int = 0
    output_bytes: int = 0
    units: float = 0.0

    def add(self, other: Usage) -> None:
        """Add what was used beside it."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Errors(msgspec.Struct, array_like=True):
    """How often one kind of error came in an hour; `sample` is the newest request that has it."""

    count: int
    first: float
    last: float
    sample: str

    def add(self, other: Errors) -> None:
        """Add those that came beside it."""
        self.count += other.count
        self.first = min(self.first, other.first)
        if other.last >= self.last:
            self.last, self.sample = other.last, other.sample


class ErrorKind(NamedTuple):
    """What makes two errors the same. `hour` is the wall time at which it begins, in seconds."""

    app: str
    error_type: str
    message: str
    hour: int


class Counted(NamedTuple):
    """Facts added up. Times are the wall seconds at which the minute, hour or day (UTC) begins."""

    minutes: dict[tuple[str, int], Rollup]
    hours: dict[tuple[str, int], Rollup]
    usage: dict[tuple[str, str, int], Usage]
    """By caller, app and day."""
    errors: dict[ErrorKind, Errors]


class Rolled(NamedTuple):
    """A rollup with its place: the app, and the wall time at which its minute or hour begins."""

    app: str
    at: int
    rollup: Rollup


class Used(NamedTuple):
    """A usage with its place: the key's id, the app, and the wall time at which the day (UTC) begins."""

    caller: str
    app: str
    day: int
    usage: Usage


class ErrorGroup(NamedTuple):
    """All errors of one kind in a span of time."""

    app: str
    error_type: str
    message: str
    errors: Errors


class Counts(Protocol):
    """What people and pages read instead of counting. `since` and `until` are wall seconds, `until` not included."""

    async def rollups(
        self, *, since: float, until: float, app: str | None = None, hourly: bool = False
    ) -> list[Rolled]:
        """By minute or by hour, oldest first; those without anything are left out."""
        ...

    async def totals(self) -> dict[str, Rollup]:
        """By app, of all time: what only ever grows."""
        ...

    async def usage(self, *, since: float, until: float, caller: str | None = None) -> list[Used]:
        """By key, app and day, oldest first."""
        ...

    async def errors(self, *, since: float, until: float, app: str | None = None) -> list[ErrorGroup]:
        """The kinds of errors, those that came most often first."""
        ...

    async def fold(self) -> int:
        """Fold the rows that transactions have left into the tables, and forget what is kept long enough; how many."""
        ...


def bound(at: int) -> float:
    """The longest duration of a bucket, in seconds."""
    return float(FIRST_BUCKET * 2 ** (at / PER_OCTAVE))


_BOUNDS = [bound(at) for at in range(BUCKETS - 1)]


def bucket(seconds: float) -> int:
    """The bucket of a duration."""
    return bisect_left(_BOUNDS, seconds)


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """The duration within which this share (0 to 1) of all lies; None where there are none."""
    left = math.ceil(sum(histogram.values()) * share)
    for at in sorted(histogram):
        left -= histogram[at]
        if left <= 0:
            return bound(at)
    return None


_ID = re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b[0-9a-f]{12,}\b", re.I)
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SPACE = re.compile(r"\s+")


def normalised(message: str) -> str:
    """A message without what differs from one request to the next: ids, numbers and what stands in quotes."""
    text = message[: 4 * MESSAGE_CHARS]
    text = _QUOTED.sub("'…'", _ID.sub("#", text))
    return _SPACE.sub(" ", _NUMBER.sub("#", text)).strip()[:MESSAGE_CHARS]


def units(headers: Mapping[str, str]) -> float:
    """The units that an endpoint reported with its outcome, in fal's header; 0 where it is no number."""
    if UNITS not in headers:
        return 0.0
    try:
        reported = float(headers[UNITS])
    except ValueError:
        return 0.0
    return reported if math.isfinite(reported) else 0.0


def count(facts: Iterable[Fact]) -> Counted:
    """Add facts up."""
    counted = Counted({}, {}, {}, {})
    for fact in facts:
        minute, usage = _places(counted, fact.at, fact.app, fact.caller)
        if type(fact) is Ended:
            if fact.input_bytes is not None:
                _accepted(*_places(counted, fact.at - fact.total, fact.app, fact.caller), fact.input_bytes)
            _ended(fact, minute, usage)
            if fact.kind is OutcomeKind.ERROR:
                _failed(fact, counted.errors)
        elif type(fact) is Submitted:
            _accepted(minute, usage, fact.input_bytes)
        elif type(fact) is Spent:
            minute.lost += 1
            usage.lost += 1
            usage.runner += fact.runner
            usage.devices += fact.devices
    for (app, at), rollup in counted.minutes.items():
        counted.hours.setdefault((app, at - at % HOUR), Rollup()).add(rollup)
    return counted


def _places(counted: Counted, at: float, app: str, caller: str) -> tuple[Rollup, Usage]:
    """Where a fact of this moment is counted."""
    second = int(at)
    minute, usage = (app, second - second % MINUTE), (caller, app, second - second % DAY)
    if (rollup := counted.minutes.get(minute)) is None:
        rollup = counted.minutes[minute] = Rollup()
    if (used := counted.usage.get(usage)) is None:
        used = counted.usage[usage] = Usage()
    return rollup, used


def _accepted(minute: Rollup, usage: Usage, input_bytes: int) -> None:
    minute.submitted += 1
    usage.submitted += 1
    usage.input_bytes += input_bytes


def _failed(fact: Ended, errors: dict[ErrorKind, Errors]) -> None:
    hour = int(fact.at) - int(fact.at) % HOUR
    kind = ErrorKind(fact.app, fact.error_type or "", normalised(fact.error or ""), hour)
    came = Errors(1, fact.at, fact.at, fact.request_id)
    if (known := errors.get(kind)) is None:
        errors[kind] = came
    else:
        known.add(came)


def _ended(fact: Ended, minute: Rollup, usage: Usage) -> None:
    if fact.kind is OutcomeKind.OK:
        minute.ok += 1
        usage.ok += 1
    elif fact.kind is OutcomeKind.ERROR:
        minute.error += 1
        usage.error += 1
    else:
        minute.cancelled += 1
        usage.cancelled += 1
    minute.waited += fact.waited
    minute.ran += fact.ran
    minute.total += fact.total
    for histogram, seconds in ((minute.waits, fact.waited), (minute.runs, fact.ran), (minute.totals, fact.total)):
        at = bucket(seconds)
        histogram[at] = histogram.get(at, 0) + 1
    usage.waited += fact.waited
    usage.runner += fact.runner
    usage.devices += fact.devices
    usage.output_bytes += fact.output_bytes
    usage.units += fact.units
