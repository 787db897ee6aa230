"""For app authors: `App`, the decorators, media types, the request's context. fal has `App`, `endpoint` and `realtime`
here too."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {"App": "pondage.app.app", "endpoint": "pondage.app.endpoints", "realtime": "pondage.app.endpoints"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pondage.app' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
