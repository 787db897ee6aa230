"""The client: every call of fal's Python client, and the grouped form of its Swift and JavaScript clients.

Long, because every parameter of every call is spelled out and explained where it stands: there is little else here.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal

from pondage.client import core, inputs, limits
from pondage.client.aio import flow
from pondage.client.aio.exchange import Exchange
from pondage.client.aio.groups import AsyncQueue, AsyncStreaming
from pondage.client.aio.handle import AsyncRequestHandle
from pondage.client.aio.realtime import AsyncRealtime
from pondage.client.aio.storage import AsyncStorage, OnProgress
from pondage.client.aio.streaming import AsyncStream
from pondage.client.core import Options, Priority, either
from pondage.client.deadline import Deadline
from pondage.client.errors import TimeoutError
from pondage.client.outputs import decode_output
from pondage.client.statuses import Status
from pondage.client.uploads import StorageSettings, UploadRepositoryId
from pondage.wire.masking import masked


class AsyncClient:
    """Calls endpoints of a Pondage server, or of fal's cloud.

    Args:
        key: `id:secret`. Without it `PONDAGE_KEY`; for fal's hosts `FAL_KEY`, or `FAL_KEY_ID` and
            `FAL_KEY_SECRET`. A server that asks for none needs none.
        default_timeout: seconds for one exchange that has no limit of its own. `run` has none unless asked for.
        base_url: the server's URL; `fal` for fal's cloud. Without it `PONDAGE_URL`, else `http://127.0.0.1:8000`.
        max_attempts: tries of a call that may be repeated. Whatever makes a request carries an `Idempotency-Key`, so
            that a repeat makes no second one; on fal's cloud, which knows none, it is repeated only if it was not sent.

    One client may be used by many tasks at once, and should be: it keeps its connections. It is a context manager.
    """

    def __init__(
        self,
        key: str | None = None,
        default_timeout: float = limits.DEFAULT_TIMEOUT,
        *,
        base_url: str | None = None,
        max_attempts: int = limits.MAX_ATTEMPTS,
    ) -> None:
        self.key = key
        self.default_timeout = default_timeout
        self.base_url = base_url
        self.exchange = Exchange(base_url, key, default_timeout, max_attempts=max_attempts)
        self.queue = AsyncQueue(self)
        self.storage = AsyncStorage(self.exchange)
        self.streaming = AsyncStreaming(self)
        self.realtime = AsyncRealtime(self.exchange)
        self.ws_connect = self.realtime.ws_connect

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={masked(self.base_url or '') or None!r})"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close sessions and connections. The client can be used again; it opens new ones."""
        await self.realtime.aclose()
        await self.exchange.aclose()

    async def run(
        self,
        application: str,
        arguments: Any = None,
        *,
        input: Any = None,
        method: str = "POST",
        path: str = "",
        timeout: float | None = None,
        start_timeout: float | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] = {},
        output_type: Any = None,
        idempotency_key: str | None = None,
        on_fault: Literal["wait", "fail"] | None = None,
    ) -> Any:
        """Call an endpoint and return its output: one round trip, no status, no logs.

        Args:
            application: the endpoint, `owner/alias[/path]`.
            arguments, input: the input: JSON, a Pydantic model, a dataclass. Paths, bytes and PIL images in it are
                uploaded first.
            method: the HTTP method; with `GET` no input is sent.
            path: a path below the endpoint.
            timeout: seconds for the whole call; afterwards the request is cancelled. None for no limit.
            start_timeout: seconds within which a runner must have started, more than 1.
            hint: reaches the app as `X-Fal-Runner-Hint`; it does not choose the runner.
            headers: further headers, handed on to the app.
            output_type: what the output is to become: a Pydantic model, a msgspec struct, a dataclass, a TypedDict or
                a type made of them. Without it plain Python values.
            idempotency_key: names the request; a call with the same key and input gets the same result. Made for
                each call where none is given.
            on_fault: `wait` or `fail`: whether it waits for an app that does not import or whose `setup()` fails,
                or fails after the server's `fault_patience`. Pondage only.

        Returns:
            The output.

        Raises:
            HTTPError: the server's or the endpoint's error, by kind.
            ConnectionError: the server cannot be reached.
            TimeoutError: `timeout` is over.
        """
        exchange = self.exchange
        value = await self._uploaded(either(arguments, input))
        options = Options(path, method, hint, None, start_timeout, None, idempotency_key, None, headers, on_fault)
        call = core.run_call(exchange.target, exchange.base, application, value, options)
        if timeout is None:
            answer = await exchange.send(call, timeout=None)
            if core.goes_on(answer):
                answer = await self._resumed(answer, application, exchange.deadline(None))
        else:
            deadline = exchange.deadline(timeout)
            try:
                answer = await exchange.send(call, timeout=timeout, deadline=deadline)
                if core.goes_on(answer):
                    answer = await self._resumed(answer, application, deadline)
            except TimeoutError as error:
                if not exchange.target.cloud and method == "POST":  # else hanging up is the cancel
                    twin = core.twin_call(call, exchange.target)
                    error.request_id = await exchange.cancel_named(twin, application)
                raise
        if answer.status >= 300:
            core.raise_for_status(answer)
        return decode_output(answer.body, output_type)

    async def _resumed(self, answer: core.Answer, application: str, deadline: Deadline) -> core.Answer:
        """The answer of a `run` whose server stopped while it was under way: its id leads to it over the restart."""
        request_id, urls = core.read_ticket(self.exchange.target, application, answer)
        return await AsyncRequestHandle(request_id, *urls, client=self)._wait(limits.POLL_INTERVAL, deadline)

    async def submit(
        self,
        application: str,
        arguments: Any = None,
        *,
        input: Any = None,
        path: str = "",
        hint: str | None = None,
        webhook_url: str | None = None,
        priority: Priority | None = None,
        headers: Mapping[str, str] = {},
        start_timeout: float | None = None,
        idempotency_key: str | None = None,
        on_fault: Literal["wait", "fail"] | None = None,
        start_at: datetime | float | None = None,
        deadline: datetime | float | None = None,
        payload_ttl: float | None = None,
    ) -> AsyncRequestHandle:
        """Put a request into the queue and come back at once; it is on disk then.

        Args:
            application: the endpoint, `owner/alias[/path]`.
            arguments, input: the input, see `run`.
            path: a path below the endpoint.
            hint: reaches the app as `X-Fal-Runner-Hint`; it does not choose the runner.
            webhook_url: is told how the request ended.
            priority: `low` lets others go first.
            headers: further headers, handed on to the app.
            start_timeout: seconds within which a runner must have started, more than 1.
            idempotency_key: names the request; a second submit with the same key and input is the same request.
            on_fault: `wait` or `fail`: whether it waits for an app that does not import or whose `setup()` fails,
                or fails after the server's `fault_patience`. Pondage only.
            start_at: not before this time: a `datetime` (without a zone: local time), or seconds since 1970. Until then
                it stands in no line. Pondage only.
            deadline: by when it must have ended, written like `start_at`; later it fails with 504. Pondage only.
            payload_ttl: seconds after its end for which its input and output are kept. Pondage only.

        Returns:
            The request's handle.

        Raises:
            HTTPError: the request was refused.
            ConnectionError: the server cannot be reached.
        """
        exchange = self.exchange
        value = await self._uploaded(either(arguments, input))
        options = Options(
            path, "POST", hint, priority, start_timeout, webhook_url, idempotency_key, None, headers, on_fault,
            start_at, deadline, payload_ttl,
        )  # fmt: skip
        call = core.submit_call(exchange.target, exchange.base, application, value, options)
        answer = await exchange.send(call, timeout=self.default_timeout)
        request_id, urls = core.read_ticket(exchange.target, application, answer)
        return AsyncRequestHandle(request_id, *urls, client=self)

    async def subscribe(
        self,
        application: str,
        arguments: Any = None,
        *,
        input: Any = None,
        path: str = "",
        hint: str | None = None,
        with_logs: bool = False,
        interval: float = limits.POLL_INTERVAL,
        on_enqueue: Callable[[str], Awaitable[None] | None] | None = None,
        on_queue_update: Callable[[Status], Awaitable[None] | None] | None = None,
        on_partial: Callable[[Any], Awaitable[None] | None] | None = None,
        priority: Priority | None = None,
        headers: Mapping[str, str] = {},
        start_timeout: float | None = None,
        client_timeout: float | None = None,
        include_logs: bool | None = None,
        webhook_url: str | None = None,
        output_type: Any = None,
        idempotency_key: str | None = None,
        on_fault: Literal["wait", "fail"] | None = None,
    ) -> Any:
        """Put a request into the queue, follow it, and return its output.

        Args:
            application: the endpoint, `owner/alias[/path]`.
            arguments, input: the input, see `run`.
            path: a path below the endpoint.
            hint: reaches the app as `X-Fal-Runner-Hint`; it does not choose the runner.
            with_logs, include_logs: whether the statuses bring the logs.
            interval: seconds between two polls, where the server has no status stream.
            on_enqueue: called with the request's id.
            on_queue_update: called with each status.
            on_partial: called with each chunk of a generator endpoint, at the same time as `on_queue_update` (in
                another thread, if the client is the blocking one). Pondage only.
            priority: `low` lets others go first.
            headers: further headers, handed on to the app.
            start_timeout: seconds within which a runner must have started, more than 1.
            client_timeout: seconds for the whole; afterwards the request is cancelled.
            webhook_url: is told how the request ended, too.
            output_type: what the output is to become, see `run`.
            idempotency_key: names the request, see `submit`.
            on_fault: `wait` or `fail`, see `submit`.

        Returns:
            The output.

        Raises:
            HTTPError: the server's or the endpoint's error, by kind.
            TimeoutError: `client_timeout` is over.
        """
        deadline = self.exchange.deadline(client_timeout)
        handle = await self.submit(
            application,
            either(arguments, input),
            path=path,
            hint=hint,
            webhook_url=webhook_url,
            priority=priority,
            headers=headers,
            start_timeout=core.start_limit(start_timeout, client_timeout),
            idempotency_key=idempotency_key,
            on_fault=on_fault,
        )
        await flow.call(on_enqueue, handle.request_id)
        logs = with_logs if include_logs is None else include_logs
        try:
            watches = []
            if on_queue_update is not None:
                watches.append(partial(_tell_all, handle._events(logs, interval, deadline), on_queue_update))
            if on_partial is not None and not self.exchange.target.cloud:
                chunks = self.streaming.follow(application, handle.request_id, timeout=deadline.remaining())
                watches.append(partial(_tell_all, chunks, on_partial))
            await flow.together(watches)
            answer = await handle._wait(interval, deadline)
        except TimeoutError as error:
            await handle._cancel_late()
            raise TimeoutError(client_timeout or error.timeout, handle.request_id) from error
        return decode_output(answer.body, output_type)

    async def get_handle(self, application: str, request_id: str) -> AsyncRequestHandle:
        """The handle of a request that was submitted before, perhaps by another process."""
        return AsyncRequestHandle.from_request_id(self, application, request_id)

    async def status(
        self, application: str, request_id: str, *, with_logs: bool = False, include_logs: bool | None = None
    ) -> Status:
        """Where a request is now, see `AsyncRequestHandle.status`."""
        return await (await self.get_handle(application, request_id)).status(
            with_logs=with_logs, include_logs=include_logs
        )

    async def result(
        self, application: str, request_id: str, *, timeout: float | None = None, output_type: Any = None
    ) -> Any:
        """Wait until a request has ended, and return its output, see `AsyncRequestHandle.get`."""
        return await (await self.get_handle(application, request_id)).get(timeout=timeout, output_type=output_type)

    async def cancel(self, application: str, request_id: str) -> None:
        """Cancel a request, see `AsyncRequestHandle.cancel`."""
        await (await self.get_handle(application, request_id)).cancel()

    async def iter_events(
        self, application: str, request_id: str, *, with_logs: bool = False, include_logs: bool | None = None
    ) -> AsyncIterator[Status]:
        """A request's statuses as they change, see `AsyncRequestHandle.iter_events`."""
        handle = await self.get_handle(application, request_id)
        async for status in handle.iter_events(with_logs=with_logs, include_logs=include_logs):
            yield status

    def stream(
        self,
        application: str,
        arguments: Any = None,
        *,
        input: Any = None,
        path: str = "/stream",
        timeout: float | None = None,
        headers: Mapping[str, str] = {},
        start_timeout: float | None = None,
        hint: str | None = None,
        on_disconnect: Literal["cancel", "keep"] | None = None,
        output_type: Any = None,
        idempotency_key: str | None = None,
    ) -> AsyncStream:
        """Call a generator endpoint and iterate over what it yields, while it does.

        Where the connection breaks, the stream goes on from where it was: nothing is missing, nothing comes twice.

        Args:
            application: the endpoint, `owner/alias[/path]`.
            arguments, input: the input, see `run`.
            path: what is appended to the endpoint, unless it ends so already.
            timeout: seconds for the whole; afterwards the request is cancelled.
            headers: further headers, handed on to the app.
            start_timeout: seconds within which a runner must have started, more than 1.
            hint: reaches the app as `X-Fal-Runner-Hint`; it does not choose the runner.
            on_disconnect: `cancel` ends the request when the stream is left or breaks; `keep` lets it go on. Without
                it the endpoint decides.
            output_type: what each chunk is to become, see `run`.
            idempotency_key: names the request, see `submit`.

        Returns:
            An iterator of chunks, with `request_id` and `last_event_id`.

        Raises:
            HTTPError: the server's error, or the one with which the endpoint ended its stream.
        """
        value = either(arguments, input)
        options = Options(path, "POST", hint, None, start_timeout, None, idempotency_key, on_disconnect, headers)

        async def first() -> core.Call:
            return core.stream_call(
                self.exchange.target, self.exchange.base, application, await self._uploaded(value), options
            )

        return AsyncStream(self.exchange, application, first, output_type=output_type, timeout=timeout)

    async def upload(
        self,
        data: str | bytes,
        content_type: str | None = None,
        file_name: str | None = None,
        *,
        repository: UploadRepositoryId | None = None,
        fallback_repository: UploadRepositoryId | list[UploadRepositoryId] | None = None,
        lifecycle: StorageSettings | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Upload bytes or text and return the file's URL, see `AsyncStorage.upload`."""
        return await self.storage.upload(
            data,
            content_type,
            file_name,
            repository=repository,
            fallback_repository=fallback_repository,
            lifecycle=lifecycle,
            on_progress=on_progress,
        )

    async def upload_file(
        self,
        path: os.PathLike[str],
        *,
        repository: UploadRepositoryId | None = None,
        fallback_repository: UploadRepositoryId | list[UploadRepositoryId] | None = None,
        lifecycle: StorageSettings | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Upload a file and return its URL, see `AsyncStorage.upload_file`."""
        return await self.storage.upload_file(
            path,
            repository=repository,
            fallback_repository=fallback_repository,
            lifecycle=lifecycle,
            on_progress=on_progress,
        )

    async def upload_image(
        self,
        image: Any,
        format: str = "jpeg",
        *,
        repository: UploadRepositoryId | None = None,
        fallback_repository: UploadRepositoryId | list[UploadRepositoryId] | None = None,
        lifecycle: StorageSettings | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Upload a PIL image and return its URL, see `AsyncStorage.upload_image`."""
        return await self.storage.upload_image(
            image,
            format,
            repository=repository,
            fallback_repository=fallback_repository,
            lifecycle=lifecycle,
            on_progress=on_progress,
        )

    async def _uploaded(self, value: Any) -> Any:
        """The input with a URL in the place of each file."""
        files = await flow.off_loop(inputs.find_files, value) if inputs.has_files(value) else []
        if not files:
            return value
        return inputs.put_urls(value, await self.storage.upload_all(files))


async def _tell_all(items: AsyncIterator[Any], callback: Callable[[Any], Any]) -> None:
    async for item in items:
        await flow.call(callback, item)
