"""The status object, with every member that some official client cannot do without (PROTOCOL 4.5)."""

from __future__ import annotations

import base64
from typing import Any

from pondage.clock import iso
from pondage.gateway.call import Origins
from pondage.queue.interface import RequestView
from pondage.wire.events import Event, Log, Progress
from pondage.wire.states import State

_IMAGES = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"GI": "image/gif", b"RI": "image/webp"}


def picture_url(data: bytes) -> str:
    """A small picture as an address that holds it."""
    return f"data:{_IMAGES.get(data[:2], 'image/jpeg')};base64,{base64.b64encode(data).decode()}"


def urls(origins: Origins, app: str, request_id: str) -> dict[str, str]:
    """The three URLs of a request, in the way its caller came."""
    base = f"{origins.queue}/{app}/requests/{request_id}"
    return {"response_url": base, "status_url": base + "/status", "cancel_url": base + "/cancel"}


def log_entry(log: Log) -> dict[str, Any]:
    """A log line in the union of what the clients read: Swift fails without `labels.level`."""
    return {
        "message": log.message,
        "timestamp": iso(log.at),
        "level": log.level,
        "source": "USER",
        "labels": {"level": log.level, "source": log.source or "app"},
    }


def status_object(
    view: RequestView,
    origins: Origins,
    *,
    logs: list[Event] | None,
    progress: Progress | None = None,
    fault: str | None = None,
    expected: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A request's status for its caller. `logs` None: not asked for. `fault`: why its app cannot run just now.
    `expected`: when it starts and ends, see `pondage.gateway.expected`."""
    status: dict[str, Any] = {
        "status": view.state.value,
        "request_id": view.id,
        **urls(origins, view.app, view.id),
        "logs": None if logs is None else [log_entry(e.entry) for e in logs if isinstance(e.entry, Log)],
        "metrics": {},
    }
    if view.state is State.QUEUED:
        status["queue_position"] = view.position or 0
        if view.start_at is not None and view.position is None:
            status["start_at"] = iso(view.start_at)
        if fault:
            status["fault"] = fault
    elif view.state is State.DONE:
        status["metrics"] = {"inference_time": view.inference_time}
        if view.error is not None:
            status["error"] = view.error
        if view.error_type is not None:
            status["error_type"] = view.error_type
    if expected is not None:
        status["expected"] = expected
    if progress is not None:
        status["progress"] = {"step": progress.step, "total": progress.total, "message": progress.message}
    return status
