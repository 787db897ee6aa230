"""A request in the queue: follow it, wait for it, cancel it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pondage.client import core, limits
from pondage.client.aio import flow
from pondage.client.aio.exchange import Broken, Exchange
from pondage.client.core import Answer
from pondage.client.deadline import Deadline
from pondage.client.errors import ClientError, OutputMismatch, TimeoutError
from pondage.client.events import EventReader
from pondage.client.outputs import decode_output
from pondage.client.statuses import Completed, Status, StatusReader, read_status
from pondage.client.target import RequestUrls, request_urls


class AsyncRequestHandle:
    """A request in the queue, named by its id.

    Made by `submit` and by `get_handle`; any process that knows the id can have one.
    """

    def __init__(
        self, request_id: str, response_url: str, status_url: str, cancel_url: str, client: Exchange | Any
    ) -> None:
        self.request_id = request_id
        self.response_url = response_url
        self.status_url = status_url
        self.cancel_url = cancel_url
        self.client = client
        self._exchange: Exchange = getattr(client, "exchange", client)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(request_id={self.request_id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncRequestHandle) and self._urls == other._urls

    def __hash__(self) -> int:
        return hash(self.request_id)

    @classmethod
    def from_request_id(cls, client: Any, application: str, request_id: str) -> AsyncRequestHandle:
        """The handle of a request that was submitted before, perhaps by another process.

        Args:
            client: the client whose server has it.
            application: the endpoint that was called, or its app.
            request_id: its id.
        """
        exchange: Exchange = getattr(client, "exchange", client)
        return cls(request_id, *request_urls(exchange.target, application, request_id), client=client)

    @property
    def _urls(self) -> RequestUrls:
        return RequestUrls(self.response_url, self.status_url, self.cancel_url)

    async def status(self, *, with_logs: bool = False, include_logs: bool | None = None) -> Status:
        """Where the request is now.

        Args:
            with_logs, include_logs: whether the log so far comes along.

        Raises:
            NotFound: the server does not know the request.
        """
        logs = with_logs if include_logs is None else include_logs
        call = core.status_call(self._exchange.base, self._urls, with_logs=logs)
        answer = await self._exchange.send(call, timeout=self._exchange.default_timeout)
        core.raise_for_status(answer)
        return read_status(answer.body, with_logs=logs)

    async def cancel(self) -> None:
        """Cancel the request, whether it waits or runs. One that has ended stays as it is.

        Raises:
            NotFound: the server does not know the request.
        """
        call = core.cancel_call(self._exchange.base, self._urls)
        answer = await self._exchange.send(call, timeout=self._exchange.default_timeout)
        if not core.cancel_refused(answer):
            core.raise_for_status(answer)

    async def get(
        self,
        *,
        interval: float = limits.POLL_INTERVAL,
        timeout: float | None = None,
        output_type: Any = None,
    ) -> Any:
        """Wait until the request has ended, and return its output.

        Args:
            interval: seconds between two polls, where the server has no blocked reads.
            timeout: seconds to wait; the request goes on afterwards. None for ever.
            output_type: the type of the output, see `run`.

        Raises:
            HTTPError: the request failed or was cancelled, by kind.
            TimeoutError: not done within `timeout`.
            OutputMismatch: the output does not fit `output_type`.
        """
        answer = await self._wait(interval, self._exchange.deadline(timeout))
        return decode_output(answer.body, output_type)

    async def iter_events(
        self,
        *,
        with_logs: bool = False,
        interval: float = limits.POLL_INTERVAL,
        include_logs: bool | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Status]:
        """The request's statuses as they change, ending with `Completed`.

        Args:
            with_logs, include_logs: whether logs come along; `logs` holds all so far, `new_logs` those not seen yet.
            interval: seconds between two polls, where the server has no status stream.
            timeout: seconds to follow it, also where it is silent; the request goes on afterwards. None for ever.

        Raises:
            NotFound: the server does not know the request.
            TimeoutError: not done within `timeout`.
        """
        logs = with_logs if include_logs is None else include_logs
        async for status in self._events(logs, interval, self._exchange.deadline(timeout)):
            yield status

    async def _wait(self, interval: float, deadline: Deadline) -> Answer:
        """The answer of the request once it has ended well."""
        exchange = self._exchange
        while not exchange.target.cloud:
            began = exchange.clock.monotonic()
            wait = core.blocked_wait(deadline.remaining())
            call = core.result_call(exchange.base, self._urls, wait=wait)
            answer = await self._send(call, wait + limits.BLOCKED_MARGIN, deadline)
            if not core.still_running(answer):
                core.raise_for_status(answer)
                return answer
            deadline.check(self.request_id)
            if not exchange.pondage:
                break
            if exchange.clock.monotonic() - began < interval:
                await flow.sleep(interval)  # a server on its way down answers at once
        async for _ in self._poll(False, interval, deadline):
            pass
        answer = await self._send(
            core.result_call(exchange.base, self._urls, wait=None), exchange.default_timeout, deadline
        )
        core.raise_for_status(answer)
        return answer

    async def _send(self, call: core.Call, timeout: float, deadline: Deadline | None) -> Answer:
        try:
            return await self._exchange.send(call, timeout=timeout, deadline=deadline)
        except ClientError as error:
            error.request_id = self.request_id
            raise

    async def _events(self, logs: bool, interval: float, deadline: Deadline) -> AsyncIterator[Status]:
        if not self._exchange.target.cloud and self._exchange.pondage is not False:
            async for status in self._follow(logs, deadline):
                yield status
        else:
            async for status in self._poll(logs, interval, deadline):
                yield status

    async def _poll(self, logs: bool, interval: float, deadline: Deadline) -> AsyncIterator[Status]:
        reader = StatusReader(with_logs=logs, only_new=False)
        call = core.status_call(self._exchange.base, self._urls, with_logs=logs)
        while True:
            answer = await self._send(call, self._exchange.default_timeout, deadline)
            core.raise_for_status(answer)
            status = reader.read(answer.body)
            yield status
            if isinstance(status, Completed):
                return
            deadline.check(self.request_id)
            await flow.sleep(deadline.bound(interval) or 0.0)

    async def _follow(self, logs: bool, deadline: Deadline) -> AsyncIterator[Status]:
        """The status stream, opened again where it breaks, from where it broke."""
        exchange = self._exchange
        reader = StatusReader(with_logs=logs, only_new=True)
        last_id: str | None = None
        retries = exchange.retries()
        while True:
            if last_id is None:
                reader.forget()
            call = core.status_stream_call(exchange.base, self._urls, with_logs=logs, last_id=last_id)
            lines = EventReader()
            wait: float | None
            try:
                async with exchange.open(call, idle=limits.STREAM_IDLE, deadline=deadline) as stream:
                    if stream.status >= 300:
                        answer = await stream.whole()
                        wait = retries.after_answer(answer.status, answer.headers)
                        if wait is None:
                            core.raise_for_status(answer)
                    else:
                        async for piece in stream.pieces():
                            for event in lines.feed(piece):
                                last_id = event.id or last_id
                                retries = exchange.retries()
                                status = reader.read(event.data)
                                yield status
                                if isinstance(status, Completed):
                                    return
                            deadline.check(self.request_id)
                        wait = retries.after_failure(core.Failure.LOST)
                        if wait is None:
                            raise OutputMismatch("the status stream ended before the request did")
            except Broken as broken:
                deadline.check(self.request_id)
                wait = retries.after_failure(broken.failure)
                if wait is None:
                    raise broken.error from broken
            deadline.check(self.request_id)
            await flow.sleep(deadline.bound(wait) or 0.0)

    async def _cancel_late(self) -> None:
        """Cancel after a time limit; that it could not be cancelled does not hide the limit."""
        call = core.cancel_call(self._exchange.base, self._urls)
        try:
            limit = self._exchange.deadline(limits.CANCEL_TIMEOUT)
            await self._exchange.send(call, timeout=limits.CANCEL_TIMEOUT, deadline=limit)
        except (ClientError, TimeoutError):
            return
