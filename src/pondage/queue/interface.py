"""What every queue engine does: domain verbs, no SQL. The conformance suite holds each engine to these docstrings.

An awaited verb returns after its commit is on disk. All verbs are called from the gateway's event loop. After each
commit an engine tells `pondage.queue.news`, which it is given when it is opened.

Longer than modules are here: it is one contract, and nearly all of it is what each verb promises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from pondage.queue.counts import Counts
from pondage.wire.events import Entry, Event, Outcome
from pondage.wire.frames import AppInfo, Mode
from pondage.wire.states import OutcomeKind, State


class ToldForecast(msgspec.Struct, frozen=True, array_like=True):
    """What was expected of a request as it came, in seconds: that it waits and runs for so long, and has ended within
    `p50` (half of such requests) and `p90` (nine of ten). Kept, so that it can be compared with what happened."""

    wait: float
    run: float
    p50: float
    p90: float


if TYPE_CHECKING:
    from pondage.queue.operations import Operations

Bound = Literal["", "cancel", "keep"]


class NewRequest(msgspec.Struct, frozen=True):
    """A request as a caller brings it.

    `app` is `owner/alias`, `path` the endpoint within it, `caller` the id of the API key (empty: none was needed),
    `headers` what is handed to the app, `base_url` the origin by which the caller came (for URLs in outputs),
    `priority` 0 normal, 1 low. Times are wall seconds since 1970, durations seconds.
    """

    id: str
    app: str
    path: str
    mode: Mode
    input: bytes
    submitted_at: float
    headers: dict[str, str] = {}
    base_url: str = ""
    caller: str = ""
    agent: str = ""
    priority: int = 0
    start_timeout: float | None = None
    run_timeout: float | None = None
    webhook: str | None = None
    webhook_events: tuple[str, ...] = ()
    idempotency_key: str | None = None
    fingerprint: bytes = b""
    """A hash of what makes two requests under one idempotency key the same: app, path and input. Where two differ, the
    inputs are compared as documents (`pondage.wire.canonical`)."""
    max_queue_length: int | None = None
    retried_from: str | None = None
    files: tuple[str, ...] = ()
    """The ids of the server's own files that the input refers to; they are kept while the request lives."""
    expected: float | None = None
    """How many seconds it is expected to run; None where there is no history. Fair order is by it."""
    store_io: bool = True
    """False: input and output are dropped once the outcome was read or its delivery is done (`X-Fal-Store-IO: 0`)."""
    subject: str | None = None
    """Whom the token was for that it came with; empty: for nobody in particular; None: it came with no token."""
    cost: float = 1.0
    """How dear it is, by the fields that its endpoint names as its cost."""
    said: ToldForecast | None = None
    """What was expected of it; None where nothing was written down."""
    start_at: float | None = None
    """Wall time before which it does not start; until then it is in no line."""
    deadline: float | None = None
    """Wall time by which it must have ended: it neither waits nor runs beyond."""
    payload_ttl: float | None = None
    """Seconds after its end for which its input and output are kept; None: as long as it is."""
    bound: Bound = ""
    """Not empty for a `run` without an idempotency key: nothing but its caller's connection leads to its outcome. What
    becomes of it when that connection ends."""


class Claim(msgspec.Struct, frozen=True):
    """A request that was given to a runner: the right to one attempt.

    `strikes` is how many attempts the request itself has spoiled before; `alone`: it is a suspect and must run with
    no neighbour in its process.
    """

    request: NewRequest
    attempt: int
    runner: str
    strikes: int = 0
    alone: bool = False


class Receipt(msgspec.Struct, frozen=True):
    """What a submit left behind. `replayed`: the idempotency key named an earlier request, which this is about."""

    request_id: str
    position: int
    replayed: bool = False


class Submission(msgspec.Struct, frozen=True):
    """A submit under way.

    `claim` is there at once where a slot was offered, nobody waits before it, and there is no idempotency key to look
    up: it may be handed out while the commit runs. `receipt` resolves after the commit. A claim that had to wait for
    the look-up comes through `claimed` (None: no slot was offered, or the slot was not needed), before the commit.
    """

    request: NewRequest
    claim: Claim | None
    claimed: asyncio.Future[Claim | None] | None
    receipt: asyncio.Future[Receipt]


class Spending(msgspec.Struct, frozen=True):
    """What an attempt took: its share of its runner's time in seconds (shared equally by what ran together), and the
    same times the devices that the runner holds."""

    runner: float = 0.0
    devices: float = 0.0


NOTHING_SPENT = Spending()


class Completion(msgspec.Struct, frozen=True):
    """What became of an outcome: `applied`, `repeated` (the same attempt had handed it in), `stale`, `unknown`."""

    verdict: str


class Cancelled(msgspec.Struct, frozen=True):
    """What a cancel met: the state before it (None: no such request), and who was running it."""

    was: State | None
    attempt: int = 0
    runner: str = ""


class RequestView(msgspec.Struct, frozen=True):
    """A request as it stands, without its payloads."""

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
    submitted_at: float
    last_event: int
    work_ahead: float | None = None
    """About how many seconds of running are ahead of it; each request without history counts for one. None unless
    queued."""
    position: int | None = None
    """How many requests of the same app are ahead: counted up to a thousand when one request is read, else an estimate.
    None unless queued."""
    started_at: float | None = None
    finished_at: float | None = None
    runner: str = ""
    base_url: str = ""
    webhook: str | None = None
    retried_from: str | None = None
    outcome: OutcomeKind | None = None
    status: int | None = None
    error: str | None = None
    error_type: str | None = None
    inference_time: float | None = None
    input_bytes: int = 0
    output_bytes: int = 0
    subject: str | None = None
    cost: float = 1.0
    start_at: float | None = None
    deadline: float | None = None


class Ran(msgspec.Struct, frozen=True):
    """A request that ended well: its endpoint's path, its cost, the seconds that its function took (None: not known)
    and those from its submit to its end, and what was expected of it."""

    path: str
    cost: float
    seconds: float | None
    total: float
    said: ToldForecast | None = None


class Filter(msgspec.Struct, frozen=True):
    """Which requests to list, newest first. `cursor` is the `next_cursor` of the page before.

    `apps`: only of these; `subject`: only those that came with a token for it.
    """

    app: str | None = None
    apps: tuple[str, ...] | None = None
    subject: str | None = None
    path: str | None = None
    state: State | None = None
    outcome: OutcomeKind | None = None
    caller: str | None = None
    since: float | None = None
    until: float | None = None
    id_tail: str | None = None
    error_type: str | None = None
    slower: float | None = None
    """Finished ones that ran for more seconds than this, from their last start to their end."""
    id: str | None = None
    priority: int | None = None
    """Queued ones of this priority; for operations."""
    limit: int = 50
    cursor: str | None = None


class Page(msgspec.Struct, frozen=True):
    items: list[RequestView]
    next_cursor: str | None = None


class Depth(msgspec.Struct, frozen=True):
    """How many requests of an app wait and run."""

    queued: int
    running: int


class Swept(msgspec.Struct, frozen=True):
    """What a sweep did: ids whose start limit ran out (now completed with 504); how many old requests it dropped;
    apps of which scheduled requests wait from now on."""

    expired: list[str]
    dropped: int
    released: frozenset[str] = frozenset()


class KnownApp(msgspec.Struct, frozen=True):
    """An app of the registry. It stays known, and its requests queue, while no runner has it."""

    name: str
    info: AppInfo
    first_seen: float
    last_seen: float
    fault: str | None = None
    """Why it cannot run just now, in one line for its callers; None when it can."""


class Waiting(Protocol):
    """The line of an app, up to date as one looks."""

    queued: int


class Watch(Protocol):
    async def changed(self, timeout: float) -> bool:
        """Wait until something was committed for the request since the last call; False after `timeout` seconds."""
        ...


class Queue(Protocol):
    """The durable queue, as one gateway has it open."""

    @property
    def seat(self) -> int:
        """The id of this life of the gateway; no other life has it, before or after."""
        ...

    # ---- callers

    def submit(self, request: NewRequest, *, slot: str | None = None, lazy: bool = False) -> Submission:
        """Put a request into the queue. `slot` offers a free slot of the runner with that id.

        `lazy`: the caller waits for the outcome anyway, so the insert need not be committed by itself and may
        share the transaction of the outcome.

        Raises (from `receipt`):
            InvalidInput: the idempotency key was used with another fingerprint.
            TooMany: `max_queue_length` is exceeded, or the setting `max_queue_length_per_key`.
            StorageFull: the disk is full.
        """
        ...

    async def cancel(self, request_id: str) -> Cancelled:
        """End a request as cancelled, queued or running; a completed one stays as it is."""
        ...

    async def fail(self, request_id: str, outcome: Outcome) -> bool:
        """End a request that waits with an outcome of ours; a running or completed one stays as it is. Whether it
        waited."""
        ...

    async def get(self, request_id: str) -> RequestView | None: ...

    async def input(self, request_id: str) -> NewRequest | None:
        """The request as it was brought, with its input."""
        ...

    async def outcome(self, request_id: str) -> Outcome | None:
        """The outcome, or None while there is none."""
        ...

    async def wait(self, request_id: str, timeout: float | None) -> Outcome | None:
        """The outcome as soon as it is committed; None after `timeout` seconds without one, for an unknown id, and at
        the end of a stop (`pondage.queue.news.News.let_go`)."""
        ...

    async def events(
        self, request_id: str, *, after: int = 0, limit: int = 1000, kinds: frozenset[str] | None = None
    ) -> list[Event]:
        """The request's log from number `after` on, in order, without gaps unless `kinds` selects."""
        ...

    async def newest(self, request_id: str, *, kinds: frozenset[str], limit: int) -> list[Event]:
        """The last `limit` entries of these kinds (logs, progress, chunks), in order; for polls, so that a long log
        costs them no more than a short one. Entries that lie very far back are left to `events`."""
        ...

    async def chunks(
        self, request_id: str, *, after: tuple[int, int], limit: int = 1000, most_bytes: int | None = None
    ) -> list[Event]:
        """The committed chunks that follow chunk `(attempt, n)`, no more than have `most_bytes` of data together; one
        at least, if there is one."""
        ...

    def watch(self, request_id: str) -> AbstractAsyncContextManager[Watch]: ...

    async def page(self, filter: Filter) -> Page:
        """A page of requests, newest first."""
        ...

    def work_ahead(self, app: str, priority: int, caller: str) -> float:
        """About how many seconds of running would be claimed before a request that this caller brought now."""
        ...

    async def history(self, app: str, limit: int) -> list[Ran]:
        """The newest requests of an app that ended well, at most `limit` and no sessions, in the order in which they
        came."""
        ...

    @property
    def lines(self) -> Mapping[str, Waiting]:
        """Every app that has had requests, and how many wait just now; the hint of `depth`, for who looks often."""
        ...

    def depth(self, app: str) -> Depth:
        """A hint, never made by reading rows: exact on one gateway, a second old beside others."""
        ...

    # ---- dispatch

    async def claim(self, app: str, slots: Sequence[str]) -> list[Claim]:
        """Give the next requests of `app`, in fair order, to free slots; the n-th goes to runner `slots[n]`.

        Fewer than there are slots: nobody waits any more, as far as is known. May return before the commit or after
        it: handing out may overlap it. A claim whose commit then fails is taken back, and the
        number of its attempt is not given out again (`pondage.queue.news.Listener.taken_back`).
        """
        ...

    def append(self, request_id: str, attempt: int, entries: Sequence[Entry]) -> asyncio.Future[bool]:
        """Add entries to the log. False: the attempt no longer holds the request; nothing was written.

        Chunks of the attempt that are in the log already are passed over: a runner sends them again when it has not
        heard of their commit.
        """
        ...

    def complete(
        self, request_id: str, attempt: int, outcome: Outcome, spent: Spending = NOTHING_SPENT
    ) -> asyncio.Future[Completion]:
        """The outcome, its event, the webhook's outbox row and what is counted, in one transaction. The first outcome
        wins."""
        ...

    async def retry(
        self,
        request_id: str,
        attempt: int,
        *,
        reason: str,
        strike: bool = False,
        alone: bool = False,
        spent: Spending = NOTHING_SPENT,
    ) -> bool:
        """Put a running request back at the head of its queue. False: the attempt no longer holds it."""
        ...

    def spend(self, app: str, caller: str, spent: Spending) -> None:
        """Count what an attempt took after its request had ended otherwise: cancelled, or out of time."""
        ...

    @property
    def operations(self) -> Operations:
        """What persons have it do to many requests."""
        ...

    @property
    def counts(self) -> Counts:
        """What is counted of requests."""
        ...

    # ---- upkeep

    async def orphans(self) -> list[Claim]:
        """Take over the requests that run under seats that have ended: each is this seat's from then on, and is
        returned to one gateway once. They stay running until they are retried or completed."""
        ...

    async def interrupted(self, window: float) -> list[str]:
        """Once, at the start: the runs (`NewRequest.bound`) that the end of the gateway before has cut off.

        Those that were begun, or are to be kept, may each be resumed once within `window` seconds. The ids of the
        others are returned: nothing was begun of them, and nobody can come back for them.
        """
        ...

    @property
    def resumable(self) -> bool:
        """Whether there may be a run to resume. Cheap, for it is asked at every run."""
        ...

    async def resume(self, request: NewRequest) -> str | None:
        """The run that was cut off and is repeated by this one: the same caller, endpoint and input. Its id, once;
        None where there is none."""
        ...

    async def sweep(self) -> Swept:
        """Expire start limits, apply retention."""
        ...

    async def forget_payloads(self, request_id: str) -> bool:
        """Drop the input and output of a request that has ended, for good. False: it has not, or there is none."""
        ...

    async def put_app(self, app: KnownApp) -> None: ...

    async def forget_app(self, name: str) -> bool:
        """Drop an app from the registry; False, and nothing is done, while requests of it wait or run."""
        ...

    async def apps(self) -> list[KnownApp]: ...

    async def referenced(self, file_ids: Sequence[str]) -> set[str]:
        """Which of these files the queued and running requests refer to (`NewRequest.files`)."""
        ...

    async def naming(self, file_id: str, caller: str) -> list[RequestView]:
        """The newest requests of a key's tokens (`NewRequest.subject`) whose inputs refer to the file."""
        ...
