"""What an author's code may ask about the request it serves, and what the runner provides for it.

The runner sets `_current` for each attempt; the app room does no I/O of its own, so that media types reach files only
through `FileAccess`.
"""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, Protocol


class FileAccess(Protocol):
    """The server's files and the guarded outside, as the runner reaches them. Blocking: called from the app's thread
    or, by the media types, from a thread of their own."""

    @property
    def max_image_pixels(self) -> int:
        """A picture with more is refused before it is decoded."""
        ...

    @property
    def max_image_bytes(self) -> int:
        """A picture that takes more of memory, decoded, is refused before it is decoded."""
        ...

    def put(self, data: bytes | Path, *, content_type: str, file_name: str) -> tuple[str, int]:
        """Store a file; returns its URL and size."""
        ...

    def fetch(self, url: str, *, max_bytes: int | None = None) -> tuple[Path, str]:
        """A local copy of what the URL names, and its content type. The server's own files are read from storage,
        data URIs are decoded, anything else goes through the guarded fetcher; the copy is cached and read-only.

        Raises:
            ValueError: the address is refused, too large, or does not answer; with fal's `error_type`.
        """
        ...


class RequestContext:
    """The request that is being served.

    Attributes:
        request_id: its id.
        attempt: which attempt this is, from 1.
        endpoint: the full endpoint id, `owner/alias/path`.
        headers: the caller's headers, lower case.
        deadline: monotonic time at which the attempt is ended, or None.
        lifecycle_preference: fal's lifecycle header, decoded, or None.
        upload_policy: None; fal's presigned upload policy is not supported.
    """

    def __init__(
        self,
        *,
        request_id: str,
        attempt: int,
        endpoint: str,
        headers: dict[str, str],
        deadline: float | None,
        sink: EventSink,
        files: FileAccess,
        lifecycle_preference: dict[str, Any] | None = None,
        caller: str = "",
    ) -> None:
        self.request_id = request_id
        self.attempt = attempt
        self.endpoint = endpoint
        self.headers = headers
        self.deadline = deadline
        self.lifecycle_preference = lifecycle_preference
        self.upload_policy = None
        self.caller = caller
        self.files = files
        self._sink = sink

    @property
    def cancelled(self) -> bool:
        """Whether the caller has cancelled, or the time limit has run out. Poll it in long loops."""
        return self._sink.cancelled

    def log(self, message: str, level: Literal["ERROR", "INFO", "WARN", "DEBUG"] = "INFO") -> None:
        """Add a line to the request's log."""
        self._sink.log(level, message)

    def progress(self, step: float, total: float | None = None, message: str = "", *, preview: Any = None) -> None:
        """Say how far the work is: `step` of `total`.

        Args:
            preview: what there is to see by now: a picture of Pillow, or the bytes of a JPEG, PNG, GIF or WebP of at
                most 64 KB. It is shown to who watches, at most four times a second, and not kept.
        """
        self._sink.progress(step, total, message)
        if preview is not None and self._sink.takes_preview():
            from pondage.app.preview import encoded

            self._sink.preview(encoded(preview))


class EventSink(Protocol):
    """Where the context's words go; the runner's side of an attempt."""

    @property
    def cancelled(self) -> bool: ...

    def log(self, level: str, message: str) -> None: ...

    def progress(self, step: float, total: float | None, message: str) -> None: ...

    def takes_preview(self) -> bool:
        """Whether a preview would be shown just now; others need not even be encoded."""
        ...

    def preview(self, data: bytes) -> None: ...


_current: ContextVar[RequestContext | None] = ContextVar("pondage_current_request", default=None)


def get_current_request() -> RequestContext | None:
    """The request that the calling code serves; None outside of one."""
    return _current.get()
