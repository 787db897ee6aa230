"""A `run` that the end of a stop finds waiting: what its caller gets, and how a repeat finds the request again."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from pondage.errors import PondageError, Unavailable
from pondage.gateway import answers
from pondage.gateway.call import Call, Response
from pondage.gateway.crowd import PLACE, Place
from pondage.gateway.status import status_object
from pondage.queue.interface import Queue
from pondage.wire import outcomes
from pondage.wire.events import Outcome
from pondage.wire.states import State

RETRY_AFTER = 1
"""Seconds after which a caller may repeat what was refused because the server stops."""


class Interrupted(Exception):
    """The server stops, and what was waited for has not ended."""


class Resumed:
    """A run that a restart cut off from its caller, and that the caller has repeated."""

    def __init__(self, queue: Queue, request_id: str) -> None:
        self._queue = queue
        self.request_id = request_id

    async def outcome(self) -> Outcome | None:
        """As of a `Ticket`."""
        return await self._queue.wait(self.request_id, None)


class NoAnswer:
    """Closes the connection: whoever waits there knows no more than that, and repeats or asks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        place: Place | None = scope.get(PLACE)
        if place is not None:
            place.connection.cut()


def stopping() -> Unavailable:
    """What a caller hears of whom nothing was begun. A repeat goes to the next start, or to another gateway."""
    return Unavailable(
        "the server stops, and nothing was begun of this request; repeat it", headers={"retry-after": str(RETRY_AFTER)}
    )


async def withdraw(queue: Queue, request_id: str) -> bool:
    """End a request of which nothing was begun and which nobody can come back for; whether it was one."""
    view = await queue.get(request_id)
    if view is None or view.state is not State.QUEUED or view.attempt > 0:
        return False
    return await queue.fail(request_id, outcomes.withdrawn())


async def unanswered(call: Call, *, keyed: bool) -> Response:
    """The answer to a run that has not ended at the end of a stop.

    Of one that nothing has begun: 503, and without an idempotency key it is withdrawn, since its caller will bring it
    anew. One that was begun goes on after the restart: a caller who prefers `respond-async` (RFC 7240) is given its
    id, every other one no answer, so that no client takes it for an end.

    Raises:
        Unavailable: nothing was begun.
    """
    queue, request_id = call.rooms.queue, call.request_id
    view = await queue.get(request_id)
    if view is None:
        raise PondageError(f"request {request_id} has vanished from the queue")
    if view.state is State.QUEUED and view.attempt == 0 and (keyed or await withdraw(queue, request_id)):
        raise stopping()
    if view.state is State.DONE and (outcome := await queue.outcome(request_id)) is not None:
        return answers.outcome(outcome, request_id)
    if "respond-async" in call.headers.get("prefer", ""):
        headers = {"preference-applied": "respond-async", "retry-after": str(RETRY_AFTER)}
        return answers.json(status_object(view, call.origins, logs=None), status=202, request_id=request_id,
                            headers=headers)  # fmt: skip
    return NoAnswer()
