"""HTTP over a WebSocket: each message is the body of a call, and answers come in their order (PROTOCOL 5.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from pondage.errors import InternalError, NotFound, RequestError, TooLarge
from pondage.fleet.interface import Ticket
from pondage.gateway.budget import FREE
from pondage.gateway.call import Call
from pondage.gateway.interrupted import Interrupted, withdraw
from pondage.gateway.streams import Follower
from pondage.gateway.submitting import Target, check_input, new_request
from pondage.wire.events import Outcome
from pondage.wire.ids import new_request_id

log = logging.getLogger("pondage.gateway")

_AHEAD = 8
"""Calls of one connection that run at once; what the caller sends beyond waits in its socket."""


class _Call:
    """One message: its request, or why there is none."""

    def __init__(self, call: Call, target: Target, message: dict[str, Any], *, cancels: bool) -> None:
        self.began = call.rooms.clock.monotonic()
        self.request_id = call.request_id = new_request_id()
        self.problem: RequestError | None = None
        self.ticket: Ticket | None = None
        self.outcome: asyncio.Task[Outcome | None] | None = None
        """Its outcome; None where that was too large to be held until its turn."""
        self.held = 0
        """Bytes of the budget for its body, and for its outcome."""
        self.chunks: Follower | None = None
        try:
            text = message.get("text")
            body: bytes = text.encode() if text is not None else message["bytes"]
            if len(body) > (limit := call.rooms.settings.max_input_bytes):
                raise TooLarge(f"the body has {len(body)} bytes; at most {limit} are taken (setting max_input_bytes)")
            if len(body) > FREE:
                self.held = len(body)
                call.budget.add(call.budget_key, self.held)
            request = new_request(call, target, check_input(body), bound="cancel" if cancels else "keep")
            if target.mode == "stream" and call.path.rstrip("/").endswith("/stream"):
                self.chunks = Follower(call, request.id)
            self.ticket = call.rooms.fleet.submit(request, direct=True)
            if self.chunks is None:
                self.outcome = asyncio.ensure_future(self._wait(call, self.ticket))
        except RequestError as problem:
            self.problem = problem
        except Exception as error:
            log.error("%s: %s", call.path, error, exc_info=error)
            self.problem = InternalError("Internal Server Error")

    async def _wait(self, call: Call, ticket: Ticket) -> Outcome | None:
        await ticket.receipt
        outcome = await ticket.outcome()
        self.ticket = None  # it would keep the outcome
        if outcome is None:  # the server stops
            await withdraw(call.rooms.queue, self.request_id)
            raise Interrupted
        if not self._holds(call, len(outcome.body)):
            return None
        return outcome

    def _holds(self, call: Call, size: int) -> bool:
        """Whether there is room for the outcome, in place of the body."""
        more = size - self.held
        if size <= FREE or more <= 0:
            return True
        if not call.budget.take(call.budget_key, more):
            return False
        self.held += more
        return True

    async def result(self, call: Call) -> Outcome:
        """The outcome, once this is the call whose turn it is.

        Raises:
            RequestError: there is none.
        """
        if self.problem is not None or self.outcome is None:
            raise self.problem or InternalError("Internal Server Error")
        if (outcome := await self.outcome) is None:
            outcome = await call.rooms.queue.outcome(self.request_id)
        if outcome is None:
            raise NotFound(f"The output of request {self.request_id} is no longer kept")
        if not self._holds(call, len(outcome.body)):  # it is its turn: one of each connection
            call.budget.add(call.budget_key, len(outcome.body) - self.held)
            self.held = len(outcome.body)
        return outcome

    def end(self, call: Call) -> None:
        """It is answered, or never will be."""
        call.budget.give(call.budget_key, self.held)
        self.held = 0
        if self.outcome is not None and not self.outcome.cancel() and not self.outcome.cancelled():
            self.outcome.exception()  # nobody is left to hear of it


async def serve_bodies(call: Call, target: Target, *, cancels: bool) -> None:
    """Answer messages until the caller leaves; with `cancels`, what is unanswered then is cancelled."""
    # A key would make every message the first one.
    call.headers.pop("idempotency-key", None)
    waiting: asyncio.Queue[_Call | None] = asyncio.Queue(_AHEAD)
    unanswered: list[_Call] = []
    reading = asyncio.ensure_future(_read(call, target, waiting, unanswered, cancels=cancels))
    try:
        while (one := await waiting.get()) is not None:
            await _answer(call, one, cancels=cancels)
            unanswered.remove(one)
            one.end(call)
    except Interrupted:
        await call.send({"type": "websocket.close", "code": 1012, "reason": "the server stops"})
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        for one in unanswered:
            one.end(call)
        if cancels:
            await asyncio.shield(_cancel(call, unanswered))


async def _read(
    call: Call, target: Target, waiting: asyncio.Queue[_Call | None], unanswered: list[_Call], *, cancels: bool
) -> None:
    while (message := await call.receive())["type"] != "websocket.disconnect":
        one = _Call(call, target, dict(message), cancels=cancels)
        del message
        unanswered.append(one)
        await waiting.put(one)
    if cancels:
        await asyncio.shield(_cancel(call, unanswered))
    await waiting.put(None)


async def _cancel(call: Call, unanswered: list[_Call]) -> None:
    if call.rooms.closing.is_set():
        return  # it is not the caller who left
    begun = [one.request_id for one in unanswered if one.ticket is not None or one.outcome is not None]
    await asyncio.gather(*(call.rooms.fleet.cancel(request_id, "client_disconnected") for request_id in begun))


async def _answer(call: Call, one: _Call, *, cancels: bool) -> None:
    try:
        if one.chunks is not None and one.ticket is not None:
            await one.ticket.receipt
            await _stream(call, one, one.chunks, cancels=cancels)
            return
        outcome = await one.result(call)
        status, headers, body = outcome.status, outcome.headers, outcome.body
    except RequestError as problem:
        if one.chunks is not None:
            one.chunks.stop()
        status, headers = problem.status, {"content-type": "application/json", **problem.headers}
        body = problem.body()
    await _start(call, one, status, headers)
    if headers.get("content-type", "").startswith("application/json"):
        await call.send({"type": "websocket.send", "text": body.decode()})
    else:
        await call.send({"type": "websocket.send", "bytes": body})
    await _end(call, one, status)


async def _stream(call: Call, one: _Call, chunks: Follower, *, cancels: bool) -> None:
    await _start(call, one, 200, {"content-type": "text/event-stream; charset=utf-8"})
    blocks = chunks.blocks(after=(0, 0), cancel_on_leave=cancels)
    try:
        async for block in blocks:
            await call.send({"type": "websocket.send", "text": block.decode()})
    finally:
        if isinstance(blocks, AsyncGenerator):
            await blocks.aclose()
    await _end(call, one, 200)


async def _start(call: Call, one: _Call, status: int, headers: dict[str, str]) -> None:
    one.began = call.rooms.clock.monotonic() - one.began
    headers = {"x-fal-request-id": one.request_id, **headers}
    await _say(call, {"type": "start", "request_id": one.request_id, "status": status, "headers": headers})


async def _end(call: Call, one: _Call, status: int) -> None:
    seconds = round(one.began, 6)
    end = {"type": "end", "request_id": one.request_id, "status": status, "time_to_first_byte_seconds": seconds}
    await _say(call, end)


async def _say(call: Call, members: dict[str, object]) -> None:
    await call.send({"type": "websocket.send", "text": msgspec.json.encode(members).decode()})
