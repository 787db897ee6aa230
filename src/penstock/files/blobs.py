"""Bytes under a key: what a store must do, and the checksums that find damage before it is served."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

import msgspec

from penstock.errors import InternalError

T = TypeVar("T")

BLOCK = 1024 * 1024
"""Bytes under one checksum. Reads are whole blocks, so that each is checked before any of it is sent."""


class Blob(msgspec.Struct, frozen=True):
    """Stored bytes. `sha256` and `sums` are empty where the bytes came straight to the object store."""

    key: str
    size: int
    sha256: str = ""
    sums: bytes = b""
    md5: str = ""
    """Hex, if it was asked for; not kept."""


class Lying(msgspec.Struct, frozen=True):
    """A key that lies in the store, and when it was written, in wall seconds."""

    key: str
    written_at: float


class DamagedFile(InternalError):
    """Stored bytes are not those that were written. They are never served."""

    code = "files.damaged"


class Blobs(Protocol):
    """A store of immutable bytes. What `write` has returned is whole and durable."""

    async def write(self, chunks: AsyncIterator[bytes], *, md5: bool = False) -> Blob:
        """Store what comes, under a new key.

        Raises:
            StorageFull: no room. Unavailable: the store does not answer, or refuses. Whatever `chunks` raises.
            After an error nothing lies in the store.
        """
        ...

    def read(self, blob: Blob, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to, not including, `end`, each checked before it is given.

        Raises:
            DamagedFile: they are not what was written. Unavailable: the store does not answer.
        """
        ...

    async def delete(self, key: str) -> None:
        """Delete, or do nothing if it is not there."""
        ...

    async def size(self, key: str) -> int | None:
        """How many bytes lie under the key; None if it is not there."""
        ...

    def lying(self) -> AsyncIterator[list[Lying]]:
        """Every key, in batches; for finding what a crash left behind."""
        ...

    async def presign_put(self, key: str, seconds: float) -> str | None:
        """A URL to which a caller may PUT the bytes of `key` himself; None where the store has no such thing."""
        ...

    async def close(self) -> None: ...


class Sums:
    """Checksums of bytes that pass by: SHA-256 of all, CRC-32 of each block, MD5 if asked for."""

    def __init__(self, *, md5: bool = False) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._sums = bytearray()
        self._crc = 0

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Releases the interpreter lock for large ones."""
        self._sha256.update(data)
        if self._md5 is not None:
            self._md5.update(data)
        view = memoryview(data)
        while view:
            piece = view[: BLOCK - self.size % BLOCK]
            self._crc = zlib.crc32(piece, self._crc)
            self.size += len(piece)
            view = view[len(piece) :]
            if self.size % BLOCK == 0:
                self._close_block()

    def blob(self, key: str) -> Blob:
        """What was added, as a blob; call it once."""
        if self.size % BLOCK:
            self._close_block()
        md5 = self._md5.hexdigest() if self._md5 is not None else ""
        return Blob(key, self.size, self._sha256.hexdigest(), bytes(self._sums), md5)

    def _close_block(self) -> None:
        self._sums += self._crc.to_bytes(4)
        self._crc = 0


def check_block(blob: Blob, n: int, data: bytes) -> None:
    """Compare block `n` (from 0) with what was written.

    Raises:
        DamagedFile: it differs.
    """
    expected = min(BLOCK, blob.size - n * BLOCK)
    if len(data) != expected:
        raise DamagedFile(f"stored bytes are damaged: block {n} of {blob.key} has {len(data)} bytes, not {expected}")
    if blob.sums and zlib.crc32(data) != int.from_bytes(blob.sums[4 * n : 4 * n + 4]):
        raise DamagedFile(f"stored bytes are damaged: block {n} of {blob.key} fails its checksum")


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run blocking work in the loop's threads, to its end even if the caller is cancelled meanwhile."""
    future = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
