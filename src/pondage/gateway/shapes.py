"""What `/api/v1/…` answers, as types: the OpenAPI description and the pages' TypeScript are made from them.

Times are ISO 8601 in UTC. A field with a default may be missing; one that is `None` is known to be nothing.

Longer than modules are here: it is a list of shapes, without logic.
"""

from __future__ import annotations

import msgspec

from pondage.fleet.interface import Calibrated, RunnerState
from pondage.wire.frames import AppInfo, Mode
from pondage.wire.states import EventKind, OutcomeKind, State


class App(msgspec.Struct):
    """An app that is known: what it declares, its runners and slots, how many of its requests wait and run."""

    name: str
    info: AppInfo
    runners: int
    slots: int
    free: int
    queued: int
    running: int
    fault: str | None
    """Why it cannot run just now; None while it can."""
    calibrated: Calibrated | None = None
    """How well what was expected of its requests came true; None where nothing was."""
    served: bool = True
    """False: it is known from before, and this server was not started with it."""
    held: Hold | None = None
    """Who has paused it, if somebody has."""


class Apps(msgspec.Struct):
    items: list[App]
    next_cursor: str | None


class Within(msgspec.Struct):
    """Seconds from now within which half of such requests, and nine of ten, are there."""

    p50: float
    p90: float


class Expected(msgspec.Struct):
    """When a request starts and ends. `start` is None once it has started."""

    start: Within | None
    end: Within


class Quote(msgspec.Struct):
    """What a request that came now would wait and run. `cost` is what its input says by the fields that the endpoint
    names, `queued` how many requests of its app wait, `work_ahead` about how many seconds of running are before it.
    `expected` is None where nobody can tell, and `why` says why."""

    app: str
    path: str
    cost: float
    queued: int
    work_ahead: float
    expected: Expected | None
    why: str | None


class Hold(msgspec.Struct):
    """Who has paused an app (`drained`: and lets its runners go), since when, and why."""

    drained: bool
    by: str
    reason: str
    at: str


class LineOfKey(msgspec.Struct):
    """How many requests of a key wait and run."""

    caller: str
    queued: int
    running: int


class Line(msgspec.Struct):
    """The queue of an app. `oldest` is how many seconds the oldest has waited, `work_ahead` about how many seconds of
    running wait; rates are those of the last five minutes."""

    app: str
    queued: int
    running: int
    oldest: float | None
    work_ahead: float
    submitted_per_minute: float
    ended_per_minute: float
    held: Hold | None
    why: str | None
    keys: list[LineOfKey]


class Lines(msgspec.Struct):
    items: list[Line]
    next_cursor: str | None


class Operation(msgspec.Struct):
    """One thing that is done to many requests, or to an app. `matched` requests fitted as it began; it has changed
    `changed`, and left `passed` alone that no longer fitted when it reached them."""

    id: str
    kind: str
    name: str
    by: str
    at: str
    reason: str
    filter: dict[str, object]
    priority: str | None
    app: str | None
    phase: str
    matched: int
    changed: int
    passed: int
    ended_at: str | None
    acts: list[dict[str, str]]


class Operations(msgspec.Struct):
    items: list[Operation]
    next_cursor: str | None


class Request(msgspec.Struct):
    """A request as it stands, without its input and output."""

    id: str
    app: str
    path: str
    mode: Mode
    state: State
    attempt: int
    strikes: int
    caller: str
    agent: str
    priority: int
    submitted_at: str
    last_event: int
    position: int | None
    started_at: str | None
    finished_at: str | None
    runner: str
    webhook: str | None
    retried_from: str | None
    outcome: OutcomeKind | None
    status: int | None
    error: str | None
    error_type: str | None
    inference_time: float | None
    input_bytes: int
    output_bytes: int


class RequestEvent(msgspec.Struct):
    """An entry of a request's log: number, kind, attempt, time, and what the kind has."""

    n: int
    kind: EventKind
    attempt: int
    at: str
    runner: str | None = None
    level: str | None = None
    message: str | None = None
    source: str | None = None
    step: float | None = None
    total: float | None = None
    chunk: int | None = None
    data: object = None
    reason: str | None = None
    strike: bool | None = None
    what: str | None = None
    outcome: OutcomeKind | None = None
    status: int | None = None
    error: str | None = None
    error_type: str | None = None


class RequestEvents(msgspec.Struct):
    items: list[RequestEvent]
    next_after: int | None


class Requests(msgspec.Struct):
    items: list[Request]
    next_cursor: str | None


class Session(msgspec.Struct):
    """Who is signed in. `open`: nobody need be. `key` None: a person of this machine, who may do everything."""

    open: bool
    signed_in: bool
    key: str | None
    name: str | None
    scopes: list[str]
    apps: list[str] | None
    expires_at: str | None


class Setting(msgspec.Struct):
    """A setting, its value, and where that comes from: `default`, a file, a variable, `flag`."""

    name: str
    value: object
    source: str


class Settings(msgspec.Struct):
    items: list[Setting]
    next_cursor: str | None


class Snippet(msgspec.Struct):
    """A text that calls an endpoint. `needs`: the command that installs what it uses; `note`: what else to know."""

    language: str
    title: str
    code: str
    needs: str
    note: str


class Snippets(msgspec.Struct):
    items: list[Snippet]


class Runners(msgspec.Struct):
    items: list[RunnerState]
    next_cursor: str | None


class Key(msgspec.Struct):
    """An API key without its secret. `apps` None: any. `priority` is the highest that its requests may have. After a
    rotation the old secret opens until `old_until`. `used_at` and `used_from`: its last use, within a minute."""

    id: str
    name: str
    scopes: list[str]
    apps: list[str] | None
    priority: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    rotated_at: str | None
    old_until: str | None
    used_at: str | None
    used_from: str | None


class Keys(msgspec.Struct):
    items: list[Key]
    next_cursor: str | None


class NewKey(msgspec.Struct):
    """A key that was just made or rotated: `key` is `id:secret`, shown this once."""

    id: str
    secret: str
    key: str


class UsageItem(msgspec.Struct):
    """What was used: of a day (or a month), by a key, of an app; None where these are added up. Seconds and bytes;
    `key_name` is None where the key is not known; `units` are what endpoints report in `x-fal-billable-units`."""

    day: str | None
    key: str | None
    key_name: str | None
    app: str | None
    submitted: int
    ok: int
    error: int
    cancelled: int
    lost: int
    waited: float
    runner: float
    devices: float
    input_bytes: int
    output_bytes: int
    units: float


class UsageReport(msgspec.Struct):
    items: list[UsageItem]
    next_cursor: str | None


class Try(msgspec.Struct):
    """One try of a delivery. `duration` in seconds; `status` None: there was no answer."""

    n: int
    at: str
    duration: float
    status: int | None
    reason: str
    note: str
    answer: str


class Held(msgspec.Struct):
    """A host that is left alone: so many failures in a row, for so many seconds."""

    failures: int
    seconds: float


class Delivery(msgspec.Struct):
    """A webhook and where it is: `owed`, `done` or `dead`. `log` is there where one is asked for."""

    id: str
    request_id: str
    url: str
    event: str
    state: str
    created_at: str
    due_at: str | None
    done_at: str | None
    tries: int
    last_status: int | None
    last_reason: str | None
    held: Held | None
    log: list[Try] | None = None


class Deliveries(msgspec.Struct):
    items: list[Delivery]
    next_cursor: str | None


class RunnerLine(msgspec.Struct):
    """A line of a runner's own log."""

    at: str
    app: str
    runner: str
    level: str
    message: str


class RunnerLines(msgspec.Struct):
    items: list[RunnerLine]
    next_cursor: str | None


class Latency(msgspec.Struct):
    """How long it took, in seconds. Quantiles are at most 19 % too high, and never too low."""

    mean: float
    p50: float
    p90: float
    p99: float


class Happened(msgspec.Struct, kw_only=True):
    """What happened to requests: how many were submitted, and how they ended; `lost` are attempts without an outcome.
    `wait` is from submit to start, `run` from start to end, `whole` both; None where none has ended."""

    submitted: int
    ok: int
    error: int
    cancelled: int
    lost: int
    wait: Latency | None
    run: Latency | None
    whole: Latency | None


class SeriesPoint(Happened, kw_only=True):
    """A point of a chart; `at` is where its step begins."""

    at: str


class Series(Happened, kw_only=True):
    """A chart of an app: its points lie `step` seconds apart, from `since` on; beside them all of it together."""

    app: str
    since: str
    until: str
    step: int
    points: list[SeriesPoint]


class AppSummary(Happened, kw_only=True):
    """How an app fared. `ends` and `errors` are lines: in each step so many requests ended, so many with an error."""

    app: str
    ends: list[int]
    errors: list[int]


class Summaries(msgspec.Struct):
    since: str
    until: str
    step: int
    items: list[AppSummary]


class ErrorGroupItem(msgspec.Struct):
    """Errors of one kind: `message` is without what differs from request to request, `share` is of all errors in this
    time, `sample` the newest request that has it."""

    app: str
    error_type: str | None
    message: str
    count: int
    share: float
    first: str
    last: str
    sample: str


class ErrorGroups(msgspec.Struct):
    """`count` is how many errors there were in all, `groups` of how many kinds that were asked for."""

    since: str
    until: str
    count: int
    groups: int
    items: list[ErrorGroupItem]
    next_cursor: str | None


SPARSE = frozenset({"RequestEvent", "Delivery"})
"""Shapes of which a member that means nothing is left out."""
