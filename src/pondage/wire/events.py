"""A request's log and its outcome, as data: the runner writes entries, the queue numbers and keeps them."""

from __future__ import annotations

from typing import Literal

import msgspec

from pondage.wire.states import EventKind, OutcomeKind

Level = Literal["STDERR", "STDOUT", "ERROR", "INFO", "WARN", "DEBUG"]
"""The log levels that every official client can read (PROTOCOL 4.5)."""


class Queued(msgspec.Struct, frozen=True, array_like=True, tag="q"):
    at: float


class Started(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    at: float
    runner: str


class Log(msgspec.Struct, frozen=True, array_like=True, tag="l"):
    at: float
    level: Level
    message: str
    source: str = ""


class Progress(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    at: float
    step: float
    total: float | None = None
    message: str = ""


class Chunk(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """Partial output: `n` counts from 1 within the attempt, `data` is ASCII-only JSON on one line."""

    at: float
    n: int
    data: bytes


class Retried(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    at: float
    reason: str
    strike: bool = False


class Stale(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """A late write by an attempt that had already lost the request: evidence, nothing more."""

    at: float
    what: str


class Completed(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    at: float
    kind: OutcomeKind
    status: int
    error: str | None = None
    error_type: str | None = None


class Operated(msgspec.Struct, frozen=True, array_like=True, tag="o"):
    """Somebody else's act: what the key `by` did to the request, and in which operation."""

    at: float
    by: str
    what: str
    operation: str = ""


Entry = Queued | Started | Log | Progress | Chunk | Retried | Stale | Completed | Operated

KIND_OF: dict[type[Entry], EventKind] = {
    Queued: EventKind.QUEUED,
    Started: EventKind.STARTED,
    Log: EventKind.LOG,
    Progress: EventKind.PROGRESS,
    Chunk: EventKind.CHUNK,
    Retried: EventKind.RETRIED,
    Stale: EventKind.STALE,
    Completed: EventKind.COMPLETED,
    Operated: EventKind.OPERATED,
}


class Event(msgspec.Struct, frozen=True):
    """An entry with its place: `n` is its number in the request's log, from 1 and without gaps."""

    n: int
    attempt: int
    entry: Entry

    @property
    def kind(self) -> EventKind:
        return KIND_OF[type(self.entry)]


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """How a request ended, and what its caller gets: an HTTP status, headers and a body.

    `error` and `error_type` are what the status object shows of a failure (PROTOCOL 4.5, 9.2), `inference_time` the
    seconds that the app's function took, `payload_error` why an output could not be serialised (PROTOCOL 8).
    """

    kind: OutcomeKind
    status: int
    body: bytes
    headers: dict[str, str] = {}
    error: str | None = None
    error_type: str | None = None
    inference_time: float | None = None
    payload_error: str | None = None

    @classmethod
    def failure(cls, status: int, detail: str, error_type: str, **headers: str) -> Outcome:
        """An infrastructure error: body and header in fal's shape (PROTOCOL 9.2)."""
        return cls(
            kind=OutcomeKind.CANCELLED if error_type == "client_cancelled" else OutcomeKind.ERROR,
            status=status,
            body=msgspec.json.encode({"detail": detail, "error_type": error_type}),
            headers={"content-type": "application/json", "x-fal-error-type": error_type, **headers},
            error=detail,
            error_type=error_type,
        )
