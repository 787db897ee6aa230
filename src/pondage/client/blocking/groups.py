# Generated from pondage/client/aio/groups.py by scripts/generate_sync_client.py: change that.
"""The grouped form, as in fal's Swift and JavaScript clients: `client.queue`, `client.streaming`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pondage.client import core
from pondage.client.blocking.streaming import SyncStream
from pondage.client.core import Priority, either
from pondage.client.statuses import Status
from pondage.client.target import request_urls

if TYPE_CHECKING:
    from pondage.client.blocking.client import SyncClient
    from pondage.client.blocking.handle import SyncRequestHandle


class SyncQueue:
    """`client.queue`: submit now, ask later."""

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def submit(
        self,
        endpoint: str,
        input: Any = None,
        *,
        arguments: Any = None,
        webhook_url: str | None = None,
        path: str = "",
        hint: str | None = None,
        priority: Priority | None = None,
        headers: Mapping[str, str] = {},
        start_timeout: float | None = None,
        idempotency_key: str | None = None,
        on_fault: Literal["wait", "fail"] | None = None,
        start_at: datetime | float | None = None,
        deadline: datetime | float | None = None,
        payload_ttl: float | None = None,
    ) -> SyncRequestHandle:
        """Put a request into the queue, see `SyncClient.submit`."""
        return self._client.submit(
            endpoint,
            either(arguments, input),
            path=path,
            hint=hint,
            webhook_url=webhook_url,
            priority=priority,
            headers=headers,
            start_timeout=start_timeout,
            idempotency_key=idempotency_key,
            on_fault=on_fault,
            start_at=start_at,
            deadline=deadline,
            payload_ttl=payload_ttl,
        )

    def status(self, endpoint: str, of: str, *, include_logs: bool = False, with_logs: bool | None = None) -> Status:
        """Where the request with the id `of` is now."""
        logs = include_logs if with_logs is None else with_logs
        return self._client.status(endpoint, of, with_logs=logs)

    def stream_status(
        self, endpoint: str, of: str, *, include_logs: bool = False, with_logs: bool | None = None
    ) -> Iterator[Status]:
        """The statuses of the request with the id `of`, as they change."""
        logs = include_logs if with_logs is None else with_logs
        yield from self._client.iter_events(endpoint, of, with_logs=logs)

    def response(self, endpoint: str, of: str, *, timeout: float | None = None, output_type: Any = None) -> Any:
        """Wait until the request with the id `of` has ended, and return its output."""
        return self._client.result(endpoint, of, timeout=timeout, output_type=output_type)

    def result(self, endpoint: str, of: str, *, timeout: float | None = None, output_type: Any = None) -> Any:
        """The same as `response`."""
        return self._client.result(endpoint, of, timeout=timeout, output_type=output_type)

    def cancel(self, endpoint: str, of: str) -> None:
        """Cancel the request with the id `of`."""
        self._client.cancel(endpoint, of)


class SyncStreaming:
    """`client.streaming`: output while it is made."""

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def stream(
        self,
        endpoint: str,
        input: Any = None,
        *,
        arguments: Any = None,
        path: str = "/stream",
        timeout: float | None = None,
        headers: Mapping[str, str] = {},
        on_disconnect: Literal["cancel", "keep"] | None = None,
        output_type: Any = None,
        idempotency_key: str | None = None,
    ) -> SyncStream:
        """Call a generator endpoint, see `SyncClient.stream`."""
        return self._client.stream(
            endpoint,
            either(arguments, input),
            path=path,
            timeout=timeout,
            headers=headers,
            on_disconnect=on_disconnect,
            output_type=output_type,
            idempotency_key=idempotency_key,
        )

    def follow(
        self,
        endpoint: str,
        of: str,
        *,
        last_event_id: str | None = None,
        timeout: float | None = None,
        output_type: Any = None,
    ) -> SyncStream:
        """The chunks of the request with the id `of`: those so far, then those to come.

        Args:
            endpoint: the endpoint, or its app.
            of: the request's id.
            last_event_id: the id of the last chunk that is known already.
            timeout: seconds for the whole.
            output_type: what a chunk is to become, see `run`.
        """
        exchange = self._client.exchange
        call = core.chunk_stream_call(exchange.base, request_urls(exchange.target, endpoint, of), last_id=last_event_id)
        return SyncStream(
            exchange,
            endpoint,
            call,
            output_type=output_type,
            timeout=timeout,
            request_id=of,
            last_event_id=last_event_id,
        )
