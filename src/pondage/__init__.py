"""Pondage: generative models behind a durable queue, on your own machines.

Every public name is here and is imported when it is first used, so that `import pondage` costs nothing: a caller
never loads what authors need, and the other way round.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pondage.app.app import App as App
    from pondage.app.context import RequestContext as RequestContext
    from pondage.app.current import current_request as current_request
    from pondage.app.endpoints import HealthCheck as HealthCheck
    from pondage.app.endpoints import endpoint as endpoint
    from pondage.app.endpoints import realtime as realtime
    from pondage.app.exceptions import AppException as AppException
    from pondage.app.exceptions import FalServerlessException as FalServerlessException
    from pondage.app.exceptions import FieldException as FieldException
    from pondage.app.exceptions import RequestCancelledException as RequestCancelledException
    from pondage.app.exceptions import Retry as Retry
    from pondage.app.ported import BillingComponents as BillingComponents
    from pondage.app.ported import BillingDeclaration as BillingDeclaration
    from pondage.app.ported import ContainerImage as ContainerImage
    from pondage.app.ported import cached as cached

_HOMES: dict[str, tuple[str, ...]] = {
    "pondage.app.app": ("App",),
    "pondage.app.context": ("RequestContext",),
    "pondage.app.current": ("current_request",),
    "pondage.app.endpoints": ("HealthCheck", "endpoint", "realtime"),
    "pondage.app.exceptions": (
        "AppException", "FalServerlessException", "FieldException", "RequestCancelledException", "Retry",
    ),
    "pondage.app.ported": ("BillingComponents", "BillingDeclaration", "ContainerImage", "cached"),
    "pondage.app.media": ("Audio", "CompressedFile", "File", "Image", "ImageSize", "Video"),
    "pondage.client": (
        "AsyncClient", "SyncClient", "cancel", "cancel_async", "encode", "encode_file", "encode_image", "result",
        "result_async", "run", "run_async", "status", "status_async", "stream", "stream_async", "submit",
        "submit_async", "subscribe", "subscribe_async", "upload", "upload_async", "upload_file", "upload_file_async",
        "upload_image", "upload_image_async",
    ),
    "pondage.webhooks.verify": ("verify_webhook",),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'pondage' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
