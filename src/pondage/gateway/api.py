"""What fal's protocol has no route for: `/api/v1/…`, for our commands, the pages, and operators."""

from __future__ import annotations

import base64
import math
from typing import Any

import msgspec
from msgspec.structs import replace

from pondage.clock import iso
from pondage.errors import Forbidden, InvalidInput, NotFound
from pondage.fleet.interface import AppState
from pondage.gateway import answers, expected
from pondage.gateway.call import Call, Response
from pondage.gateway.requests import visible
from pondage.gateway.shapes import App, Hold
from pondage.gateway.submitting import subject_of
from pondage.queue.interface import Filter, NewRequest, RequestView
from pondage.wire.events import Event
from pondage.wire.ids import new_request_id
from pondage.wire.outcomes import no_longer_kept
from pondage.wire.states import OutcomeKind, State

_STATES = {"queued": State.QUEUED, "running": State.RUNNING, "completed": State.DONE} | {s.value: s for s in State}


def shown(view: RequestView) -> dict[str, Any]:
    """A request as JSON, without its payloads."""
    members: dict[str, Any] = msgspec.to_builtins(view)
    for name in ("submitted_at", "started_at", "finished_at", "start_at", "deadline"):
        if members[name] is not None:
            members[name] = iso(members[name])
    return members


def chosen(call: Call, name: str, values: dict[str, Any]) -> Any:
    """The value that a word of the query names; None where it is not there."""
    given = call.query.get(name)
    if given is None:
        return None
    if given not in values:
        raise InvalidInput.field(["query", name], f"{given!r} is none of {', '.join(values)}")
    return values[given]


def number(call: Call, name: str, default: int, highest: int) -> int:
    """A whole number of the query, from 0 to `highest`."""
    given = call.query.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 20 and int(given) <= highest):
        raise InvalidInput.field(["query", name], f"{given!r} is not a number from 0 to {highest}")
    return int(given)


def moment(call: Call, name: str) -> float | None:
    """A time of the query, in seconds since 1970."""
    return _finite(call, name, "a time in seconds since 1970")


def seconds(call: Call, name: str) -> float | None:
    """A duration of the query, in seconds."""
    value = _finite(call, name, "a number of seconds, 0 or more")
    if value is not None and value < 0:
        raise InvalidInput.field(["query", name], f"{call.query[name]!r} is not a number of seconds, 0 or more")
    return value


def _finite(call: Call, name: str, what: str) -> float | None:
    given = call.query.get(name)
    if given is None:
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidInput.field(["query", name], f"{given!r} is not {what}")
    return value


_SLOWER_SPAN = 86_400.0
"""Seconds that a search by duration goes back where no `since` is said: it reads all that it passes."""


async def list_requests(call: Call) -> Response:
    """Requests, newest first; a key without the scope `read-all` sees its own. `slower` looks at a day, or `since`.

    Raises:
        Forbidden: a token without a subject. It reads by id, which nobody can guess.
    """
    who = call.caller
    if who.by_token and who.subject is None:
        raise Forbidden("a token lists nothing, unless it was made for a subject; ask with the key")
    everybodys = who.may("read-all") and not who.by_token
    since, slower = moment(call, "since"), moment(call, "slower")
    if slower is not None and since is None:
        since = (moment(call, "until") or call.rooms.clock.wall()) - _SLOWER_SPAN
    page = await call.rooms.queue.page(
        Filter(
            app=call.query.get("app"),
            state=chosen(call, "state", _STATES),
            outcome=chosen(call, "outcome", {kind.value: kind for kind in OutcomeKind}),
            apps=call.rooms.apps_of(who),
            caller=call.query.get("caller") if everybodys else who.key_id,
            subject=who.subject,
            since=since,
            until=moment(call, "until"),
            id_tail=call.query.get("id_tail"),
            error_type=call.query.get("error_type"),
            slower=slower,
            limit=max(1, number(call, "limit", 50, 1000)),
            cursor=call.query.get("cursor"),
        )
    )
    return answers.json({"items": [shown(view) for view in page.items], "next_cursor": page.next_cursor})


async def show_request(call: Call) -> Response:
    """One request, with its input and output where they are JSON and kept."""
    view = await visible(call)
    members = shown(view)
    members["expected"] = expected.members(call.rooms.fleet.forecast(view))
    if call.query.get("payloads", "1") != "0":
        brought = await call.rooms.queue.input(view.id)
        outcome = await call.rooms.queue.outcome(view.id)
        members["input"] = msgspec.Raw(brought.input) if brought and brought.input else None
        members["output"] = _output(outcome.body) if outcome else None
    return answers.json(members, request_id=view.id)


_NOT_HERE = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
    (b"content-disposition", b"attachment"),
    (b"cache-control", b"no-store"),
]
"""A payload is an app's or a caller's: nothing in it may act in our name, whatever a browser does with it."""


def _payload(call: Call, body: bytes, content_type: str) -> Response:
    first = number(call, "first", len(body), 2**53)
    headers = [(b"content-type", content_type.encode("latin-1", "replace")), *_NOT_HERE]
    return answers.Answer(200, body[:first], headers)


async def show_input(call: Call) -> Response:
    """A request's input as it was sent; `first`: so many bytes of it."""
    view = await visible(call)
    brought = await call.rooms.queue.input(view.id)
    if brought is None or not brought.input:
        raise NotFound(f"the input of request {view.id} is not kept")
    return _payload(call, brought.input, "application/json")


async def show_output(call: Call) -> Response:
    """A request's output as its caller gets it; `first`: so many bytes of it."""
    view = await visible(call)
    outcome = await call.rooms.queue.outcome(view.id)
    if outcome is None or outcome == no_longer_kept():
        raise NotFound(f"request {view.id} has no output, or it is no longer kept")
    typed = {name.lower(): value for name, value in outcome.headers.items()}.get("content-type", "application/json")
    return _payload(call, outcome.body, typed)


def _output(body: bytes) -> Any:
    try:
        msgspec.json.decode(body)
        return msgspec.Raw(body)  # as it was written: a number may have more digits than any reader of ours would keep
    except msgspec.DecodeError:
        return {"base64": base64.b64encode(body).decode()} if body else None


_ALIASES = {"n": "chunk", "kind": "outcome"}
"""Fields of entries whose names every event has already: a chunk's own number, an outcome's kind."""


def event_object(event: Event) -> dict[str, Any]:
    """An entry of the log as JSON: number, kind, attempt, time, and what the kind has."""
    members: dict[str, Any] = {"n": event.n, "kind": event.kind.value, "attempt": event.attempt}
    for name in event.entry.__struct_fields__:
        value = getattr(event.entry, name)
        if name == "at":
            members["at"] = iso(value)
        elif (alias := _ALIASES.get(name)) is not None:
            members[alias] = value
        elif isinstance(value, bytes):
            members[name] = msgspec.Raw(value)
        else:
            members[name] = value
    return members


async def list_events(call: Call) -> Response:
    """A request's log, in order, from number `after` on; `kinds=log,progress` selects."""
    view = await visible(call)
    kinds = call.query.get("kinds")
    limit = max(1, number(call, "limit", 1000, 10_000))
    events = await call.rooms.queue.events(
        view.id,
        after=number(call, "after", 0, 10**11),
        limit=limit,
        kinds=frozenset(kinds.split(",")) if kinds else None,
    )
    more = len(events) == limit
    items = [event_object(event) for event in events]
    return answers.json({"items": items, "next_after": events[-1].n if more else None}, request_id=view.id)


async def retry_request(call: Call) -> Response:
    """Submit the input of a request again, as a new request that names the old one."""
    view = await visible(call)
    brought = await call.rooms.queue.input(view.id)
    if brought is None or (not brought.input and not brought.store_io):
        raise NotFound(f"the input of request {view.id} is no longer kept")
    again: NewRequest = replace(
        brought,
        id=new_request_id(),
        submitted_at=call.rooms.clock.wall(),
        base_url=call.origins.cdn,
        caller=call.caller.key_id,
        subject=subject_of(call.caller),
        idempotency_key=None,
        retried_from=view.id,
        priority=max(brought.priority, call.caller.highest),
        mode="call" if brought.mode == "session" else brought.mode,
    )
    receipt = await call.rooms.fleet.submit(again).receipt
    return answers.json({"request_id": receipt.request_id, "retried_from": view.id}, request_id=receipt.request_id)


async def list_runners(call: Call) -> Response:
    """The runner processes; what runs there is shown to who may see everybody's requests.

    Raises:
        Forbidden: it came with a token.
    """
    if call.caller.by_token:
        raise Forbidden("runners are for keys: a token sees none of them")
    items = [runner for runner in call.rooms.fleet.runners() if call.caller.may_call(runner.app)]
    if not call.caller.may("read-all or operate"):
        items = [replace(runner, running=[]) for runner in items]
    return answers.json({"items": items, "next_cursor": None})


async def runner_log(call: Call) -> Response:
    """What the runners of an app said outside of requests: of its `setup()`, of how processes ended. Newest last."""
    app, runner = call.query.get("app"), call.query.get("runner")
    if not app or call.rooms.fleet.infos.get(app) is None or not call.caller.may_call(app):
        raise NotFound(f"Application {app!r} not found" if app else "Name an app: ?app=owner/alias")
    lines = [line for line in call.rooms.fleet.runner_log(app) if runner is None or line.runner == runner]
    items = [msgspec.to_builtins(line) | {"at": iso(line.at)} for line in lines]
    return answers.json({"items": items, "next_cursor": None})


def _app(call: Call, name: str, *, schemas: bool) -> App | None:
    state = call.rooms.fleet.app(name)
    if state is None or not call.caller.may_call(name):
        return None
    info = state.info
    if not schemas:
        bare = [replace(endpoint, input_schema=None, output_schema=None) for endpoint in info.endpoints]
        info = replace(info, endpoints=bare)
    depth = call.rooms.queue.depth(name)
    slots, calibrated = (state.runners, state.slots, state.free), call.rooms.fleet.calibrated(name)
    return App(name, info, *slots, depth.queued, depth.running, state.fault, calibrated, state.served, held(state))


def held(state: AppState) -> Hold | None:
    """Who has paused an app, as JSON."""
    hold = state.held
    return None if hold is None else Hold(hold.drained, hold.by, hold.reason, iso(hold.at))


async def list_apps(call: Call) -> Response:
    """The apps that are known: their endpoints, how many requests wait and run, and why one cannot run."""
    schemas = call.query.get("schemas", "1") != "0"
    found = (_app(call, name, schemas=schemas) for name in call.rooms.fleet.app_names())
    return answers.json({"items": [app for app in found if app is not None], "next_cursor": None})


async def show_app(call: Call) -> Response:
    """One app, with the schemas of its endpoints."""
    name = call.params["app"]
    app = _app(call, name, schemas=True)
    if app is None:
        raise NotFound(f"Application {name!r} not found")
    return answers.json(app)
