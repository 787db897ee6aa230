"""Penstock: generative models behind a durable queue, on your own machines.

Every public name is here and is imported when it is first used, so that `import penstock` costs nothing: a caller
never loads what authors need, and the other way round.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from penstock.app.app import App as App
    from penstock.app.context import RequestContext as RequestContext
    from penstock.app.current import current_request as current_request
    from penstock.app.endpoints import HealthCheck as HealthCheck
    from penstock.app.endpoints import endpoint as endpoint
    from penstock.app.endpoints import realtime as realtime
    from penstock.app.exceptions import AppException as AppException
    from penstock.app.exceptions import FalServerlessException as FalServerlessException
    from penstock.app.exceptions import FieldException as FieldException
    from penstock.app.exceptions import RequestCancelledException as RequestCancelledException
    from penstock.app.exceptions import Retry as Retry
    from penstock.app.ported import ContainerImage as ContainerImage
    from penstock.app.ported import cached as cached

_HOMES: dict[str, tuple[str, ...]] = {
    "penstock.app.app": ("App",),
    "penstock.app.context": ("RequestContext",),
    "penstock.app.current": ("current_request",),
    "penstock.app.endpoints": ("HealthCheck", "endpoint", "realtime"),
    "penstock.app.exceptions": (
        "AppException", "FalServerlessException", "FieldException", "RequestCancelledException", "Retry",
    ),
    "penstock.app.ported": ("ContainerImage", "cached"),
    "penstock.app.media": ("Audio", "CompressedFile", "File", "Image", "ImageSize", "Video"),
    "penstock.client": (
        "AsyncClient", "SyncClient", "cancel", "cancel_async", "encode", "encode_file", "encode_image", "result",
        "result_async", "run", "run_async", "status", "status_async", "stream", "stream_async", "submit",
        "submit_async", "subscribe", "subscribe_async", "upload", "upload_async", "upload_file", "upload_file_async",
        "upload_image", "upload_image_async",
    ),
    "penstock.webhooks.verify": ("verify_webhook",),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
