"""One attempt of a request in this runner: its context, its words, and how it can be stopped."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pondage.app.context import FileAccess, RequestContext
from pondage.app.served import Endpoint
from pondage.runner import forked
from pondage.runner.journal import Notebook
from pondage.runner.stream import Chunks
from pondage.wire.frames import Execute
from pondage.wire.text import in_one_line

T = TypeVar("T")


class Stopped(asyncio.CancelledError):
    """Raised in the thread of a synchronous function whose attempt is stopped."""


class Interrupted(RuntimeError):
    """Something in this process cancelled what the attempt waited for, and it was not the attempt's own end."""


def carried(function: Callable[[], T]) -> T:
    """Call `function` in a thread whose future somebody awaits, and raise only what a future can carry."""
    try:
        made = function()
    except BaseException as error:
        if forked.here:
            forked.end(error)
        if isinstance(error, StopIteration | GeneratorExit):
            raise carriable(error) from None
        raise
    if forked.here:
        forked.end(None)
    return made


def carriable(error: BaseException) -> BaseException:
    """The error, or RuntimeError in its place: a future that is to carry StopIteration stays pending for ever, and
    GeneratorExit closes the coroutines that wait for it."""
    if not issubclass(type(error), StopIteration | GeneratorExit):  # isinstance would ask the error itself
        return error
    return RuntimeError(f"the function raised {in_one_line(error)}").with_traceback(error.__traceback__)


class Attempt:
    """The runner's side of an attempt; the sink of its context.

    `stopped` is why it is being stopped, empty while it is not: `client_cancelled`, `request_timeout`,
    `client_disconnected` or `stale`; `soft`: it is only told, and its thread may end in its own time. `begun` is set by
    the task's first step: a task that is cancelled before it would never run, and the attempt never end. `number`
    counts the attempts of this process; `company`: others ran as it began.
    """

    __slots__ = (
        "_lock", "_thread", "begun", "chunks", "company", "context", "endpoint", "frame", "key",
        "loop_thread", "notes", "number", "response", "session",
        "soft", "started", "stopped", "task", "timer",
    )  # fmt: skip

    def __init__(
        self, frame: Execute, endpoint: Endpoint | None, notes: Notebook, files: FileAccess, now: float, name: str
    ) -> None:
        self.frame = frame
        self.key = (frame.request_id, frame.attempt)
        self.endpoint = endpoint
        self.notes = notes
        self.started = now
        self.stopped = ""
        self.soft = False
        self.begun = False
        self.number = 0
        self.company = False
        self.loop_thread = threading.get_ident()
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.chunks: Chunks | None = None
        self.session: Any = None
        self.response: Any = None
        self._thread: int | None = None
        self._lock = threading.Lock()
        self.context = RequestContext(
            request_id=frame.request_id,
            attempt=frame.attempt,
            endpoint=name if frame.path == "/" else name + frame.path,
            headers=frame.headers,
            deadline=None if frame.timeout is None else now + frame.timeout,
            sink=self,
            files=files,
            lifecycle_preference=_lifecycle(frame.headers),
            caller=frame.caller,
        )

    # ---- the context's sink

    @property
    def cancelled(self) -> bool:
        return bool(self.stopped)

    def write(self, stream: Any, text: str | bytes) -> None:
        self.notes.write(stream, text)

    def log(self, level: str, message: str, source: str = "") -> None:
        self.notes.log(level, message, source)

    def progress(self, step: float, total: float | None, message: str) -> None:
        self.notes.progress(step, total, message)

    def takes_preview(self) -> bool:
        return self.notes.takes_preview()

    def preview(self, data: bytes) -> None:
        self.notes.preview(data)

    # ---- stopping

    def stop(self, reason: str, *, soft: bool = False) -> None:
        """Set the flag, then interrupt: CancelledError on the loop, an exception into the thread. Once.

        `soft`: no exception into the thread, whose result is then dropped; a later stop that is not soft brings it.
        """
        if self.stopped and (soft or not self.soft):
            return
        self.stopped = self.stopped or reason
        self.soft = soft
        if self.chunks is not None:
            self.chunks.end()
        with self._lock:
            if self._thread is not None:
                if not soft:
                    _raise_in(self._thread, Stopped)
                return
        if self.begun and self.task is not None:
            self.task.cancel()

    def interrupt(self, reason: str) -> None:
        """Stop an `async` function that blocks the loop: raise in the loop's thread, which is inside of it now."""
        self.stopped = self.stopped or reason
        _raise_in(self.loop_thread, Stopped)

    def in_thread(self, function: Callable[[], T]) -> T:
        """Run `function` in this thread, where `stop` can reach it.

        The exception of a stop may arrive at any instruction until it is taken back at the end, so that whatever
        comes out after a stop is turned into Stopped.
        """
        try:
            with self._lock:
                if self.cancelled:
                    raise Stopped
                self._thread = threading.get_ident()
            try:
                made = carried(function)
                if self.soft:
                    raise Stopped  # nobody wants it any more
                return made
            finally:
                with self._lock:
                    self._thread = None
                    if self.stopped:
                        _raise_in(threading.get_ident(), None)
        except BaseException as error:
            self._thread = None
            if self.stopped and not isinstance(error, Stopped):
                raise Stopped from error
            raise


def _lifecycle(headers: dict[str, str]) -> dict[str, Any] | None:
    """fal's lifecycle header (PROTOCOL 4.3), decoded; None where there is none, or none that can be read."""
    text = headers.get("x-fal-object-lifecycle-preference") or headers.get("x-fal-object-lifecycle")
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise `error` in a thread at its next Python instruction; None takes back one that has not been raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error is not None else None
    )
