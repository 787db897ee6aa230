"""fal's exceptions of its toolkit, under fal's names."""

from __future__ import annotations

from typing import ClassVar

from pondage.errors import PondageError


class FalTookitException(PondageError):
    """The root of them, as fal spells it."""

    code: ClassVar[str] = "app.toolkit"


class FileUploadException(FalTookitException):
    """A file cannot be stored. Pondage's own media raise what went wrong; this is for apps to raise and catch."""

    code: ClassVar[str] = "app.upload"


class FileUploadFallbackException(FileUploadException):
    """The same, after every fallback. Here there is one storage."""


class KVStoreException(FalTookitException):
    """A `KVStore` cannot be read or written."""

    code: ClassVar[str] = "app.kv"
