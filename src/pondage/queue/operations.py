"""What a person has the server do to many requests, or to an app: one named operation, in steps, that can be undone.

An operation is a row. It looks at the requests that were there when it began, oldest first, a few in each transaction,
and touches those that fit its filter when it reaches them; how far it is stands in the same transaction. So it
survives every crash, holds nobody up, and can be paused, or undone: then it touches none that it had not reached.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from pondage.queue.interface import Filter, NewRequest

FRONT = -1
"""The priority of what was moved to the front: before 0, normal, and 1, low."""


class Kind(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"
    PRIORITY = "priority"
    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"


HOLDS = frozenset({Kind.PAUSE, Kind.RESUME, Kind.DRAIN})
"""Kinds that concern an app, and are done at once."""


class Phase(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    UNDONE = "undone"


STEERS = {
    "pause": (frozenset({Phase.RUNNING}), Phase.PAUSED),
    "resume": (frozenset({Phase.PAUSED}), Phase.RUNNING),
    "undo": (frozenset({Phase.RUNNING, Phase.PAUSED}), Phase.UNDONE),
}
"""What may be said to an operation: from which states, and which one follows."""


class Act(msgspec.Struct, frozen=True, array_like=True):
    """What a key said to an operation, and when (wall seconds)."""

    at: float
    by: str
    what: str


class Operation(msgspec.Struct, frozen=True):
    """`by` is the id of the key that began it, `priority` what its requests get, `app` the app that it holds or lets
    go.

    `matched` is how many requests fitted as it began, `changed` how many it has touched, `passed` how many it left
    alone because they no longer fitted when it reached them. `upto` and `cursor` are places in the order of arrival: it
    has looked at all up to `cursor`, and ends at `upto`.
    """

    id: str
    kind: Kind
    by: str
    at: float
    name: str = ""
    reason: str = ""
    filter: Filter = Filter()
    priority: int | None = None
    app: str | None = None
    phase: Phase = Phase.RUNNING
    matched: int = 0
    changed: int = 0
    passed: int = 0
    upto: int = 0
    cursor: int = 0
    ended_at: float | None = None
    acts: tuple[Act, ...] = ()


class Hold(msgspec.Struct, frozen=True):
    """An app of which nothing is started: `drained`, its runners leave as well. Said by the key `by` at `at`."""

    app: str
    drained: bool
    by: str
    reason: str
    at: float

    def __str__(self) -> str:
        by = f" by key {self.by}" if self.by else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.app} is {'drained' if self.drained else 'paused'}{by}{reason}"


class Step(NamedTuple):
    """What a step did. `stopped` are requests that ran, `submitted` those that wait since, `apps` whose lines have
    changed."""

    operation: Operation
    stopped: tuple[str, ...] = ()
    submitted: tuple[NewRequest, ...] = ()
    apps: frozenset[str] = frozenset()


class Waiting(msgspec.Struct, frozen=True):
    """How many requests of an app a key has waiting at a priority."""

    caller: str
    priority: int
    queued: int


class Operations(Protocol):
    """The operations of a queue. Awaited verbs return after their commit."""

    async def count(self, kind: Kind, filter: Filter) -> int:
        """How many requests an operation of this kind would find now."""
        ...

    async def begin(self, operation: Operation) -> Operation:
        """Write it down; it takes its first step when somebody calls `step`."""
        ...

    async def step(self, operation_id: str) -> Step | None:
        """Its next step, in one short transaction; None where it is not running."""
        ...

    async def steer(self, operation_id: str, what: str, by: str) -> Operation | None:
        """Pause it, resume it, or undo what it has not reached; None where there is none.

        Raises:
            BadRequest: it is not in a state in which this can be said.
        """
        ...

    async def get(self, operation_id: str) -> Operation | None: ...

    async def newest(self, limit: int, by: str | None = None) -> list[Operation]:
        """The newest ones, or those that a key began."""
        ...

    async def unfinished(self) -> list[str]:
        """Those that have steps to take, oldest first."""
        ...

    async def hold(self, operation: Operation) -> Hold | None:
        """Pause, resume or drain an app, and write down that it was done; the hold that is there afterwards."""
        ...

    async def holds(self) -> list[Hold]: ...

    async def oldest(self, app: str) -> float | None:
        """When the oldest request that waits came, in wall seconds; None where none does."""
        ...

    def waiting(self, app: str) -> list[Waiting]:
        """Who waits, the most first."""
        ...
