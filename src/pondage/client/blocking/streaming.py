# Generated from pondage/client/aio/streaming.py by scripts/generate_sync_client.py: change that.
"""Partial output: chunks as they come, taken up again where the connection broke."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pondage.client import core, errors, limits
from pondage.client.blocking import flow
from pondage.client.blocking.exchange import Broken, Exchange, OpenAnswer
from pondage.client.core import Call, Retries
from pondage.client.deadline import Deadline
from pondage.client.events import EventReader, ServerEvent
from pondage.client.outputs import decode_output
from pondage.client.target import RequestUrls, request_urls


class SyncStream:
    """The chunks of one request: iterate over it. It is a context manager, which leaves the stream at its end.

    `request_id` and `last_event_id` say where it is, so that another process can go on with
    `client.streaming.follow(endpoint, of=request_id, last_event_id=…)`.
    """

    def __init__(
        self,
        exchange: Exchange,
        endpoint: str,
        first: Call | Callable[[], Call],
        *,
        output_type: Any = None,
        timeout: float | None = None,
        request_id: str | None = None,
        last_event_id: str | None = None,
    ) -> None:
        self._exchange = exchange
        self._endpoint = endpoint
        self._first = first
        self._output_type = output_type
        self._timeout = timeout
        self.request_id = request_id
        self.last_event_id = last_event_id
        self._seen = False
        self._apart = False
        """Its connection broke, and there is no other yet: hanging up tells the server nothing."""
        self._chunks: Iterator[Any] = self._run()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._chunks)

    def __enter__(self) -> SyncStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave. The request goes on, unless `on_disconnect="cancel"` was asked for."""
        self._chunks.close()  # type: ignore[attr-defined]

    def _run(self) -> Iterator[Any]:
        exchange = self._exchange
        deadline = exchange.deadline(self._timeout)
        retries = exchange.retries()
        call = self._first if isinstance(self._first, Call) else self._first()
        first, cancels = call, call.headers.get("pondage-on-disconnect") == "cancel"
        idle = None if exchange.target.cloud else limits.STREAM_IDLE
        try:
            while True:
                wait: float | None
                try:
                    with exchange.open(call, idle=idle, deadline=deadline) as answer:
                        self._apart = False
                        if (wait := self._refused(answer, retries)) is None:
                            reader = EventReader()
                            for piece in answer.pieces():
                                for event in reader.feed(piece):
                                    retries = exchange.retries()
                                    yield self._take(event)
                                if deadline.over:
                                    self._out_of_time(first, deadline)
                            return
                except Broken as broken:
                    self._apart = True
                    if deadline.over:
                        self._out_of_time(first, deadline)
                    wait = retries.after_failure(broken.failure)
                    if wait is None or not self._may_repeat(call, broken):
                        broken.error.request_id = self.request_id
                        raise broken.error from broken
                flow.sleep(deadline.bound(wait) or 0.0)
                if self.request_id is not None and exchange.pondage:
                    call = core.chunk_stream_call(
                        exchange.base,
                        self._urls(),
                        last_id=self.last_event_id,
                        on_disconnect=call.headers.get("pondage-on-disconnect"),
                    )
        except errors.ClientError:
            raise
        except BaseException:  # whoever iterates has left
            if cancels and self._apart and self.request_id is not None:
                self._cancel()
            raise

    def _refused(self, answer: OpenAnswer, retries: Retries) -> float | None:
        """None if chunks follow, or the wait before another try.

        Raises:
            HTTPError: the server's error.
            OutputMismatch: the answer is no event stream.
        """
        if answer.status >= 300:
            whole = answer.whole()
            wait = retries.after_answer(whole.status, whole.headers)
            if wait is None:
                core.raise_for_status(whole)
            return wait
        kind = answer.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            raise errors.OutputMismatch(f"{self._endpoint} answered with {kind or 'no type'}, not with a stream")
        self.request_id = answer.headers.get("x-fal-request-id") or self.request_id
        return None

    def _take(self, event: ServerEvent) -> Any:
        if event.name == "error":
            raise stream_error(event.data, self.request_id)
        self._seen = True
        self.last_event_id = event.id or self.last_event_id
        return decode_output(event.data, self._output_type)

    def _may_repeat(self, call: Call, broken: Broken) -> bool:
        """A stream goes on where its chunks bear ids; one that has not begun may begin again."""
        if self._seen:
            return self.last_event_id is not None and self.request_id is not None and self._exchange.pondage is True
        return call.repeat is core.Repeat.FREELY or broken.failure is core.Failure.UNSENT

    def _urls(self) -> RequestUrls:
        return request_urls(self._exchange.target, self._endpoint, self.request_id or "")

    def _out_of_time(self, first: Call, deadline: Deadline) -> None:
        """Cancel the request, also where no answer has named it.

        Raises:
            TimeoutError: the time is over.
        """
        exchange = self._exchange
        if self.request_id is not None:
            self._cancel()
        elif first.method == "POST" and not exchange.target.cloud:
            self.request_id = exchange.cancel_named(core.twin_call(first, exchange.target), self._endpoint)
        deadline.check(self.request_id)

    def _cancel(self) -> None:
        if self._exchange.target.cloud:
            return
        call = core.cancel_call(self._exchange.base, self._urls())
        try:
            self._exchange.send(call, timeout=limits.CANCEL_TIMEOUT)
        except errors.ClientError:
            return


def stream_error(data: bytes, request_id: str | None) -> errors.HTTPError:
    """The error with which a stream ended."""
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError:
        body = {}
    members = body if isinstance(body, dict) else {}
    error = errors.make(int(members.get("status") or 500), members.get("detail"), members.get("error_type"))
    error.request_id = request_id
    return error
