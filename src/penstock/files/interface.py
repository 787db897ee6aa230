"""What the other rooms may ask of the files room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec


class FileInfo(msgspec.Struct, frozen=True):
    """A file as it stands. `path` is the path of its URL on any of our origins, `/files/…`; times are wall seconds."""

    id: str
    path: str
    file_name: str
    content_type: str
    size: int
    sha256: str
    created_at: float
    expires_at: float | None = None
    owner: str = ""
    """The id of the API key that stored it; empty without keys."""
    private: bool = False
    """Needs a signed URL or its owner's key."""


class Lifecycle(msgspec.Struct, frozen=True):
    """What fal's lifecycle headers say (PROTOCOL 4.3, 7.3). `expires_in` in seconds, None for the server's default."""

    expires_in: float | None = None
    private: bool = False


class Files(Protocol):
    """Storage of whole files. What is visible is whole and on disk; what is not whole is never visible."""

    async def put(
        self,
        data: AsyncIterator[bytes],
        *,
        file_name: str,
        content_type: str,
        size: int | None = None,
        lifecycle: Lifecycle | None = None,
        owner: str = "",
        request_id: str = "",
    ) -> FileInfo:
        """Store a file and return once it is durable.

        Raises:
            BadRequest: `size` and the bytes differ.
            TooLarge: more than the limit or the quota.
            StorageFull: the disk is full.
        """
        ...

    async def info(self, path: str) -> FileInfo | None:
        """The file behind the path of a URL (`/files/…`), or None."""
        ...

    def read(self, info: FileInfo, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`."""
        ...


def file_ids(body: bytes) -> tuple[str, ...]:
    """The ids of our own files that a JSON input mentions. Cheap where it mentions none."""
    if b"/files/" not in body:
        return ()
    found = (part[: part.find(b"/")] for part in body.split(b"/files/")[1:])
    return tuple({part.decode() for part in found if 8 <= len(part) <= 64 and part.isalnum()})
