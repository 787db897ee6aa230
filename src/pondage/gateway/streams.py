"""Event streams: the status of a request as it changes, and its chunks as they come (PROTOCOL 4.6 and 5.2).

Both read the request's own log, so that a reader may leave and come back with `Last-Event-ID`. Chunks are heard live as
well, before their commit; a reader that falls behind continues from the log, so that nobody's memory grows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from pondage.errors import BadRequest, OutcomeDelayed
from pondage.gateway import expected
from pondage.gateway.access import require
from pondage.gateway.budget import FREE
from pondage.gateway.call import Call, Response, until_gone
from pondage.gateway.crowd import PLACE, Place
from pondage.gateway.interrupted import Interrupted
from pondage.gateway.status import picture_url, status_object
from pondage.gateway.submitting import Target, cancels_on_leave, new_request, read_input
from pondage.queue.interface import RequestView
from pondage.wire import sse
from pondage.wire.events import Chunk, Event, Outcome, Progress
from pondage.wire.states import OutcomeKind, State

_PAGE = 1000
_PAGE_BYTES = 1024 * 1024
"""What a reader takes from the log at a time: so many chunks, no more than have so many bytes."""
_LIVE_BYTES = 256 * 1024
"""About so many bytes of what is heard are written at a time."""
_NET = 60.0
"""Seconds after which a running request is looked at though nothing was heard of it; every change is heard."""
_COMMIT_PAUSE = 0.01
"""Seconds until the log is asked again for chunks that are about to be committed."""


class EventStream:
    """An SSE response: blocks as they come, a comment when none does, and an end when the reader leaves.

    At the end of a stop, what still follows something breaks off without the last piece of its body, so that its
    reader knows that there is more, and comes back.
    """

    def __init__(self, call: Call, blocks: AsyncIterator[bytes], request_id: str) -> None:
        self._blocks = blocks
        self._closing = call.rooms.closing
        self._headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            (b"x-fal-request-id", request_id.encode()),
        ]
        self._keep_alive = call.rooms.settings.keep_alive_interval
        place: Place | None = call.scope.get(PLACE)
        self._connection = None if place is None else place.connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        leaving = asyncio.ensure_future(until_gone(receive))
        closing = asyncio.ensure_future(self._closing.wait())
        coming: asyncio.Future[bytes] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(self._blocks))
                watched: list[asyncio.Future[Any]] = [coming, leaving, closing]
                await asyncio.wait(watched, timeout=self._keep_alive, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    return
                if closing.done() and not coming.done():
                    self._break_off()
                    return
                if not coming.done():
                    await send({"type": "http.response.body", "body": sse.KEEP_ALIVE, "more_body": True})
                    continue
                try:
                    block = coming.result()
                except StopAsyncIteration:
                    break
                except Interrupted:
                    self._break_off()
                    return
                finally:
                    coming = None
                await self._write(send, block)
                del block
            await send({"type": "http.response.body", "body": b""})
        finally:
            for task in (leaving, closing, coming):
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            if isinstance(self._blocks, AsyncGenerator):
                await self._blocks.aclose()

    def _break_off(self) -> None:
        if self._connection is not None:
            self._connection.cut()

    async def _write(self, send: Send, block: bytes) -> None:
        """A large block in pieces, so that no second one of it lies in buffers; the next comes once it is taken."""
        if len(block) <= FREE:
            await send({"type": "http.response.body", "body": block, "more_body": True})
            return
        for at in range(0, len(block), FREE):
            await send({"type": "http.response.body", "body": block[at : at + FREE], "more_body": True})
        if self._connection is not None:
            await self._connection.has_room(None)


async def _blocks(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


# ---- status


async def stream_status(call: Call, view: RequestView, *, logs: bool) -> Response:
    """The status stream. The id of each event is the number of the last log entry it knows of."""
    last = call.headers.get("last-event-id", "")
    if last and not (last.isascii() and last.isdigit() and len(last) < 16):
        raise BadRequest(f"Last-Event-ID {last!r} is not one of this stream's ids")
    blocks = _blocks() if call.method == "HEAD" else _statuses(call, view, after=int(last or 0), logs=logs)
    return EventStream(call, blocks, view.id)


async def _statuses(call: Call, view: RequestView, *, after: int, logs: bool) -> AsyncIterator[bytes]:
    queue = call.rooms.queue
    kinds = frozenset({"log", "progress"}) if logs else frozenset({"progress"})
    said: dict[str, object] = {}
    foretold: dict[str, Any] | None = None
    foretold_at = 0.0
    progress: Progress | None = None
    async with queue.watch(view.id) as watch:
        while True:
            view = await queue.get(view.id) or view
            events = await queue.events(view.id, after=after, kinds=kinds) if view.last_event > after else []
            lines: list[Event] = []
            for event in events:
                if isinstance(event.entry, Progress):
                    progress = event.entry
                else:
                    lines.append(event)
            # A page may be full: what is behind it comes with the next turn.
            full = len(events) >= 1000
            # Entries may be newer than the view, which was read first; they must not come twice.
            newest = events[-1].n if events else 0
            after = newest if full else max(after, view.last_event, newest)
            app = call.rooms.fleet.app(view.app)
            fault = app.why_waiting if app else None
            shown = (
                view if not full or view.state is not State.DONE else msgspec.structs.replace(view, state=State.RUNNING)
            )
            told = expected.members(call.rooms.fleet.forecast(shown))
            body = status_object(shown, call.origins, logs=lines if logs else None, progress=progress, fault=fault)
            if progress is not None and (picture := call.rooms.fleet.preview(view.id)):
                body["progress"]["preview"] = picture_url(picture)
            now = call.rooms.clock.monotonic()
            if body != said or lines or expected.has_moved(foretold, told, now - foretold_at):
                said = body if not lines else {}
                foretold, foretold_at = told, now
                if told is not None:
                    body = {**body, "expected": told}
                yield sse.block(sse.data_of(body), event_id=str(after))
            if full:
                continue
            if view.state is State.DONE:
                return
            # While it waits, its position moves without an event of its own.
            await watch.changed(1.0 if view.state is State.QUEUED else _NET)


# ---- chunks


async def stream_chunks(call: Call, target: Target) -> Response:
    """`POST …/stream`: submit a generator's request and follow its chunks."""
    cancels = cancels_on_leave(call, target.on_disconnect)
    body = await read_input(call)
    request = new_request(call, target, body)
    chunks = Follower(call, request.id)
    try:
        receipt = await call.rooms.fleet.submit(request, direct=True).receipt
    except BaseException:
        chunks.stop()
        raise
    if receipt.request_id != request.id:
        chunks.stop()
        chunks = Follower(call, receipt.request_id)
    call.request_id = receipt.request_id
    blocks = chunks.blocks(after=(0, 0), cancel_on_leave=cancels)
    return EventStream(call, blocks, receipt.request_id)


async def follow_chunks(call: Call, view: RequestView, *, own: bool) -> Response:
    """`GET …/requests/{id}/stream`: replay what follows `Last-Event-ID`, then follow.

    One watcher of several that leaves ends nothing, unless the call itself asks for that. `own`: the request is the
    caller's, who may then cancel it.
    """
    try:
        after = sse.parse_chunk_id(call.headers.get("last-event-id"))
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if cancels := cancels_on_leave(call):
        require(call.caller, "submit or operate" if own else "operate")
    if call.method == "HEAD":
        # The connection is free for the next call at once, however long the request still runs.
        return EventStream(call, _blocks(), view.id)
    blocks = Follower(call, view.id, well=view.outcome is OutcomeKind.OK).blocks(after=after, cancel_on_leave=cancels)
    return EventStream(call, blocks, view.id)


class Follower:
    """The chunks of one request for one reader: live where it keeps up, from the log where it does not."""

    def __init__(self, call: Call, request_id: str, *, well: bool = False) -> None:
        self._call = call
        self._request_id = request_id
        self._well = well
        """It has ended already, without an error."""
        self._live: deque[tuple[int, Chunk]] = deque()
        self._bytes = 0
        self._limit = call.rooms.settings.chunk_buffer_bytes
        self._news = asyncio.Event()
        self._held = 0
        """Bytes of the budget that the last block has; its reader has it when the next one is asked for."""
        self._after = (0, 0)
        self._gap = False
        self._listen()

    def _listen(self) -> None:
        self._listening = True
        self._stop = self._call.rooms.fleet.live_chunks(self._request_id, self._hear)

    def _hear(self, attempt: int, chunk: Chunk) -> bool:
        if self._bytes > self._limit:
            self._fall_behind()
            return False
        self._live.append((attempt, chunk))
        self._bytes += len(chunk.data) + 64
        self._news.set()
        return True

    def _fall_behind(self) -> None:
        """Go on from the log."""
        self._listening = False
        self._live.clear()
        self._bytes = 0
        self._news.set()

    def stop(self) -> None:
        self._stop()

    def _let_go(self) -> None:
        self._call.budget.give(self._call.budget_key, self._held)
        self._held = 0

    async def blocks(self, *, after: tuple[int, int], cancel_on_leave: bool) -> AsyncIterator[bytes]:
        """Many chunks a block of bytes, but never a part of one. Ends with the request; an error is the last event."""
        self._after = after
        ending = asyncio.ensure_future(self._ending())
        ending.add_done_callback(lambda done: self._news.set())
        ended = False
        try:
            while True:
                over = ending.done()
                if not self._listening:
                    self._listen()
                # The log first: it has what was said before we listened, or while we were behind.
                while written := await self._from_log():
                    yield written
                while self._listening:
                    if written := self._from_live():
                        yield written
                    if self._gap or over or ending.done():
                        break
                    if not self._live:
                        self._news.clear()
                        await self._news.wait()
                if over and self._listening and not self._live:
                    break
                if self._gap:
                    await asyncio.sleep(_COMMIT_PAUSE)
            ended = True
            try:
                outcome = ending.result()
            except OutcomeDelayed as error:
                yield b"event: error\n" + sse.block(sse.data_of(delayed(error)))
                return
            if outcome is not None:
                yield b"event: error\n" + sse.block(error_data(outcome))
        finally:
            self._stop()
            self._let_go()
            if not ended:
                if not ending.cancel() and not ending.cancelled():
                    ending.exception()  # nobody is left to hear of it
                if cancel_on_leave and not self._call.rooms.closing.is_set():
                    await asyncio.shield(self._call.rooms.fleet.cancel(self._request_id, "client_disconnected"))

    async def _ending(self) -> Outcome | None:
        """The end of the request; its outcome where it is an error. A right one may be large, and is not needed."""
        if not self._well:
            outcome = await self._call.rooms.queue.wait(self._request_id, None)
            if outcome is None and self._call.rooms.closing.is_set():
                raise Interrupted
            if outcome is not None and outcome.kind is not OutcomeKind.OK:
                return outcome
        return None

    async def _from_log(self) -> bytes:
        """The next page of what is committed."""
        self._let_go()
        budget, key = self._call.budget, self._call.budget_key
        (page, after), self._held = await budget.read(key, self._page, lambda read: len(read[0]))
        self._after = after
        return page

    async def _page(self) -> tuple[bytes, tuple[int, int]]:
        """A page, and the number of its last chunk."""
        after, queue = self._after, self._call.rooms.queue
        events = await queue.chunks(self._request_id, after=after, limit=_PAGE, most_bytes=_PAGE_BYTES)
        written = []
        for event in events:
            if isinstance(chunk := event.entry, Chunk):
                after = (event.attempt, chunk.n)
                written.append(_block(event.attempt, chunk))
        return b"".join(written), after

    def _from_live(self) -> bytes:
        """What was heard and follows on what was written; `_gap` where the log has something between.

        Nothing, and from now on the log, where there is no room to hold it.
        """
        self._let_go()
        written, size = [], 0
        self._gap = False
        while self._live and size < _LIVE_BYTES:
            attempt, chunk = self._live[0]
            if (attempt, chunk.n) > self._after:
                if chunk.n != (self._after[1] + 1 if attempt == self._after[0] else 1):
                    self._gap = True
                    break
                size += len(chunk.data) + 64
                if size > FREE and size > self._held and not self._grow(size):
                    self._fall_behind()
                    break
                self._after = (attempt, chunk.n)
                written.append(_block(attempt, chunk))
            self._live.popleft()
            self._bytes -= len(chunk.data) + 64
        return b"".join(written)

    def _grow(self, size: int) -> bool:
        if not self._call.budget.take(self._call.budget_key, size - self._held):
            return False
        self._held = size
        return True


def _block(attempt: int, chunk: Chunk) -> bytes:
    return b"id: %d-%d\ndata: %b\n\n" % (attempt, chunk.n, chunk.data)


def delayed(error: OutcomeDelayed) -> dict[str, object]:
    """The final event of a stream whose outcome cannot be written: the error's members, as of other errors."""
    return {"type": "error", "status": error.status, "detail": error.told, "error_type": error.error_type}


def error_data(outcome: Outcome) -> bytes:
    """The one final error of a stream, as ASCII JSON: what the result would have answered."""
    try:
        body = msgspec.json.decode(outcome.body)
    except msgspec.DecodeError:
        body = None
    detail = body.get("detail", outcome.error) if isinstance(body, dict) else outcome.error
    members = {"type": "error", "status": outcome.status, "detail": detail, "error_type": outcome.error_type}
    return sse.data_of(members)
