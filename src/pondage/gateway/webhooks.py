"""Webhooks for machines and commands: public keys, deliveries and their tries, replay, what was missed, listeners."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pondage.clock import iso
from pondage.errors import Forbidden, InvalidInput
from pondage.gateway import answers
from pondage.gateway.api import moment, number, seconds
from pondage.gateway.call import Call, Response
from pondage.webhooks.interface import Delivery, Tried, Try, Whose

_STATES = frozenset({"owed", "done", "dead"})
_LONGEST_WAIT = 60.0
_MOST_REPLAYED = 10_000
_REPORT_BYTES = 256 * 1024


def _whose(call: Call, scope: str = "read-all") -> Whose:
    """Whose deliveries the caller may see (`read-all`) or owe again (`operate`): its own, or everybody's.

    Raises:
        Forbidden: it came with a token. Webhooks are the key's.
    """
    caller = call.caller
    if caller.by_token:
        raise Forbidden("webhooks are for keys: a token sees none of them")
    own = None if caller.may(scope) else caller.key_id
    return Whose(own, call.rooms.apps_of(caller))


def _state(call: Call) -> str | None:
    state = call.query.get("state")
    if state is not None and state not in _STATES:
        raise InvalidInput.field(["query", "state"], f"{state!r} is none of owed, done, dead")
    return state


def _shown(call: Call, delivery: Delivery) -> dict[str, Any]:
    """A delivery as JSON. `held` says that its host is left alone just now, and why."""
    held = call.rooms.webhooks.left_alone(delivery.origin) if delivery.state == "owed" else None
    return {
        "id": delivery.id,
        "request_id": delivery.request_id,
        "url": delivery.target,
        "event": delivery.event,
        "state": delivery.state,
        "created_at": iso(delivery.created_at),
        "due_at": iso(delivery.due_at) if delivery.state == "owed" else None,
        "done_at": None if delivery.done_at is None else iso(delivery.done_at),
        "tries": delivery.tries,
        "last_status": delivery.last_status,
        "last_reason": delivery.last_reason,
        "held": None if held is None else {"failures": held[0], "seconds": round(held[1], 1)},
    }


def _entry(call: Call, entry: Try) -> dict[str, Any]:
    """A try as JSON. Who only submitted sees the beginning of the answer: enough to know what its receiver said."""
    shown = None if call.caller.may("operate") else call.rooms.settings.webhook_body_shown
    return {
        "n": entry.n,
        "at": iso(entry.at),
        "duration": entry.duration,
        "status": entry.status,
        "reason": entry.reason,
        "note": entry.note,
        "answer": entry.answer[:shown].decode("utf-8", "replace"),
    }


async def jwks(call: Call) -> Response:
    """The public keys of fal's signature scheme. Kept for a day at most (PROTOCOL 8)."""
    return answers.json(call.rooms.webhooks.jwks(), headers={"cache-control": "public, max-age=3600"})


async def list_deliveries(call: Call) -> Response:
    """Deliveries, newest first: all, one request's (`request_id`), by `state`, between `since` and `until`."""
    whose = _whose(call)
    room = call.rooms.webhooks
    limit = max(1, number(call, "limit", 50, 1000))
    if request_id := call.query.get("request_id"):
        items = [d for d in await room.of_request(request_id, whose) if (_state(call) or d.state) == d.state]
        return answers.json({"items": [_shown(call, d) for d in items], "next_cursor": None})
    items = await room.page(
        state=_state(call),
        since=moment(call, "since"),
        until=moment(call, "until"),
        whose=whose,
        before=number(call, "cursor", 2**62, 2**62),
        limit=limit,
    )
    cursor = str(items[-1].n) if len(items) == limit else None
    return answers.json({"items": [_shown(call, d) for d in items], "next_cursor": cursor})


async def show_delivery(call: Call) -> Response:
    """One delivery with the log of its tries; by its id, or by a tail of its or its request's id."""
    delivery, tries = await call.rooms.webhooks.find(call.params["id"], _whose(call))
    return answers.json({**_shown(call, delivery), "log": [_entry(call, entry) for entry in tries]})


async def replay_delivery(call: Call) -> Response:
    """Owe a delivery again, at once, under the same id."""
    delivery, _ = await call.rooms.webhooks.find(call.params["id"], _whose(call, "operate"))
    await call.rooms.webhooks.replay([delivery])
    return answers.json({"replayed": [delivery.id]})


class Replay(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str | None = None
    state: str | None = None
    since: float | None = None
    until: float | None = None


async def replay_deliveries(call: Call) -> Response:
    """Owe deliveries again: those of a request, or those of a time range, `dead` ones unless `state` says otherwise."""
    whose = _whose(call, "operate")
    wanted = await call.json(Replay)
    if wanted.state is not None and wanted.state not in _STATES:
        raise InvalidInput.field(["body", "state"], f"{wanted.state!r} is none of owed, done, dead")
    room = call.rooms.webhooks
    if wanted.request_id is not None:
        found = await room.of_request(wanted.request_id, whose)
        found = [delivery for delivery in found if (wanted.state or delivery.state) == delivery.state]
    elif wanted.since is None:
        raise InvalidInput.field(["body", "since"], "say which: request_id, or since and perhaps until", "missing")
    else:
        found = await room.page(
            whose=whose,
            state=wanted.state or "dead",
            since=wanted.since,
            until=wanted.until,
            before=2**62,
            limit=_MOST_REPLAYED,
        )
    await room.replay(found)
    return answers.json({"replayed": [delivery.id for delivery in found]})


async def missed(call: Call) -> Response:
    """What did not arrive since a cursor, oldest first, signed like the deliveries themselves.

    A receiver that was down asks with the `next_cursor` of its last answer (none at first), until `items` is empty.
    `url` limits it to one target; `all=1` adds what did arrive.
    """
    room = call.rooms.webhooks
    after = number(call, "cursor", 0, 2**62)
    found = await room.missed(
        after=after,
        target=call.query.get("url"),
        whose=_whose(call),
        everything=call.query.get("all") == "1",
        limit=max(1, number(call, "limit", 50, 500)),
    )
    items = []
    for owed, state in found:
        signed = await room.signed(owed)
        if signed is not None:
            headers, body = signed
            items.append({
                "id": owed.id, "request_id": owed.request_id, "url": owed.target, "event": owed.event, "state": state,
                "created_at": iso(owed.created_at), "headers": headers, "body": body.decode(),
            })  # fmt: skip
    cursor = str(found[-1][0].n if found else after)
    return answers.json({"items": items, "next_cursor": cursor})


def _key(call: Call) -> str:
    """The key that a listener has to be of."""
    _whose(call)
    return call.caller.key_id


class Listen(msgspec.Struct, forbid_unknown_fields=True):
    app: str = ""


async def begin_listener(call: Call) -> Response:
    """Make a temporary target that is owed every outcome, or one app's, also of requests without a webhook."""
    whose = _whose(call)
    wanted = await call.json(Listen)
    room = call.rooms.webhooks
    app = wanted.app
    if whose.apps is not None:
        if not app and len(whose.apps) == 1:
            (app,) = whose.apps
        if app not in whose.apps:
            named = ", ".join(whose.apps) or "none"
            raise InvalidInput.field(["body", "app"], f"this key is for some apps; say which of them: {named}")
    operator = call.caller.may("admin") and call.caller.apps is None
    secrets = room.secrets() if operator else []
    listener = await room.listen(app, whose.caller or "", call.caller.key_id)
    return answers.json({"id": listener, "jwks": room.jwks(), "secrets": secrets})


async def fetch_listener(call: Call) -> Response:
    """What a listener is owed now, waiting up to `wait` seconds for something."""
    wait = min(seconds(call, "wait") or 0.0, _LONGEST_WAIT)
    room = call.rooms.webhooks
    items = []
    for owed in await room.fetch(call.params["id"], _key(call), wait):
        signed = await room.signed(owed)
        view = await call.rooms.queue.get(owed.request_id)
        if signed is None or view is None:
            continue
        headers, body = signed
        items.append({
            "id": owed.id, "request_id": owed.request_id, "endpoint": view.app + view.path.rstrip("/"),
            "tries": owed.tries, "created_at": iso(owed.created_at), "headers": headers, "body": body.decode(),
        })  # fmt: skip
    return answers.json({"items": items})


class Report(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    duration: Annotated[float, msgspec.Meta(ge=0, le=86_400)]
    status: int | None = None
    reason: str = ""
    answer: str = ""


async def report_listener(call: Call) -> Response:
    """How a listener's try went. Answers what becomes of the delivery."""
    key_id = _key(call)
    report = await call.json(Report, _REPORT_BYTES)
    room = call.rooms.webhooks
    now = call.rooms.clock.wall()
    kept = report.answer.encode()[: call.rooms.settings.webhook_body_kept]
    tried = Tried(now - report.duration, report.duration, report.status, report.reason[:500], kept)
    then = await room.listener_tried(call.params["id"], key_id, report.id, tried)
    due_in = round(then.due_at - now, 1) if then.state == "owed" else None
    return answers.json({"state": then.state, "due_in": due_in})


async def end_listener(call: Call) -> Response:
    """Forget a listener, and what is held for it."""
    await call.rooms.webhooks.end_listener(call.params["id"], _key(call))
    return answers.json({"ended": call.params["id"]})


async def show_secrets(call: Call) -> Response:
    """The secrets that sign for a target (`url`), newest first; the default ones without it."""
    return answers.json({"secrets": call.rooms.webhooks.secrets(call.query.get("url") or "")})


class Rotate(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    url: str = ""
    at_once: bool = False


async def rotate_key(call: Call) -> Response:
    """Make a new key; the old one goes on for the overlap, or not at all with `at_once`."""
    wanted = await call.json(Rotate)
    key = await call.rooms.webhooks.rotate(wanted.kind, target=wanted.url, at_once=wanted.at_once)
    shown = {"id": key.id, "kind": key.kind, "origin": key.origin, "signs_from": iso(key.signs_from)}
    return answers.json(shown if key.secret is None else shown | {"secret": key.secret})
