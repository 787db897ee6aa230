"""Which formats a type of media takes."""

from __future__ import annotations

from pondage.wire.sniff import HEAD as HEAD
from pondage.wire.sniff import kind_of as kind_of

_ARCHIVES = {
    "application/zip", "application/gzip", "application/x-bzip2", "application/x-xz", "application/x-lzma",
    "application/x-tar",
}  # fmt: skip


def fits(kind: str | None, family: str) -> bool:
    """Whether a content type can be an `image`, `video`, `audio` or `archive`. Containers of films may hold sound
    alone, and those of sound a film; a GIF is a film to most decoders."""
    if kind is None:
        return False
    if family == "archive":
        return kind in _ARCHIVES
    if family in {"video", "audio"}:
        if kind.startswith("video/") or kind == "application/mxf":
            return True
        return kind.startswith("audio/") if family == "audio" else kind in {"audio/ogg", "audio/mp4", "image/gif"}
    return kind.startswith(family + "/")
