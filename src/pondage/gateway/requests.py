"""Run, submit, status, result, cancel: the routes of a request (PROTOCOL 4 and 5.1)."""

from __future__ import annotations

import re

from pondage.errors import BadRequest, NotFound
from pondage.fleet.interface import Ticket
from pondage.gateway import answers, expected
from pondage.gateway.access import require
from pondage.gateway.budget import FREE
from pondage.gateway.call import Call, Caller, Response
from pondage.gateway.crowd import PLACE, Place
from pondage.gateway.interrupted import Resumed, unanswered
from pondage.gateway.status import status_object, urls
from pondage.gateway.streams import stream_chunks
from pondage.gateway.submitting import Target, cancels_on_leave, find_target, new_request, read_input, wait_preference
from pondage.queue.interface import RequestView
from pondage.wire.events import Event, Outcome, Progress
from pondage.wire.states import State

_HEADER_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What may be an id, and is said again in a header; a path may hold anything."""


async def run(call: Call) -> Response:
    """A direct call: through the queue like every other, one round trip for its caller."""
    target = find_target(call, call.path, want="call")
    if target.mode == "stream" and call.path.rstrip("/").endswith("/stream"):
        return await stream_chunks(call, target)
    keyed = "idempotency-key" in call.headers
    cancels = cancels_on_leave(call, target.on_disconnect, "keep" if keyed else "cancel")
    body = await read_input(call)
    request = new_request(call, target, body, bound="" if keyed else "cancel" if cancels else "keep")
    queue, fleet = call.rooms.queue, call.rooms.fleet
    cut_off = await queue.resume(request) if queue.resumable and not keyed else None
    ticket: Ticket | Resumed = fleet.submit(request, lazy=True) if cut_off is None else Resumed(queue, cut_off)
    call.request_id = ticket.request_id
    place: Place | None = call.scope.get(PLACE)
    try:
        if cancels and place is not None:
            place.connection.left = lambda: fleet.left(ticket.request_id)
            if place.gone:
                fleet.left(ticket.request_id)
        outcome = await ticket.outcome()
    finally:
        if place is not None:
            place.connection.left = None
    call.request_id = ticket.request_id
    if outcome is None:
        return await unanswered(call, keyed=keyed)
    if len(outcome.body) <= FREE:
        return answers.outcome(outcome, ticket.request_id)
    return _large(call, outcome, ticket.request_id)


def _large(call: Call, outcome: Outcome, request_id: str) -> Response:
    """A large outcome, which can be read again unless the call asked for nothing to be kept."""

    async def again() -> answers.Answer:
        kept = await call.rooms.queue.outcome(request_id)
        if kept is None:
            raise NotFound(f"The output of request {request_id} is no longer kept", extra={"status": "NOT_FOUND"})
        return answers.outcome(kept, request_id)

    keeps = call.headers.get("x-fal-store-io", "1").strip() != "0"
    return answers.outcome(outcome, request_id, again if keeps else None)


async def submit(call: Call) -> Response:
    """Into the queue; acknowledged once it is on disk."""
    target = find_target(call, call.path, want="call")
    cancels_on_leave(call)  # a wrong word is refused also where nobody stays to hang up
    body = await read_input(call)
    ticket = call.rooms.fleet.submit(new_request(call, target, body))
    receipt = await ticket.receipt
    request_id = call.request_id = receipt.request_id
    if (seconds := wait_preference(call)) is not None:
        outcome = await call.rooms.queue.wait(request_id, seconds)
        if outcome is not None:
            return _large(call, outcome, request_id)
    return answers.json(_receipt(call, target, request_id, receipt.position), request_id=request_id)


def _receipt(call: Call, target: Target, request_id: str, position: int) -> dict[str, object]:
    return {
        "status": State.QUEUED.value,
        "request_id": request_id,
        "gateway_request_id": request_id,
        **urls(call.origins, target.endpoint.app, request_id),
        "queue_position": position,
        "logs": None,
        "metrics": {},
    }


async def visible(call: Call, scope: str = "read-all") -> RequestView:
    """The request that a path names, if this caller may see it: its own, or anybody's with `scope`.

    Located by its id alone: clients drop or keep what stands before `/requests/` as they like (PROTOCOL 3).

    Raises:
        NotFound: there is none, or it is another key's.
    """
    request_id = call.params["request_id"]
    if _HEADER_SAFE.fullmatch(request_id):
        call.request_id = request_id
    view = await call.rooms.queue.get(request_id)
    if view is None or not may_see(call.caller, view, scope):
        raise NotFound(f"Request {request_id} not found", extra={"status": "NOT_FOUND"})
    return view


def may_see(caller: Caller, view: RequestView, scope: str = "read-all") -> bool:
    """Whether a request is the caller's own, or `scope` opens everybody's; never beyond its apps."""
    return caller.may_call(view.app) and (is_own(caller, view) or caller.may(scope))


def is_own(caller: Caller, view: RequestView) -> bool:
    """Whether the caller's key made a request; for a token with a subject: whether it was made for that one."""
    return view.caller == caller.key_id and caller.subject in {None, view.subject}


def wants_logs(call: Call) -> bool:
    return call.query.get("logs", "").lower() in {"1", "true"}


async def newest_logs(call: Call, view: RequestView) -> list[Event]:
    """The log lines of a request, the newest `status_log_limit` of them."""
    limit = call.rooms.settings.status_log_limit
    return await call.rooms.queue.newest(view.id, kinds=frozenset({"log"}), limit=limit)


async def last_progress(call: Call, view: RequestView) -> Progress | None:
    if view.state is State.QUEUED:
        return None
    events = await call.rooms.queue.newest(view.id, kinds=frozenset({"progress"}), limit=1)
    last = events[-1].entry if events else None
    return last if isinstance(last, Progress) else None


async def status(call: Call) -> Response:
    """Where a request is. 202 until it is completed, then 200 (PROTOCOL 4.1)."""
    view = await visible(call)
    logs = await newest_logs(call, view) if wants_logs(call) else None
    progress = await last_progress(call, view) if wants_logs(call) else None
    app = call.rooms.fleet.app(view.app)
    told = expected.members(call.rooms.fleet.forecast(view))
    fault = app.why_waiting if app else None
    body = status_object(view, call.origins, logs=logs, progress=progress, fault=fault, expected=told)
    code = 200 if view.state is State.DONE else 202
    return answers.json(body, status=code, request_id=view.id, headers=expected.headers(told))


async def result(call: Call) -> Response:
    """The outcome. With `Prefer: wait=SECONDS` it is waited for; without, an unfinished request is 400 as on fal."""
    view = await visible(call)
    queue = call.rooms.queue
    if view.state is State.DONE:
        await call.hold(view.output_bytes)
        outcome = await queue.outcome(view.id)
        if outcome is None:
            raise NotFound(f"The output of request {view.id} is no longer kept", extra={"status": "NOT_FOUND"})
        return answers.outcome(outcome, view.id)
    seconds = wait_preference(call)
    if seconds is None:
        raise BadRequest("Request is still in progress")
    if (outcome := await queue.wait(view.id, seconds)) is not None:
        return _large(call, outcome, view.id)
    view = await queue.get(view.id) or view
    told = expected.members(call.rooms.fleet.forecast(view))
    body = status_object(view, call.origins, logs=None, expected=told)
    applied = {"preference-applied": "wait", **expected.headers(told)}
    return answers.json(body, status=202, request_id=view.id, headers=applied)


async def cancellable(call: Call) -> RequestView:
    """The request that a path names, if this caller may cancel it: its own with `submit`, anybody's with `operate`.

    Raises:
        NotFound: it may not see it either. Forbidden: it sees it, and that is all.
    """
    view = await visible(call, "read-all or operate")
    require(call.caller, "submit or operate" if is_own(call.caller, view) else "operate")
    return view


async def cancel(call: Call) -> Response:
    """End a request (PROTOCOL 4.7)."""
    view = await cancellable(call)
    was = (await call.rooms.fleet.cancel(view.id)).was
    if was is State.QUEUED:
        return answers.json({"status": "OK"}, request_id=view.id)
    if was is State.RUNNING:
        return answers.json({"status": "CANCELLATION_REQUESTED"}, status=202, request_id=view.id)
    body = {"status": "ALREADY_COMPLETED", "detail": "Request is already completed"}
    return answers.json(body, status=400, request_id=view.id)
