"""What a database has counted, beside what its requests and their logs add up to: the same after any crash."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from pondage.queue.counts import Errors, Fact, Rollup, Usage, count
from pondage.queue.stored import unpack_entries
from pondage.wire.events import Retried

_FINISHED = """SELECT kind, max(coalesce(started_at, finished_at) - submitted_at, 0), input_bytes, output_bytes
FROM finished"""
_NEVER_STARTED = "its start could not be written"
"""Of an attempt that no runner was charged for: its claim was never committed."""
_EXACT = ("submitted", "ok", "error", "cancelled", "input_bytes", "output_bytes")


class Counted(msgspec.Struct):
    """Everything that the tables of counts say, folded or not, of all apps and keys."""

    usage: Usage = msgspec.field(default_factory=Usage)
    minutes: Rollup = msgspec.field(default_factory=Rollup)
    hours: Rollup = msgspec.field(default_factory=Rollup)
    totals: Rollup = msgspec.field(default_factory=Rollup)
    errors: int = 0


def read_counted(connection: apsw.Connection) -> Counted:
    """What was counted."""
    counted = Counted()
    facts = msgspec.msgpack.Decoder(list[Fact])
    fresh = count(fact for (row,) in connection.execute("SELECT facts FROM facts") for fact in facts.decode(row))
    for usage in (*_all(connection, "SELECT usage FROM usage", Usage), *fresh.usage.values()):
        counted.usage.add(usage)
    for minute in (*_all(connection, "SELECT rollup FROM rollup_minutes", Rollup), *fresh.minutes.values()):
        counted.minutes.add(minute)
    for hour in (*_all(connection, "SELECT rollup FROM rollup_hours", Rollup), *fresh.hours.values()):
        counted.hours.add(hour)
    for total in (*_all(connection, "SELECT rollup FROM rollup_totals", Rollup), *fresh.hours.values()):
        counted.totals.add(total)
    groups = (*_all(connection, "SELECT errors FROM error_hours", Errors), *fresh.errors.values())
    counted.errors = sum(group.count for group in groups)
    return counted


def _all(connection: apsw.Connection, statement: str, shape: type[Any]) -> list[Any]:
    return [msgspec.msgpack.decode(row, type=shape) for (row,) in connection.execute(statement)]


def read_requests(connection: apsw.Connection) -> Usage:
    """What the requests and their logs add up to; `lost` are the attempts that were put back."""
    found = Usage()
    for kind, waited, brought, given in connection.execute(_FINISHED):
        setattr(found, kind, getattr(found, kind) + 1)
        found.waited += waited
        found.input_bytes += brought
        found.output_bytes += given
    waiting, brought = next(connection.execute("SELECT count(*), coalesce(sum(input_bytes), 0) FROM requests"))
    found.submitted = found.ok + found.error + found.cancelled + waiting
    found.input_bytes += brought
    for (entries,) in connection.execute("SELECT entries FROM events"):
        found.lost += sum(
            isinstance(entry, Retried) and entry.reason != _NEVER_STARTED for entry in unpack_entries(entries)
        )
    return found


def differences(counted: Counted, found: Usage) -> list[str]:
    """What was counted wrong."""
    used, wrong = counted.usage, []
    for name in _EXACT:
        if getattr(used, name) != getattr(found, name):
            wrong.append(f"usage says {name} {getattr(used, name)}, the requests add up to {getattr(found, name)}")
    if abs(used.waited - found.waited) > 1e-6 * max(found.waited, 1.0):
        wrong.append(f"usage says {used.waited} s waited, the requests add up to {found.waited} s")
    # An attempt that went on after its request had ended from outside is counted too, and has no entry in a log.
    most = found.lost + found.cancelled + found.error
    if not found.lost <= used.lost <= most:
        wrong.append(
            f"usage says {used.lost} lost attempts, the logs have {found.lost}, and at most {most} explain more"
        )
    for name in ("minutes", "hours", "totals"):
        rollup: Rollup = getattr(counted, name)
        for member in ("submitted", "ok", "error", "cancelled", "lost"):
            if getattr(rollup, member) != getattr(used, member):
                wrong.append(f"the {name} say {member} {getattr(rollup, member)}, usage {getattr(used, member)}")
        for member in ("waits", "runs", "totals"):
            if sum(getattr(rollup, member).values()) != rollup.ended:
                wrong.append(f"the {name} have {sum(getattr(rollup, member).values())} {member} of {rollup.ended} ends")
    if counted.errors != used.error:
        wrong.append(f"the groups of errors have {counted.errors}, usage {used.error}")
    return wrong
