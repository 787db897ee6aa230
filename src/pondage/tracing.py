"""Traces for OpenTelemetry: from the caller's `traceparent` through gateway, wait, attempts, files and webhooks.

Of a request nothing is kept for this while it lives. When it has ended its spans are made from its log, with the times
that stand there, so that they are right over crashes and restarts. Files and tries of webhooks are told as they happen.
What a span hangs on is known by its id, which follows from what it tells of; the trace is the one that the request's
own headers name, so that an app's spans are part of it as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pondage.clock import Clock
from pondage.files.interface import FileInfo, Files
from pondage.queue.interface import Queue, RequestView
from pondage.queue.news import Listener
from pondage.steady import complain
from pondage.tracer import Attributes, Tracer, nanoseconds, read, within, written
from pondage.webhooks.interface import Owed, Tried
from pondage.wire.events import Completed, Event, Retried, Started

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

log = logging.getLogger("pondage.tracing")

MOST_WAITING = 10_000
"""Ended requests and tries whose spans are still to be made; more are left out, and counted in the log."""
MOST_FILES = 10_000
"""Files of requests that have not ended yet."""
STOP_GRACE = 5.0
"""Seconds that the last spans get to be made at a stop."""
_KINDS = frozenset({"started", "retried", "completed"})
_ENDINGS = 1000
"""Entries of one request's log that are looked at: so many attempts and more."""


def _unwanted(headers: Mapping[str, str]) -> bool:
    """Whether the trace that the headers name is one that nobody wants to see."""
    from opentelemetry.trace import get_current_span

    context = get_current_span(read(headers)).get_span_context()
    return context.is_valid and not context.trace_flags.sampled


class _File(NamedTuple):
    name: str
    begin: float
    end: float
    size: int
    error: str | None


class _Try(NamedTuple):
    owed: Owed
    tried: Tried


class _CallSpan:
    """A call's span; see `pondage.gateway.traced.CallSpan`."""

    def __init__(self, span: Span, parent: Context, clock: Clock) -> None:
        from opentelemetry.trace import set_span_in_context

        self._span = span
        self._clock = clock
        self.headers = written(set_span_in_context(span, parent))

    def end(self, name: str, attributes: Mapping[str, str | int], *, failed: bool) -> None:
        from opentelemetry.trace import StatusCode

        self._span.update_name(name)
        self._span.set_attributes(dict(attributes))
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(nanoseconds(self._clock.wall()))


class Traces(Listener):
    """See the module. A service: `run` makes the spans of what has ended, `stop` makes the last ones."""

    def __init__(self, tracer: Tracer, queue: Queue, clock: Clock) -> None:
        self._tracer = tracer
        self._queue = queue
        self._clock = clock
        self._ended: asyncio.Queue[str | _Try] = asyncio.Queue(MOST_WAITING)
        self._files: OrderedDict[str, list[_File]] = OrderedDict()
        self._left_out = 0

    # ---- what is told

    def begin_call(self, headers: Mapping[str, str]) -> _CallSpan:
        """A caller's call begins."""
        from opentelemetry.trace import SpanKind

        parent = read(headers)
        return _CallSpan(
            self._tracer.begin("call", self._clock.wall(), parent, kind=SpanKind.SERVER), parent, self._clock
        )

    def ended(self, request_id: str) -> None:
        """A request's outcome was committed."""
        self._later(request_id)

    def tried(self, owed: Owed, tried: Tried) -> None:
        """A webhook was tried."""
        self._later(_Try(owed, tried))

    def stored(self, request_id: str, file: _File) -> None:
        """A file of a request that runs was stored, or could not be."""
        self._files.setdefault(request_id, []).append(file)
        while len(self._files) > MOST_FILES:
            self._files.popitem(last=False)

    def of(self, files: Files) -> Files:
        """The room of files, with a note of each file that a request stores."""
        return cast("Files", _TracedFiles(files, self._clock, self.stored))

    def _later(self, what: str | _Try) -> None:
        try:
            self._ended.put_nowait(what)
        except asyncio.QueueFull:
            self._left_out += 1

    async def headers(self, owed: Owed) -> dict[str, str]:
        """What a try of a webhook sends along, so that its receiver can go on with the trace."""
        brought = await self._queue.input(owed.request_id)
        context = None if brought is None else within(read(brought.headers), _try_name(owed))
        return {} if context is None else written(context)

    # ---- what is made of it

    async def run(self) -> None:
        said = ""
        while True:
            what = await self._ended.get()
            try:
                await self._make(what)
                said = ""
            except Exception as error:
                said = complain("a trace cannot be made", error, said)
            finally:
                self._ended.task_done()
            if self._left_out and self._ended.empty():
                log.warning("%d traces were left out: more ended than could be told of", self._left_out)
                self._left_out = 0

    async def stop(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.join(), STOP_GRACE)
        await asyncio.to_thread(self._tracer.close)

    async def _make(self, what: str | _Try) -> None:
        if isinstance(what, _Try):
            await self._webhook(what.owed, what.tried)
        else:
            await self._request(what, self._files.pop(what, []))

    async def _request(self, request_id: str, files: list[_File]) -> None:
        view, brought = await self._queue.get(request_id), await self._queue.input(request_id)
        if view is None or brought is None or view.finished_at is None or _unwanted(brought.headers):
            return
        events = await self._queue.events(request_id, kinds=_KINDS, limit=_ENDINGS)
        endpoint = view.app + ("" if view.path == "/" else view.path)
        whole = self._tracer.span(
            f"request {endpoint}", view.submitted_at, view.finished_at, read(brought.headers),
            attributes=_of_request(view), failed=view.error or view.error_type if view.outcome == "error" else None,
            own=request_id,
        )  # fmt: skip
        self._steps(view, events, files, whole)

    def _steps(self, view: RequestView, events: list[Event], files: list[_File], whole: Context) -> None:
        """The waits and the attempts, one after the other, and in each attempt the files that it stored."""
        waiting_since = view.submitted_at
        running: tuple[Started, int] | None = None
        for event in events:
            entry = event.entry
            if isinstance(entry, Started):
                self._tracer.span("wait", waiting_since, entry.at, whole, attributes={})
                running = entry, event.attempt
            elif isinstance(entry, Retried | Completed):
                if running is not None:
                    self._attempt(view, running, entry, files, whole)
                elif isinstance(entry, Completed):
                    self._tracer.span("wait", waiting_since, entry.at, whole, attributes={})
                waiting_since, running = entry.at, None

    def _attempt(
        self,
        view: RequestView,
        running: tuple[Started, int],
        end: Retried | Completed,
        files: list[_File],
        whole: Context,
    ) -> None:
        started, number = running
        failed = None
        if isinstance(end, Retried):
            failed = end.reason
        elif end.kind == "error":
            failed = end.error or end.error_type or ""
        attributes: Attributes = {"pondage.attempt": number, "pondage.runner": started.runner}
        inside = self._tracer.span(
            f"attempt {number}", started.at, end.at, whole, attributes=attributes, failed=failed,
            own=f"{view.id} {number}",
        )  # fmt: skip
        for file in files:
            if started.at <= file.begin <= end.at:
                about: Attributes = {"pondage.file": file.name, "pondage.bytes": file.size}
                self._tracer.span("file", file.begin, file.end, inside, attributes=about, failed=file.error)

    async def _webhook(self, owed: Owed, tried: Tried) -> None:
        from opentelemetry.trace import SpanKind

        brought = await self._queue.input(owed.request_id)
        parent = None if brought is None else within(read(brought.headers), owed.request_id)
        if parent is None:
            return
        attributes: Attributes = {
            "pondage.delivery": owed.id,
            "pondage.try": owed.tries + 1,
            "pondage.to": owed.origin,
        }
        if tried.status is not None:
            attributes["http.response.status_code"] = tried.status
        self._tracer.span(
            f"webhook {owed.event}", tried.at, tried.at + tried.duration, parent, attributes=attributes,
            failed=None if tried.ok else tried.reason, kind=SpanKind.CLIENT, own=_try_name(owed),
        )  # fmt: skip


def _try_name(owed: Owed) -> str:
    return f"{owed.id} {owed.tries}"


def _of_request(view: RequestView) -> Attributes:
    attributes: Attributes = {
        "pondage.request_id": view.id, "pondage.app": view.app, "pondage.path": view.path, "pondage.mode": view.mode,
        "pondage.attempts": view.attempt, "pondage.outcome": str(view.outcome or ""),
    }  # fmt: skip
    if view.caller:
        attributes["pondage.key"] = view.caller
    if view.status is not None:
        attributes["http.response.status_code"] = view.status
    return attributes


class _TracedFiles:
    """The room of files as the fleet uses it, with a note of each file that a request stores."""

    def __init__(self, files: Files, clock: Clock, tell: Callable[[str, _File], None]) -> None:
        self._files = files
        self._clock = clock
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    async def put(
        self, data: AsyncIterator[bytes], *, file_name: str = "", request_id: str = "", **more: Any
    ) -> FileInfo:
        begin, size, error = self._clock.wall(), 0, None
        try:
            stored = await self._files.put(data, file_name=file_name, request_id=request_id, **more)
            size = stored.size
            return stored
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            raise
        finally:
            if request_id:
                self._tell(request_id, _File(file_name, begin, self._clock.wall(), size, error))
