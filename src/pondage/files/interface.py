"""What the other rooms may ask of the files room."""

from __future__ import annotations

import re
import sys
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
    """Hex, where a sender has named it; otherwise empty."""
    created_at: float
    expires_at: float | None = None
    owner: str = ""
    """The id of the API key that stored it; empty without keys."""
    private: bool = False
    """Needs a signed URL or its owner's key."""
    digest: str = ""
    """The content's address: the same for the same bytes. Empty where they came straight to the object store."""
    request_id: str = ""
    """The request that made it; empty for an upload."""


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
        expected: Expected | None = None,
    ) -> FileInfo:
        """Store a file and return once it is durable.

        Raises:
            BadRequest: the bytes differ from `size` or what is `expected` of them.
            InvalidInput: a name or type that cannot be.
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

    def verify(self, purpose: str, subject: str, token: str) -> None:
        """See `Uploads.verify`: with it the token of a signed URL is checked."""
        ...


class Upload(msgspec.Struct, frozen=True):
    """An upload that was granted. Its file is visible once `done_at` is set."""

    id: str
    file_id: str
    kind: str
    """`single`, `multipart`, or `direct`: straight to the object store."""
    key: str
    file_name: str
    content_type: str
    owner: str
    private: bool
    expires_in: float | None
    created_at: float
    open_until: float
    done_at: float | None = None


class Part(msgspec.Struct, frozen=True):
    """A part of a multipart upload, as the store has it. `n` counts from 1."""

    n: int
    etag: str
    size: int = 0


class Grant(msgspec.Struct, frozen=True):
    """Leave to upload one file. `file_path` is the path of its URL once it is there."""

    upload_id: str
    file_path: str
    token: str
    """Signed: proves the leave to whoever presents it, without a key."""
    direct_url: str | None
    """Where to PUT the bytes, if they go straight to the object store; None: to the gateway."""


class Expected(msgspec.Struct, frozen=True):
    """What the sender says of the bytes; they are refused if they differ. Hex digests; empty or None: not said."""

    size: int | None = None
    sha256: str = ""
    md5: str = ""


class Uploads(Protocol):
    """Files that come in by grants (PROTOCOL 7). Every method that takes bytes returns after they are durable."""

    async def grant(
        self, *, file_name: str, content_type: str, lifecycle: Lifecycle, owner: str, multipart: bool
    ) -> Grant:
        """Settle what an upload will be before its bytes come.

        Raises:
            InvalidInput: a name or type that cannot be. TooLarge: the quota is used up.
        """
        ...

    async def check(self, upload_id: str, token: str | None) -> Upload:
        """The upload, if the token proves the leave; None where the caller was identified in another way.

        Raises:
            Unauthorized: the token is forged or its time is over. NotFound: there is no such upload.
        """
        ...

    async def put_whole(self, upload: Upload, data: AsyncIterator[bytes], expected: Expected) -> FileInfo:
        """Take the bytes of a single upload. The same bytes again are answered in the same way.

        Raises:
            BadRequest: not what was expected, or finished with other bytes. TooLarge, StorageFull, Unavailable.
        """
        ...

    async def put_part(self, upload: Upload, n: int, data: AsyncIterator[bytes], expected: Expected) -> Part:
        """Take part `n`; one that was there before is replaced."""
        ...

    async def parts(self, upload: Upload) -> list[Part]:
        """The parts that are here: a sender that was cut off goes on from them."""
        ...

    async def complete(self, upload: Upload, parts: list[Part], expected: Expected) -> FileInfo:
        """Put the parts together, in the order of their numbers.

        Raises:
            BadRequest: parts are missing, unknown or differ from those that are here.
        """
        ...

    async def abort(self, upload: Upload) -> None:
        """Give an upload up, with all its parts.

        Raises:
            BadRequest: it is finished.
        """
        ...

    def sign(self, purpose: str, subject: str, seconds: float) -> tuple[str, float]:
        """A signed token and the wall time of its end. Purposes: `file` (a private file's id), `cdn` (a key's id)."""
        ...

    def verify(self, purpose: str, subject: str, token: str) -> None:
        """Raises Unauthorized: the token is forged, for something else, or its time is over."""
        ...

    async def page(self, *, before: tuple[float, str] | None, owner: str | None, limit: int) -> list[FileInfo]:
        """Files, newest first. `before` is `(created_at, id)` of the last of the page before."""
        ...

    async def remove(self, info: FileInfo) -> None:
        """Delete a file at once."""
        ...


_MENTION = re.compile(rb"files(?:\\?/|\\u002[fF])([0-9A-Za-z]{8,64})(?![0-9A-Za-z])")
"""JSON may write a slash as `/`, as `\\/` (PHP does) and as `\\u002f`."""


def file_ids(body: bytes, most: int = sys.maxsize) -> tuple[str, ...]:
    """The ids of our own files that a JSON input mentions. Cheap where it mentions none.

    Args:
        most: how many are wanted; where there are more, it is so many and one.
    """
    if b"files" not in body:
        return ()
    found = (
        match for match in _MENTION.finditer(body) if body[match.start() - 1 : match.start()] in (b"/", b"f", b"F")
    )
    ids: set[str] = set()
    for match in found:
        ids.add(match[1].decode())
        if len(ids) > most:
            break
    return tuple(ids)
