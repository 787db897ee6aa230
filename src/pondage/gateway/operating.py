"""What operators do to a queue: hold an app, do one thing to many requests, see the lines. And keys, to their own."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pondage.clock import iso
from pondage.errors import Forbidden, InvalidInput, NotFound
from pondage.gateway import answers
from pondage.gateway.access import require
from pondage.gateway.api import held, number
from pondage.gateway.call import Call, Caller, Response
from pondage.gateway.requests import is_own, visible
from pondage.gateway.shapes import Line, LineOfKey, Operation
from pondage.queue import operations
from pondage.queue.interface import Filter
from pondage.queue.operations import FRONT, STEERS, Kind
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind, State

PRIORITIES = {"front": FRONT, "normal": 0, "low": 1}
WORDS = {priority: word for word, priority in PRIORITIES.items()}
_STATES = {"queued": State.QUEUED, "running": State.RUNNING}
_RATE_OVER = 300.0
"""Seconds over which rates are told."""
_MOST_KEYS = 100
"""Keys that are listed of one line."""

Priority = Literal["front", "normal", "low"]


class Why(msgspec.Struct):
    """Why an app is paused, drained or resumed; shown to who waits."""

    reason: str = ""


class Matching(msgspec.Struct, forbid_unknown_fields=True):
    """Which requests: all that are named must fit. Times are seconds since 1970."""

    app: str | None = None
    path: str | None = None
    caller: str | None = None
    state: Literal["queued", "running"] | None = None
    outcome: Literal["ok", "error", "cancelled"] | None = None
    error_type: str | None = None
    priority: Priority | None = None
    since: float | None = None
    until: float | None = None


class Begin(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be done to all requests that match. `count`: at most so many may match, or nothing is done; a filter
    that names nothing needs it. `dry_run`: only say how many match."""

    kind: Literal["cancel", "retry", "priority"]
    filter: Matching = msgspec.field(default_factory=Matching)
    priority: Priority | None = None
    name: str = ""
    reason: str = ""
    count: int | None = None
    dry_run: bool = False


class NewPriority(msgspec.Struct):
    priority: Priority


# ---- apps


async def pause(call: Call) -> Response:
    """Start nothing more of an app; what runs goes on, what comes waits."""
    return await _hold(call, Kind.PAUSE)


async def drain(call: Call) -> Response:
    """Start nothing more of an app, and end its runners once they are done."""
    return await _hold(call, Kind.DRAIN)


async def resume(call: Call) -> Response:
    """Let an app go on that was paused or drained."""
    return await _hold(call, Kind.RESUME)


async def _hold(call: Call, kind: Kind) -> Response:
    app = call.params["app"]
    if app not in call.rooms.fleet.infos or not call.caller.may_call(app):
        raise NotFound(f"Application {app!r} not found")
    why = await call.json(Why)
    now = call.rooms.clock.wall()
    reason = _short(why.reason, "reason")
    asked = operations.Operation(new_request_id(), kind, call.caller.key_id, now, reason=reason, app=app)
    await call.rooms.fleet.hold(asked)
    state = call.rooms.fleet.app(app)
    return answers.json({"app": app, "held": None if state is None else held(state)})


async def forget(call: Call) -> Response:
    """Forget an app that no server of this queue serves any more: calls of it are 404; its finished requests stay."""
    app = call.params["app"]
    if app not in call.rooms.fleet.infos or not call.caller.may_call(app):
        raise NotFound(f"Application {app!r} not found")
    await call.rooms.fleet.forget(app)
    return answers.json({"forgotten": app})


# ---- one thing to many requests


async def begin(call: Call) -> Response:
    """Cancel, run again, or reprioritise all requests that match, in steps, beside everything else."""
    asked = await call.json(Begin, hint='like {"kind": "cancel", "filter": {"app": "owner/alias"}}')
    kind = Kind(asked.kind)
    priority = _priority(call.caller, asked.priority) if kind is Kind.PRIORITY else None
    filter = _filter(call, kind, asked.filter)
    matched = await call.rooms.queue.operations.count(kind, filter)
    if asked.count is None and asked.filter == Matching() and not asked.dry_run:
        raise InvalidInput.field(
            ["body", "count"], f'this filter names nothing and matches {matched} requests; say "count": {matched}'
        )
    if asked.count is not None and matched > asked.count:
        text = f"{matched} requests match, more than {asked.count}; nothing is done"
        raise InvalidInput.field(["body", "count"], text)
    if asked.dry_run:
        return answers.json({"matched": matched})
    name, reason = _short(asked.name, "name"), _short(asked.reason, "reason")
    return answers.json(shown(await _begin(call, kind, filter, priority, name=name, reason=reason)), status=202)


async def _begin(
    call: Call, kind: Kind, filter: Filter, priority: int | None, *, name: str = "", reason: str = ""
) -> operations.Operation:
    by, now = call.caller.key_id, call.rooms.clock.wall()
    asked = operations.Operation(new_request_id(), kind, by, now, name, reason, filter, priority)
    begun = await call.rooms.queue.operations.begin(asked)
    call.rooms.fleet.operate()
    return begun


def _filter(call: Call, kind: Kind, asked: Matching) -> Filter:
    """The filter, within what the caller may touch: everybody's requests with `operate`, else its own."""
    who = call.caller
    if who.by_token:
        raise Forbidden("operations are for keys; a token cancels its requests one by one")
    if not who.may("operate"):
        require(who, "submit")
        if asked.caller not in (None, who.key_id):
            raise Forbidden("the requests of other keys take the scope 'operate'")
    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        raise InvalidInput.field(["body", "filter", "until"], f"{asked.until!r} is not after since, {asked.since!r}")
    if kind is Kind.RETRY and asked.state is not None:
        raise InvalidInput.field(["body", "filter", "state"], "what is run again has ended: filter by outcome")
    if kind is not Kind.RETRY and (asked.outcome is not None or asked.error_type is not None):
        raise InvalidInput.field(["body", "filter", "outcome"], "what has ended cannot be changed; filter by state")
    if kind is Kind.PRIORITY and asked.state == "running":
        raise InvalidInput.field(["body", "filter", "state"], "what runs has left the line")
    default = OutcomeKind.ERROR if kind is Kind.RETRY and asked.error_type is None else None
    return Filter(
        app=asked.app,
        apps=call.rooms.apps_of(who),
        path=asked.path,
        caller=asked.caller if who.may("operate") else who.key_id,
        state=None if asked.state is None else _STATES[asked.state],
        outcome=default if asked.outcome is None else OutcomeKind(asked.outcome),
        error_type=asked.error_type,
        priority=None if asked.priority is None else PRIORITIES[asked.priority],
        since=asked.since,
        until=asked.until,
    )


def _priority(caller: Caller, word: Priority | None) -> int:
    """The priority that a word names.

    Raises:
        InvalidInput: none is named. Forbidden: it is above the key's ceiling, or the front, which is for operators.
    """
    if word is None:
        raise InvalidInput.field(["body", "priority"], f"say which: {', '.join(PRIORITIES)}")
    priority = PRIORITIES[word]
    if priority == FRONT:
        require(caller, "operate")
    elif priority < caller.highest:
        raise Forbidden(f"priority {word!r} is above this key's ceiling, {WORDS[caller.highest]!r}")
    return priority


def _short(text: str, name: str) -> str:
    if len(text) > 500:
        raise InvalidInput.field(["body", name], f"has {len(text)} characters; at most 500")
    return text


async def set_priority(call: Call) -> Response:
    """Give one waiting request another priority; `front` is before everybody's."""
    view = await visible(call, "read-all or operate")
    require(call.caller, "submit or operate" if is_own(call.caller, view) else "operate")
    priority = _priority(call.caller, (await call.json(NewPriority)).priority)
    if view.state is not State.QUEUED:
        raise InvalidInput.field(["path", "request_id"], f"request {view.id} waits no longer, it has left the line")
    return answers.json(shown(await _begin(call, Kind.PRIORITY, Filter(id=view.id), priority)), request_id=view.id)


async def listed(call: Call) -> Response:
    """The newest operations: everybody's with `operate`, within the key's apps, else the key's own."""
    _keys_only(call)
    own = None if call.caller.may("operate") else call.caller.key_id
    found = await call.rooms.queue.operations.newest(max(1, number(call, "limit", 50, 1000)), own)
    return answers.json({"items": [shown(one) for one in found if _is_for(call, one)], "next_cursor": None})


async def show(call: Call) -> Response:
    """One operation, and how far it is."""
    return answers.json(shown(await _known(call)))


async def steer(call: Call) -> Response:
    """Pause it, resume it, or undo it: what it has not reached stays as it is."""
    operation = await _known(call)
    what = call.params["what"]
    if what not in STEERS:
        raise NotFound(f"an operation takes {', '.join(STEERS)}, not {what!r}")
    steered = await call.rooms.queue.operations.steer(operation.id, what, call.caller.key_id)
    call.rooms.fleet.operate()
    return answers.json(shown(steered or operation))


async def _known(call: Call) -> operations.Operation:
    _keys_only(call)
    found = await call.rooms.queue.operations.get(call.params["id"])
    if found is None or not _is_for(call, found):
        raise NotFound(f"there is no operation {call.params['id']}")
    return found


def _is_for(call: Call, operation: operations.Operation) -> bool:
    """Whether an operation is the caller's own, or `operate` opens it: then all that it touches is of its apps."""
    who, filter = call.caller, operation.filter
    if operation.by == who.key_id or who.apps is None:
        return operation.by == who.key_id or who.may("operate")
    if not who.may("operate"):
        return False
    # One request by its id, and a filter without an app, can be of any.
    named = operation.app or filter.app
    touched = filter.apps if named is None else [named]
    return touched is not None and all(who.may_call(app) for app in touched)


def _keys_only(call: Call) -> None:
    if call.caller.by_token:
        raise Forbidden("operations are for keys")


def shown(operation: operations.Operation) -> Operation:
    """An operation as JSON."""
    f = operation.filter
    filter = {name: value for name in Matching.__struct_fields__ if (value := getattr(f, name)) is not None}
    if f.id is not None:
        filter["id"] = f.id
    if f.priority is not None:
        filter["priority"] = WORDS.get(f.priority, f.priority)
    return Operation(
        id=operation.id,
        kind=operation.kind.value,
        name=operation.name,
        by=operation.by,
        at=iso(operation.at),
        reason=operation.reason,
        filter=filter,
        priority=None if operation.priority is None else WORDS.get(operation.priority, str(operation.priority)),
        app=operation.app,
        phase=operation.phase.value,
        matched=operation.matched,
        changed=operation.changed,
        passed=operation.passed,
        ended_at=None if operation.ended_at is None else iso(operation.ended_at),
        acts=[{"at": iso(act.at), "by": act.by, "what": act.what} for act in operation.acts],
    )


# ---- the lines


async def lines(call: Call) -> Response:
    """The queue of each app: how many wait and run, how old the oldest is, how fast it moves, and whose they are."""
    only = call.query.get("app")
    names = [name for name in call.rooms.fleet.app_names() if call.caller.may_call(name) and only in (None, name)]
    if only is not None and not names:
        raise NotFound(f"Application {only!r} not found")
    now = call.rooms.clock.wall()
    rolled = await call.rooms.queue.counts.rollups(since=now - _RATE_OVER, until=now + 60, app=only)
    items = [await _line(call, name, now, [one.rollup for one in rolled if one.app == name]) for name in names]
    return answers.json({"items": items, "next_cursor": None})


async def _line(call: Call, app: str, now: float, rollups: list[Any]) -> Line:
    queue, fleet = call.rooms.queue, call.rooms.fleet
    depth, running = queue.depth(app), fleet.running_by(app)
    oldest = await queue.operations.oldest(app)
    state = fleet.app(app)
    keys: dict[str, LineOfKey] = {}
    for one in queue.operations.waiting(app):
        key = keys.setdefault(one.caller, LineOfKey(one.caller, 0, 0))
        key.queued += one.queued
    for caller, count in running.items():
        keys.setdefault(caller, LineOfKey(caller, 0, 0)).running = count
    if call.caller.by_token or not call.caller.may("read-all or operate"):
        keys = {caller: key for caller, key in keys.items() if caller == call.caller.key_id}
    per_minute = 60 / _RATE_OVER
    return Line(
        app=app,
        queued=depth.queued,
        running=depth.running,
        oldest=None if oldest is None else max(now - oldest, 0.0),
        work_ahead=round(queue.work_ahead(app, 2, ""), 3),
        submitted_per_minute=round(sum(one.submitted for one in rollups) * per_minute, 2),
        ended_per_minute=round(sum(one.ended for one in rollups) * per_minute, 2),
        held=None if state is None else held(state),
        why=None if state is None else state.why_waiting,
        keys=sorted(keys.values(), key=lambda key: (-key.queued, -key.running, key.caller))[:_MOST_KEYS],
    )
