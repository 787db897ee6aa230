"""What a request would have to wait, before anybody submits it: `/api/v1/apps/{owner}/{alias}/quote`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pondage.errors import InvalidInput
from pondage.gateway import answers, expected
from pondage.gateway.call import Call, Response
from pondage.gateway.submitting import find_target
from pondage.wire.scopes import PRIORITIES


class Ask(msgspec.Struct):
    """What would be submitted. Without an input its cost counts as that of the defaults."""

    path: str = "/"
    input: dict[str, Any] = {}
    priority: Literal["normal", "low"] = "normal"


async def ask(call: Call) -> Response:
    """When a request with this input would start and end, if it came now."""
    asked = await call.json(Ask, call.rooms.settings.max_input_bytes, hint='send {"path": "/", "input": {…}}')
    return _quote(call, asked.path, asked.input, PRIORITIES[asked.priority])


async def ask_without_input(call: Call) -> Response:
    """When a request would start and end whose input says nothing of its cost."""
    priority = call.query.get("priority", "normal")
    if priority not in PRIORITIES:
        raise InvalidInput.field(["query", "priority"], f"{priority!r} is neither 'normal' nor 'low'")
    return _quote(call, call.query.get("path", "/"), {}, PRIORITIES[priority])


def _quote(call: Call, path: str, brought: dict[str, Any], priority: int) -> Response:
    if not path.startswith("/"):
        path = "/" + path
    target = find_target(call, call.params["app"] + path.rstrip("/"), want="call")
    priority = max(priority, call.caller.highest)
    app, caller, fleet = target.endpoint.app, call.caller.key_id, call.rooms.fleet
    endpoint = next((known for known in target.info.endpoints if known.path == target.path), None)
    if endpoint is not None and endpoint.cost:
        _check(brought, endpoint.cost)
    quote = fleet.quote(app, target.path, msgspec.json.encode(brought), priority, caller)
    told = expected.members(quote.forecast)
    answer = {
        "app": app,
        "path": target.path,
        "cost": quote.cost,
        "queued": call.rooms.queue.depth(app).queued,
        "work_ahead": round(quote.work_ahead, 3),
        "expected": told,
        "why": None if told is not None else _why(call, app),
    }
    return answers.json(answer, headers=expected.headers(told))


def _why(call: Call, app: str) -> str:
    state = call.rooms.fleet.app(app)
    too_few = "too few requests of this endpoint have ended well to tell how long one runs"
    return (state and state.why_waiting) or too_few


def _check(brought: dict[str, Any], fields: tuple[str, ...]) -> None:
    """A field by which the cost is told must be a number.

    Raises:
        InvalidInput: it is something else.
    """
    for name in fields:
        value = brought.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            text = f"{value!r:.80} is no number, and the cost of a request is told by it"
            raise InvalidInput.field(["body", "input", name], text)
