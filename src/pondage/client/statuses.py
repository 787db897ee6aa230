"""Where a request is, as the caller sees it (PROTOCOL 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from pondage.client.errors import OutputMismatch

LogEntry = dict[str, Any]
"""A log entry: `message`, `timestamp`, `level`, `labels`, `source`."""


@dataclass(frozen=True)
class Progress:
    """How far the request says that it is: `step` of `total` (None where it did not say), and a sentence."""

    step: float
    total: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Within:
    """Seconds, counted from the status, within which half of such requests, and nine of ten, are there."""

    p50: float
    p90: float


@dataclass(frozen=True)
class Expected:
    """When the request starts and ends, as far as the history of its app tells. `start` is None once it has started."""

    start: Within | None
    end: Within


@dataclass
class Status:
    """The root of the three states."""


@dataclass
class Queued(Status):
    """Waiting. `position` counts from 0 and is an estimate; `fault` says why its app cannot run just now, if so;
    `expected` when it starts and ends, where that is known (Pondage only)."""

    position: int
    fault: str | None = field(default=None, compare=False)
    expected: Expected | None = field(default=None, compare=False)


@dataclass
class InProgress(Status):
    """Running.

    `logs` holds all entries so far, or None where they were not asked for; `new_logs` those that were not in the
    event before. `progress` is what the request last said of itself, `expected` when it ends (Pondage only).
    """

    logs: list[LogEntry] | None
    progress: Progress | None = field(default=None, compare=False)
    new_logs: list[LogEntry] = field(default_factory=list, compare=False, repr=False)
    expected: Expected | None = field(default=None, compare=False)


@dataclass
class Completed(Status):
    """Done: well, badly (`error`, `error_type`), or cancelled."""

    logs: list[LogEntry] | None
    metrics: dict[str, Any]
    error: str | None = None
    error_type: str | None = None
    progress: Progress | None = field(default=None, compare=False)
    new_logs: list[LogEntry] = field(default_factory=list, compare=False, repr=False)


class StatusBody(msgspec.Struct):
    """The status object on the wire; what a server may leave out is optional."""

    status: str
    request_id: str | None = None
    queue_position: int | None = None
    logs: list[LogEntry] | None = None
    metrics: dict[str, Any] | None = None
    error: str | None = None
    error_type: str | None = None
    progress: Progress | None = None
    fault: str | None = None
    expected: Expected | None = None


_decoder = msgspec.json.Decoder(StatusBody)


class StatusReader:
    """Makes statuses of status bodies, and keeps the log together where each body brings only what is new.

    Args:
        with_logs: whether `logs` is filled.
        only_new: whether a body holds only new entries (the status stream), or all of them (a poll).
    """

    def __init__(self, *, with_logs: bool, only_new: bool) -> None:
        self._with_logs = with_logs
        self._only_new = only_new
        self._logs: list[LogEntry] = []

    def forget(self) -> None:
        """The server begins from the start again."""
        self._logs = []

    def read(self, body: bytes) -> Status:
        """The status that `body` stands for.

        Raises:
            OutputMismatch: it is no status object, or holds a word that is no state.
        """
        try:
            wire = _decoder.decode(body)
        except msgspec.DecodeError as error:
            raise OutputMismatch(f"this is no status: {error}") from error
        if wire.status == "IN_QUEUE":
            return Queued(position=wire.queue_position or 0, fault=wire.fault, expected=wire.expected)
        logs, new = self._take(wire.logs or [])
        if wire.status == "IN_PROGRESS":
            return InProgress(logs=logs, progress=wire.progress, new_logs=new, expected=wire.expected)
        if wire.status == "COMPLETED":
            return Completed(
                logs=logs,
                metrics=wire.metrics or {},
                error=wire.error,
                error_type=wire.error_type,
                progress=wire.progress,
                new_logs=new,
            )
        raise OutputMismatch(f"{wire.status!r} is no state of a request")

    def _take(self, logs: list[LogEntry]) -> tuple[list[LogEntry] | None, list[LogEntry]]:
        if not self._with_logs:
            return None, []
        if self._only_new:
            new = logs
            self._logs = self._logs + new if new else self._logs
        else:
            new = logs[len(self._logs) :]
            self._logs = logs
        return self._logs, new


def read_status(body: bytes, *, with_logs: bool) -> Status:
    """The status of one poll."""
    return StatusReader(with_logs=with_logs, only_new=False).read(body)
