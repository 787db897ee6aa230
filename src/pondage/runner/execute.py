"""Attempts, from the frame that begins one to the frame that ends it.

Whatever the author's code does, short of ending the process, an attempt ends in `_finish` with one outcome. Where the
code here fails itself, the attempt ends with an outcome that says so, and the traceback is in its log.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import msgspec
import pydantic

from pondage.app.app import App
from pondage.app.context import _current
from pondage.app.exceptions import AppException, FieldException, RequestCancelledException, Retry
from pondage.app.loading import trace_of
from pondage.app.media import prepare
from pondage.app.served import HEALTH, Endpoint, health_endpoint, near_paths, slots_of
from pondage.clock import Clock
from pondage.loop import apart
from pondage.runner import forked, outcomes
from pondage.runner.attempt import Attempt, Interrupted, carried
from pondage.runner.batch import Batcher
from pondage.runner.descriptors import Descriptors
from pondage.runner.devices import device_error, names_a_device
from pondage.runner.files import Transfers
from pondage.runner.findings import Misfit
from pondage.runner.given import given, said
from pondage.runner.journal import Journal, Limits, Notebook
from pondage.runner.link import Link
from pondage.runner.outward import outward
from pondage.runner.session import Session
from pondage.runner.stream import Chunks, Making
from pondage.wire.events import Outcome
from pondage.wire.frames import (
    Again,
    Cancel,
    Committed,
    Execute,
    Finished,
    Frame,
    Poisoned,
    SessionClose,
    SessionMessage,
    SessionMore,
    Welcome,
)
from pondage.wire.text import text_of

T = TypeVar("T")

_FORESEEN = (AppException, FieldException, RequestCancelledException, Retry, outcomes.NoSuchPath)
_SPARE_THREADS = 4


class _Asked(msgspec.Struct):
    """What the caller of a session asked for, as the gateway hands it on."""

    max_buffering: int | None = None


class Executor:
    """Executes the attempts of one app. All methods are called on the loop."""

    def __init__(
        self,
        app: App,
        name: str,
        endpoints: dict[str, Endpoint],
        welcome: Welcome,
        *,
        link: Link,
        journal: Journal,
        own: Notebook,
        transfers: Transfers,
        clock: Clock,
        descriptors: Descriptors,
    ) -> None:
        self._app = app
        self._name = name
        self._endpoints = endpoints
        self._health = health_endpoint(type(app))
        self._welcome = welcome
        self._limits = Limits(welcome.max_log_line, welcome.max_log_entries)
        self._link = link
        self._journal = journal
        self._own = own
        self._transfers = transfers
        self._clock = clock
        self._descriptors = descriptors
        self._loop = asyncio.get_running_loop()
        self._hints = type(app).provide_hints is not App.provide_hints
        # Threads are made when they are needed; a few more than slots, for those that could not be stopped.
        slots = slots_of(type(app), endpoints)
        self._pool = ThreadPoolExecutor(slots + _SPARE_THREADS, thread_name_prefix="pondage")
        self._batchers = {
            path: Batcher(
                app, endpoint, 0.0 if endpoint.kind == "realtime" else endpoint.declaration.batch_wait, self._pooled
            )
            for path, endpoint in endpoints.items()
            if endpoint.signature.batches == "requests"
        }
        self.running: dict[tuple[str, int], Attempt] = {}
        self._begun = 0
        self._unacknowledged: dict[tuple[str, int], tuple[Finished, Chunks | None]] = {}
        self._sessions: dict[str, Session] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    # ---- frames

    def execute(self, frame: Execute) -> None:
        """Begin an attempt."""
        try:
            if self._descriptors.unread:
                self._descriptors.settle()  # it was printed before this one
            self._begin(frame)
        except Exception as error:
            self._fail(frame, None, error)

    def _fail(self, frame: Execute, chunks: Chunks | None, error: Exception) -> None:
        """Our own code failed as an attempt was begun or ended: it ends all the same."""
        key = (frame.request_id, frame.attempt)
        self._own.log("ERROR", f"the runner failed on request {frame.request_id}\n{trace_of(error)}", "pondage")
        self.running.pop(key, None)
        self._sessions.pop(frame.request_id, None)
        if key not in self._unacknowledged:
            self._hand_in(Finished(*key, outcomes.own_failure(error, 0.0)), chunks)

    def _begin(self, frame: Execute) -> None:
        endpoint = self._endpoints.get(frame.path) or (self._health if frame.path == HEALTH else None)
        notes = Notebook(self._journal, self._limits, frame.request_id, frame.attempt)
        files = self._transfers.access(frame)
        attempt = Attempt(frame, endpoint, notes, files, self._clock.monotonic(), self._name)
        self._begun += 1
        attempt.number, attempt.company = self._begun, bool(self.running)
        self.running[attempt.key] = attempt
        self._idle.clear()
        if frame.timeout is not None:
            attempt.timer = self._loop.call_later(frame.timeout, self.stop, attempt, "request_timeout")
        if frame.mode == "session" and endpoint is not None and endpoint.kind == "realtime":
            self._sessions[frame.request_id] = self._session(attempt, endpoint)
        attempt.task = self._loop.create_task(self._serve(attempt))
        apart(attempt.task)

    def cancel(self, frame: Cancel) -> None:
        """Stop an attempt, if it still runs."""
        attempt = self.running.get((frame.request_id, frame.attempt))
        if attempt is not None:
            self.stop(attempt, frame.reason, soft=frame.soft)

    def committed(self, frame: Committed) -> None:
        """Forget what the gateway has on disk."""
        key = (frame.request_id, frame.attempt)
        if frame.chunks:
            attempt, done = self.running.get(key), self._unacknowledged.get(key)
            chunks = attempt.chunks if attempt is not None else done[1] if done is not None else None
            if chunks is not None:
                chunks.committed(frame.chunks)
        if frame.done:
            self._unacknowledged.pop(key, None)
            if not self._unacknowledged and not self.running:
                self._idle.set()

    def session(self, frame: SessionMessage | SessionMore | SessionClose) -> None:
        """A message of a session, room for its results, or its end."""
        session = self._sessions.get(frame.request_id)
        if session is None:
            return
        if isinstance(frame, SessionMessage):
            session.take(frame)
        elif isinstance(frame, SessionMore):
            session.more(frame)
        else:
            self._hang_up(frame.request_id, session)

    def _hang_up(self, request_id: str, session: Session) -> None:
        """The caller has left: an answer that still runs gets the grace period."""
        session.hang_up()
        self._loop.call_later(self._welcome.cancel_grace, self._abandon, request_id, session)

    def _abandon(self, request_id: str, session: Session) -> None:
        if self._sessions.get(request_id) is session and session.abandoned:
            self.stop(session.attempt, "client_disconnected")

    def held(self) -> list[tuple[str, int]]:
        """What a new gateway must know of: attempts that run, and those whose outcome is not on disk."""
        return [*self.running, *(key for key in self._unacknowledged if key not in self.running)]

    def resend(self) -> list[Frame]:
        """What the gateway before may not have committed: chunks first, then outcomes."""
        kept = [attempt.chunks for attempt in self.running.values()]
        kept += [chunks for _, chunks in self._unacknowledged.values()]
        frames: list[Frame] = [frame for chunks in kept if chunks is not None and (frame := chunks.frame()) is not None]
        return [*frames, *(finished for finished, _ in self._unacknowledged.values())]

    def gateway_lost(self) -> None:
        """The callers of sessions were connected to that gateway: they are gone."""
        for request_id, session in self._sessions.items():
            self._hang_up(request_id, session)

    async def idle(self) -> None:
        """Until nothing runs and every outcome is on the gateway's disk."""
        await self._idle.wait()

    async def let_go(self) -> None:
        """The process ends: cancel what still runs, and give it a moment. That is no outcome."""
        tasks = [attempt.task for attempt in self.running.values() if attempt.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._welcome.cancel_grace)

    # ---- one attempt

    async def _serve(self, attempt: Attempt) -> None:
        retry, again = False, Again.NO
        try:
            try:
                _current.set(attempt.context)
                attempt.begun = True
                if attempt.cancelled:
                    raise asyncio.CancelledError
                body = outward(await self._output(attempt), attempt.frame.base_url)
                if forked.here:
                    forked.end(None)
                headers = self._headers(attempt)
                outcome = outcomes.ok(body, self._clock.monotonic() - attempt.started, headers)
            except BaseException as error:  # SystemExit and the like end the request, never the process
                if forked.here:
                    forked.end(error)
                outcome, retry, again = self._failure(attempt, error)
        except BaseException as error:  # whatever it was, it was ours
            attempt.log("ERROR", f"the runner's own code failed\n{trace_of(error)}", "pondage")
            outcome = outcomes.own_failure(error, 0.0)
        try:
            self._finish(attempt, outcome, retry, again)
        except Exception as error:
            self._fail(attempt.frame, attempt.chunks, error)

    async def _output(self, attempt: Attempt) -> bytes:
        endpoint = attempt.endpoint
        if endpoint is None:
            raise self._no_path(attempt.frame.path)
        if attempt.frame.mode == "session":
            return await self._hold(attempt, endpoint)
        if endpoint.kind == "realtime":
            raise AppException(f"{endpoint.path} is a realtime endpoint: connect to it with a WebSocket", 400)
        signature = endpoint.signature
        try:
            arguments = signature.input.parse(attempt.frame.input)
        except pydantic.ValidationError as error:
            raise Misfit(error) from error
        if signature.given:
            arguments |= given(signature.given, attempt)
        if signature.headers is not None:
            arguments |= signature.headers.take(attempt.frame.headers)
        if signature.input.media:
            await self._threaded(attempt, partial(prepare, arguments, whole=signature.input.whole))
        if endpoint.path in self._batchers:
            value = await self._batchers[endpoint.path].submit(attempt, next(iter(arguments.values())))
            body = signature.output.encode(value)
        else:
            body = await self._called(attempt, endpoint, arguments)
        if attempt.frame.mode == "stream" and attempt.chunks is None:
            self._chunks(attempt).add(body)
        return body

    async def _called(self, attempt: Attempt, endpoint: Endpoint, arguments: dict[str, Any]) -> bytes:
        """What the method returned, or the last chunk that it yielded."""
        signature = endpoint.signature
        making = Making(signature.output, signature.generates, partial(self._chunks, attempt))
        if signature.is_async or signature.generates_async:
            made = endpoint.call(self._app, **arguments)
        else:
            made = await self._threaded(attempt, lambda: making.in_thread(endpoint.call(self._app, **arguments)))
            if type(made) is bytes:
                return made
        return await making.on_loop(made, partial(self._threaded, attempt))

    def _chunks(self, attempt: Attempt) -> Chunks:
        attempt.chunks = Chunks(attempt.notes, self._welcome.chunk_buffer_bytes, attempt.frame.base_url)
        return attempt.chunks

    async def _hold(self, attempt: Attempt, endpoint: Endpoint) -> bytes:
        session = self._sessions.get(attempt.frame.request_id)
        if session is None:
            self._link.send(SessionClose(attempt.frame.request_id, 1008, f"{endpoint.path} is no realtime endpoint"))
            raise AppException(f"{endpoint.path} is no realtime endpoint", 400)
        try:
            return await session.run()
        finally:
            del self._sessions[attempt.frame.request_id]

    def _session(self, attempt: Attempt, endpoint: Endpoint) -> Session:
        try:
            asked = msgspec.json.decode(attempt.frame.input or b"{}", type=_Asked).max_buffering
        except msgspec.MsgspecError:
            asked = None
        batcher = self._batchers.get(endpoint.path)
        return Session(
            attempt,
            endpoint,
            self._app,
            send=self._link.send,
            flush=self._link.flush,
            threaded=partial(self._threaded, attempt),
            batched=partial(batcher.submit, attempt) if batcher else None,
            idle=self._welcome.session_idle,
            buffer=min(endpoint.declaration.buffering or self._welcome.session_buffer, asked or sys.maxsize),
            buffer_bytes=self._welcome.session_buffer_bytes,
            window=self._welcome.chunk_buffer_bytes,
        )

    async def _threaded(self, attempt: Attempt, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._pool, partial(attempt.in_thread, call))

    async def _pooled(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._pool, carried, call)

    # ---- its end

    def _failure(self, attempt: Attempt, error: BaseException) -> tuple[Outcome, bool, Again]:
        seconds = self._clock.monotonic() - attempt.started
        if attempt.stopped:
            return outcomes.stopped(attempt.stopped, seconds, timeout=attempt.frame.timeout), False, Again.NO
        if (message := self._device_error(error)) is not None:
            attempt.log("ERROR", trace_of(error), "pondage")
            return outcomes.device_failed(message, seconds), False, Again.ELSEWHERE
        outcome = outcomes.failed(error, seconds)
        if outcome.status >= 500 and not isinstance(error, _FORESEEN):
            attempt.log("ERROR", outcome.payload_error or trace_of(error), "pondage")
        again = Again.NO
        if isinstance(error, asyncio.CancelledError | Interrupted) and self._had_company(attempt):
            again = Again.ALONE
        return outcome, isinstance(error, Retry), again

    def _device_error(self, error: BaseException) -> str | None:
        on_purpose = isinstance(error, _FORESEEN) or hasattr(error, "status_code")
        return device_error(error) if not on_purpose or names_a_device(error) else None

    def _had_company(self, attempt: Attempt) -> bool:
        """Whether other attempts ran at any time while this one did: they may have done to it what ended it."""
        return attempt.company or self._begun > attempt.number

    def _finish(self, attempt: Attempt, outcome: Outcome, retry: bool, again: Again) -> None:
        if attempt.timer is not None:
            attempt.timer.cancel()
        outcome, left_out = outcomes.fit(outcome)
        for sentence in left_out:
            attempt.log("WARN", f"left out of the result: {sentence}", "pondage")
        try:
            if len(self.running) <= 2:  # else it is nobody's, now and next
                self._descriptors.settle()
            attempt.notes.close(self._own)
        except Exception as error:  # an outcome is not kept back by its log
            self._own.log("ERROR", trace_of(error), "pondage")
        self.running.pop(attempt.key, None)
        self._hand_in(Finished(*attempt.key, outcome, retry, again), attempt.chunks)
        try:
            self._transfers.done(attempt.frame.request_id)
        except Exception as error:  # no thread, say, to remove its copies
            self._own.log("ERROR", trace_of(error), "pondage")

    def _hand_in(self, finished: Finished, chunks: Chunks | None) -> None:
        self._unacknowledged[finished.request_id, finished.attempt] = (finished, chunks)
        self._link.send(finished)

    def stop(self, attempt: Attempt, reason: str, *, soft: bool = False) -> None:
        """Interrupt an attempt; if it has not let go after the grace period, say that this process is poisoned.

        `soft`: it is told, and nothing follows if it does not let go.
        """
        if soft:
            attempt.stop(reason, soft=True)
        elif not attempt.stopped or attempt.soft:
            attempt.stop(reason)
            if (session := self._sessions.get(attempt.frame.request_id)) is not None:
                session.hang_up()  # a thread that waits for the next message hears nothing else
            self._loop.call_later(self._welcome.cancel_grace, self._give_up, attempt)

    def _give_up(self, attempt: Attempt) -> None:
        if self.running.get(attempt.key) is attempt:
            self.poisoned(attempt)

    def poisoned(self, attempt: Attempt) -> None:
        """Ask to be replaced. From any thread."""
        reason = f"it did not end within {self._welcome.cancel_grace:g} s of being stopped ({attempt.stopped})"
        self._link.send(Poisoned(*attempt.key, reason))

    def _headers(self, attempt: Attempt) -> dict[str, str]:
        if attempt.response is None and not self._hints:
            return outcomes.JSON
        headers = outcomes.JSON | said(attempt.response)
        if self._hints:
            headers["x-fal-runner-hints"] = ",".join(map(text_of, self._app.provide_hints()))
        return headers

    def _no_path(self, path: str) -> outcomes.NoSuchPath:
        near = near_paths(path, self._endpoints)
        hint = f"; there is {', '.join(near)}" if near else ""
        return outcomes.NoSuchPath(f"Path {path} not found{hint}")
