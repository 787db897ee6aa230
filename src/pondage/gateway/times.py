"""When a request may start, by when it must have ended, and how long its payloads are kept: three headers of ours."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple

from pondage.clock import iso
from pondage.errors import InvalidInput
from pondage.gateway.call import Call, Role
from pondage.wire.frames import AppInfo

START_AT, DEADLINE, PAYLOAD_TTL = "pondage-start-at", "pondage-deadline", "pondage-payload-ttl"
NAMES = {START_AT: "Pondage-Start-At", DEADLINE: "Pondage-Deadline", PAYLOAD_TTL: "Pondage-Payload-TTL"}
FARTHEST = 366 * 86_400.0
"""Seconds from now beyond which no time may lie."""
SKEW = 60.0
"""A time that has passed by no more seconds than this counts as now: clocks differ."""


class Times(NamedTuple):
    """Wall times, and seconds after the end."""

    start_at: float | None
    deadline: float | None
    payload_ttl: float | None


def read(call: Call, info: AppInfo, now: float) -> Times:
    """What the headers of a call say, and what its app says where they are silent.

    Raises:
        InvalidInput: a time that is none, has passed, or lies beyond a year.
    """
    headers = call.headers
    start_at = deadline = None
    if START_AT in headers:
        if call.role is not Role.QUEUE:
            raise InvalidInput.field(["header", NAMES[START_AT]], "is for requests that are submitted to the queue")
        start_at = _moment(call, START_AT, now)
    if DEADLINE in headers:
        deadline = _moment(call, DEADLINE, now)
        if start_at is not None and deadline <= start_at:
            raise InvalidInput.field(["header", NAMES[DEADLINE]], f"{iso(deadline)} is not after {NAMES[START_AT]}")
    ttl = _seconds(call) if PAYLOAD_TTL in headers else info.payload_ttl
    return Times(None if start_at is None or start_at <= now else start_at, deadline, ttl)


def _moment(call: Call, name: str, now: float) -> float:
    """A time, as seconds since 1970 or ISO 8601; one without a zone is UTC."""
    text = call.headers[name].strip()
    try:
        at = float(text)
    except ValueError:
        try:
            given = datetime.fromisoformat(text)
            at = (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            at = math.nan
    place: list[str | int] = ["header", NAMES[name]]
    if not math.isfinite(at):
        raise InvalidInput.field(place, f"{text!r} is no time: say seconds since 1970, or like {iso(now + 3600)}")
    if at < now - SKEW:
        raise InvalidInput.field(place, f"{text!r} has passed; here it is {iso(now)}")
    if at > now + FARTHEST:
        raise InvalidInput.field(place, f"{text!r} lies more than a year ahead; here it is {iso(now)}")
    return at


def _seconds(call: Call) -> float:
    text = call.headers[PAYLOAD_TTL].strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= FARTHEST:
        raise InvalidInput.field(["header", NAMES[PAYLOAD_TTL]], f"{text!r} is not a number of seconds up to a year")
    return seconds
