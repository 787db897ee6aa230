"""`fal.apps`: apps that call apps, under fal's names. It is the client, `pondage.client`, with its server and key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from pondage.client import sync_client
from pondage.client.statuses import Completed as Completed
from pondage.client.statuses import InProgress as InProgress
from pondage.client.statuses import Queued as Queued
from pondage.client.statuses import Status


@dataclass
class RequestHandle:
    """A request in the queue. Its methods raise what the client raises: `pondage.client.ClientError`."""

    app_id: str
    request_id: str

    def status(self, *, logs: bool = False) -> Status:
        """Where it is now: `Queued`, `InProgress` or `Completed`."""
        return sync_client.status(self.app_id, self.request_id, with_logs=logs)

    def cancel(self) -> None:
        """Cancel it, whether it waits or runs."""
        sync_client.cancel(self.app_id, self.request_id)

    def iter_events(self, *, logs: bool = False) -> Iterator[Status]:
        """Its statuses until it has ended; the last one is left out, as fal's are."""
        for status in sync_client.iter_events(self.app_id, self.request_id, with_logs=logs):
            if isinstance(status, Completed):
                return
            yield status

    def fetch_result(self) -> dict[str, Any]:
        """Its result."""
        result: dict[str, Any] = sync_client.result(self.app_id, self.request_id)
        return result

    def get(self) -> dict[str, Any]:
        """Its result, waited for."""
        return self.fetch_result()


def run(app_id: str, arguments: dict[str, Any], *, path: str = "") -> dict[str, Any]:
    """Put a request into the queue and wait for its result.

    Raises:
        ClientError: it cannot be submitted, or ended badly.
    """
    return submit(app_id, arguments, path=path).get()


def submit(app_id: str, arguments: dict[str, Any], *, path: str = "") -> RequestHandle:
    """Put a request into the queue. Raises as the client's `submit`."""
    return RequestHandle(app_id, sync_client.submit(app_id, arguments, path=path).request_id)


def stream(app_id: str, arguments: dict[str, Any], *, path: str = "") -> Iterator[str]:
    """The lines of a stream of events, `data: {…}`, as they come; of `/stream` unless `path` says another.

    Raises:
        HTTPError: the server's error, or the one with which the endpoint ended its stream.
    """
    for chunk in sync_client.stream(app_id, arguments, path=path or "/stream"):
        yield f"data: {msgspec.json.encode(chunk).decode()}"
