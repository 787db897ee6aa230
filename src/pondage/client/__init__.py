"""For callers: `import pondage.client as fal_client` is a drop-in for fal's Python client, pointed at your own server.

The module-level functions use two shared clients, `sync_client` and `async_client`, which take the server from
`PONDAGE_URL` (default `http://127.0.0.1:8000`, `fal` for fal's cloud) and the key from `PONDAGE_KEY`.
"""

from __future__ import annotations

from pondage import __version__
from pondage.client.aio.client import AsyncClient
from pondage.client.aio.handle import AsyncRequestHandle
from pondage.client.aio.realtime import AsyncRealtimeConnection
from pondage.client.aio.session import AsyncSession
from pondage.client.blocking.client import SyncClient
from pondage.client.blocking.handle import SyncRequestHandle
from pondage.client.blocking.realtime import RealtimeConnection
from pondage.client.blocking.session import SyncSession
from pondage.client.context import set_get_current_app
from pondage.client.errors import (
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
    NotFinite,
    NotFound,
    OutputMismatch,
    RealtimeError,
    ServerError,
    StartTimeout,
    TimeoutError,
    TooLarge,
    TooMany,
    Unauthorized,
    UploadInterrupted,
    ValidationError,
)
from pondage.client.statuses import Completed, Expected, InProgress, Progress, Queued, Status, Within
from pondage.client.uploads import (
    ObjectExpiration,
    StorageACL,
    StorageACLDecision,
    StorageACLRule,
    StorageSettings,
    UploadSession,
    encode,
    encode_file,
    encode_image,
)

version_tuple = tuple(int(part) if part.isdigit() else part for part in __version__.split("."))

sync_client = SyncClient()
async_client = AsyncClient()

run = sync_client.run
subscribe = sync_client.subscribe
submit = sync_client.submit
status = sync_client.status
result = sync_client.result
cancel = sync_client.cancel
stream = sync_client.stream
realtime = sync_client.realtime
ws_connect = sync_client.ws_connect
upload = sync_client.upload
upload_file = sync_client.upload_file
upload_image = sync_client.upload_image
queue = sync_client.queue
storage = sync_client.storage
streaming = sync_client.streaming

run_async = async_client.run
subscribe_async = async_client.subscribe
submit_async = async_client.submit
status_async = async_client.status
result_async = async_client.result
cancel_async = async_client.cancel
stream_async = async_client.stream
realtime_async = async_client.realtime
ws_connect_async = async_client.ws_connect
upload_async = async_client.upload
upload_file_async = async_client.upload_file
upload_image_async = async_client.upload_image

__all__ = [
    "AsyncClient",
    "AsyncRealtimeConnection",
    "AsyncRequestHandle",
    "AsyncSession",
    "BadRequest",
    "Cancelled",
    "ClientError",
    "Completed",
    "ConnectionError",
    "Expected",
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
    "NotFinite",
    "NotFound",
    "ObjectExpiration",
    "OutputMismatch",
    "Progress",
    "Queued",
    "RealtimeConnection",
    "RealtimeError",
    "ServerError",
    "StartTimeout",
    "Status",
    "StorageACL",
    "StorageACLDecision",
    "StorageACLRule",
    "StorageSettings",
    "SyncClient",
    "SyncRequestHandle",
    "SyncSession",
    "TimeoutError",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "UploadInterrupted",
    "UploadSession",
    "ValidationError",
    "Within",
    "__version__",
    "async_client",
    "cancel",
    "cancel_async",
    "encode",
    "encode_file",
    "encode_image",
    "queue",
    "realtime",
    "realtime_async",
    "result",
    "result_async",
    "run",
    "run_async",
    "set_get_current_app",
    "status",
    "status_async",
    "storage",
    "stream",
    "stream_async",
    "streaming",
    "submit",
    "submit_async",
    "subscribe",
    "subscribe_async",
    "sync_client",
    "upload",
    "upload_async",
    "upload_file",
    "upload_file_async",
    "upload_image",
    "upload_image_async",
    "version_tuple",
    "ws_connect",
    "ws_connect_async",
]
