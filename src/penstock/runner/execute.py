"""Attempts, from the frame that begins one to the frame that ends it.

Whatever the author's code does, short of ending the process, an attempt ends in `_finish` with one outcome.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from penstock.app.app import App
from penstock.app.context import FileAccess, _current
from penstock.app.exceptions import AppException, FieldException, RequestCancelledException, Retry
from penstock.app.loading import trace_of
from penstock.app.served import Endpoint, near_paths
from penstock.clock import Clock
from penstock.runner import outcomes
from penstock.runner.attempt import Attempt
from penstock.runner.journal import Journal, Limits, Notebook
from penstock.runner.link import Link
from penstock.wire.events import Outcome
from penstock.wire.frames import Cancel, Committed, Execute, Finished, Frame, Poisoned

log = logging.getLogger("penstock.runner")

T = TypeVar("T")

_QUIET = (AppException, FieldException, RequestCancelledException, Retry, outcomes.NoSuchPath)


class Executor:
    """Executes the attempts of one app. All methods are called on the loop."""

    def __init__(
        self,
        app: App,
        name: str,
        endpoints: dict[str, Endpoint],
        *,
        link: Link,
        journal: Journal,
        own: Notebook,
        limits: Limits,
        files: FileAccess,
        clock: Clock,
        cancel_grace: float,
    ) -> None:
        self._app = app
        self._name = name
        self._endpoints = endpoints
        self._link = link
        self._journal = journal
        self._own = own
        self._limits = limits
        self._files = files
        self._clock = clock
        self._cancel_grace = cancel_grace
        self._loop = asyncio.get_running_loop()
        self._hints = type(app).provide_hints is not App.provide_hints
        # Threads are made when they are needed; a few more than slots, for those that could not be stopped.
        self._pool = ThreadPoolExecutor((type(app).max_multiplexing or 1) + 4, thread_name_prefix="penstock")
        self.running: dict[tuple[str, int], Attempt] = {}
        self._unacknowledged: dict[tuple[str, int], Finished] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    # ---- frames

    def execute(self, frame: Execute) -> None:
        """Begin an attempt."""
        notes = Notebook(self._journal, self._limits, frame.request_id, frame.attempt)
        attempt = Attempt(
            frame, self._endpoints.get(frame.path), notes, self._files, self._clock.monotonic(), self._name
        )
        self.running[attempt.key] = attempt
        self._idle.clear()
        if frame.timeout is not None:
            attempt.timer = self._loop.call_later(frame.timeout, self._stop, attempt, "request_timeout")
        attempt.task = self._loop.create_task(self._serve(attempt))

    def cancel(self, frame: Cancel) -> None:
        """Stop an attempt, if it still runs."""
        attempt = self.running.get((frame.request_id, frame.attempt))
        if attempt is not None:
            self._stop(attempt, frame.reason)

    def committed(self, frame: Committed) -> None:
        """Forget what the gateway has on disk."""
        if frame.done:
            self._unacknowledged.pop((frame.request_id, frame.attempt), None)
            if not self._unacknowledged and not self.running:
                self._idle.set()

    def held(self) -> list[tuple[str, int]]:
        """What a new gateway must know of: attempts that run, and those whose outcome is not on disk."""
        return [*self.running, *(key for key in self._unacknowledged if key not in self.running)]

    def resend(self) -> list[Frame]:
        """What the gateway before may not have committed."""
        return list(self._unacknowledged.values())

    async def idle(self) -> None:
        """Until nothing runs and every outcome is on the gateway's disk."""
        await self._idle.wait()

    def stop_all(self, reason: str) -> None:
        for attempt in list(self.running.values()):
            self._stop(attempt, reason)

    # ---- one attempt

    async def _serve(self, attempt: Attempt) -> None:
        _current.set(attempt.context)
        attempt.begun = True
        retry = False
        try:
            if attempt.cancelled:
                raise asyncio.CancelledError
            body = await self._output(attempt)
            outcome = outcomes.ok(body, self._clock.monotonic() - attempt.started, self._headers())
        except BaseException as error:  # SystemExit and the like end the request, never the process
            outcome, retry = self._failure(attempt, error)
        self._finish(attempt, outcome, retry)

    async def _output(self, attempt: Attempt) -> bytes:
        endpoint = attempt.endpoint
        if endpoint is None:
            raise self._no_path(attempt.frame.path)
        signature = endpoint.signature
        arguments = signature.input.parse(attempt.frame.input)
        if signature.is_async:
            return signature.output.encode(await endpoint.call(self._app, **arguments))

        def call() -> bytes:
            return signature.output.encode(endpoint.call(self._app, **arguments))

        return await self._threaded(attempt, call)

    async def _threaded(self, attempt: Attempt, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._pool, partial(attempt.in_thread, call))

    def _failure(self, attempt: Attempt, error: BaseException) -> tuple[Outcome, bool]:
        seconds = self._clock.monotonic() - attempt.started
        if attempt.stopped:
            return outcomes.stopped(attempt.stopped, seconds, timeout=attempt.frame.timeout), False
        outcome = outcomes.failed(error, seconds)
        if outcome.status >= 500 and not isinstance(error, _QUIET):
            attempt.log("ERROR", outcome.payload_error or trace_of(error), "penstock")
        return outcome, isinstance(error, Retry)

    def _finish(self, attempt: Attempt, outcome: Outcome, retry: bool) -> None:
        if attempt.timer is not None:
            attempt.timer.cancel()
        attempt.notes.close(self._own)
        self.running.pop(attempt.key, None)
        finished = Finished(*attempt.key, outcome, retry)
        self._unacknowledged[attempt.key] = finished
        self._link.send(finished)

    def _stop(self, attempt: Attempt, reason: str) -> None:
        if attempt.stopped:
            return
        attempt.stop(reason)
        self._loop.call_later(self._cancel_grace, self._give_up, attempt)

    def _give_up(self, attempt: Attempt) -> None:
        if self.running.get(attempt.key) is attempt:
            reason = f"it did not end within {self._cancel_grace:g} s of being stopped ({attempt.stopped})"
            self._link.send(Poisoned(*attempt.key, reason))

    def _headers(self) -> dict[str, str]:
        if not self._hints:
            return outcomes.JSON
        words = ",".join(self._app.provide_hints()).encode("latin-1", "replace").decode("latin-1")
        return outcomes.JSON | {"x-fal-runner-hints": words}

    def _no_path(self, path: str) -> outcomes.NoSuchPath:
        near = near_paths(path, self._endpoints)
        hint = f"; there is {', '.join(near)}" if near else ""
        return outcomes.NoSuchPath(f"Path {path} not found{hint}")
