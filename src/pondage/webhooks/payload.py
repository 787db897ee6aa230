"""What a delivery says: fal's body for the outcome (PROTOCOL 8), and a like one for what comes before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pondage.clock import iso
from pondage.wire.events import Entry, Log, Outcome, Progress, Started
from pondage.wire.states import OutcomeKind


def completed(request_id: str, outcome: Outcome) -> bytes:
    """fal's body for a request that ended. What is no JSON is told as `payload_error`, with `payload` null."""
    ok = outcome.kind is OutcomeKind.OK
    members: dict[str, Any] = {
        "request_id": request_id,
        "gateway_request_id": request_id,
        "status": "OK" if ok else "ERROR",
    }
    if not ok:
        members["error"] = outcome.error or f"Invalid status code: {outcome.status}"
    payload_error = outcome.payload_error
    if payload_error is None and ok and not outcome.body:
        # `X-Fal-Store-IO: 0`, and the delivery was replayed after the output was dropped.
        payload_error = "the output is empty, or kept no more"
    if payload_error is None:
        try:
            outcome.body.decode()  # Raw looks at the structure only, and receivers refuse what is not UTF-8
            members["payload"] = msgspec.json.decode(outcome.body, type=msgspec.Raw) if outcome.body else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            kind = outcome.headers.get("content-type", "of no type")
            payload_error = f"the output is {kind}, not JSON; fetch it from the request's response URL"
    if payload_error is not None:
        members |= {"payload": None, "payload_error": payload_error}
    return msgspec.json.encode(members)


def intermediate(request_id: str, event: str, seq: int, entries: Sequence[Entry]) -> bytes:
    """The body of a `started`, `progress` or `log` delivery. `type` tells it from an outcome, `event` orders it."""
    members: dict[str, Any] = {
        "request_id": request_id,
        "gateway_request_id": request_id,
        "type": event,
        "status": "IN_PROGRESS",
        "event": seq,
    }
    logs = []
    for entry in entries:
        match entry:
            case Started(at=at):
                members["timestamp"] = iso(at)
            case Progress(at=at, step=step, total=total, message=message):
                members["timestamp"] = iso(at)
                members["progress"] = {"step": step, "total": total, "message": message}
            case Log(at=at, level=level, message=message, source=source):
                logs.append({"timestamp": iso(at), "level": level, "message": message, "source": source})
            case _:
                pass
    if event == "log":
        members["logs"] = logs
    return msgspec.json.encode(members)
