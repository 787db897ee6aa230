"""For callers: `import penstock.client as fal_client` is a drop-in for fal's Python client, pointed at your own server.

The module-level functions use two shared clients, `sync_client` and `async_client`, which take the server from
`PENSTOCK_URL` (default `http://127.0.0.1:8000`, `fal` for fal's cloud) and the key from `PENSTOCK_KEY`.
"""

from __future__ import annotations

from penstock.client.aio.client import AsyncClient
from penstock.client.aio.handle import AsyncRequestHandle
from penstock.client.blocking.client import SyncClient
from penstock.client.blocking.handle import SyncRequestHandle
from penstock.client.context import set_get_current_app
from penstock.client.errors import (
    BadRequest,
    Cancelled,
    ClientError,
    ConnectionError,
    FalClientError,
    FalClientHTTPError,
    FalClientTimeoutError,
    FieldError,
    Forbidden,
    HTTPError,
    InvalidInput,
    MissingCredentials,
    MissingCredentialsError,
    NotFound,
    OutputMismatch,
    RealtimeError,
    ServerError,
    StartTimeout,
    TimeoutError,
    TooLarge,
    TooMany,
    Unauthorized,
    ValidationError,
)
from penstock.client.statuses import Completed, InProgress, Progress, Queued, Status

sync_client = SyncClient()
async_client = AsyncClient()

run = sync_client.run
subscribe = sync_client.subscribe
submit = sync_client.submit
status = sync_client.status
result = sync_client.result
cancel = sync_client.cancel

run_async = async_client.run
subscribe_async = async_client.subscribe
submit_async = async_client.submit
status_async = async_client.status
result_async = async_client.result
cancel_async = async_client.cancel

__all__ = [
    "AsyncClient",
    "AsyncRequestHandle",
    "BadRequest",
    "Cancelled",
    "ClientError",
    "Completed",
    "ConnectionError",
    "FalClientError",
    "FalClientHTTPError",
    "FalClientTimeoutError",
    "FieldError",
    "Forbidden",
    "HTTPError",
    "InProgress",
    "InvalidInput",
    "MissingCredentials",
    "MissingCredentialsError",
    "NotFound",
    "OutputMismatch",
    "Progress",
    "Queued",
    "RealtimeError",
    "ServerError",
    "StartTimeout",
    "Status",
    "SyncClient",
    "SyncRequestHandle",
    "TimeoutError",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "ValidationError",
    "async_client",
    "cancel",
    "cancel_async",
    "result",
    "result_async",
    "run",
    "run_async",
    "set_get_current_app",
    "status",
    "status_async",
    "submit",
    "submit_async",
    "subscribe",
    "subscribe_async",
    "sync_client",
]
