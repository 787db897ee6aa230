"""Bytes under a key: what a store must do, and the checksums that find damage before it is served."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

import msgspec
from blake3 import blake3

from pondage.errors import InternalError

T = TypeVar("T")

BLOCK = 1024 * 1024
"""Bytes under one checksum. Reads are whole blocks, so that each is checked before any of it is sent."""
SUM = 8
"""Bytes of one checksum: the beginning of the block's BLAKE3. Against damage, not against malice."""


class Blob(msgspec.Struct, frozen=True):
    """Stored bytes. `digest` and `sums` are empty where the bytes came straight to the object store."""

    key: str
    size: int
    digest: str = ""
    """The content's address, in hex: the same for the same bytes."""
    sums: bytes = b""
    sha256: str = ""
    """Hex, if it was asked for."""
    md5: str = ""
    """Hex, if it was asked for; not kept."""


class StoredKey(msgspec.Struct, frozen=True):
    """A key that lies in the store, and when it was written, in wall seconds."""

    key: str
    written_at: float


class DamagedFile(InternalError):
    """Stored bytes are not those that were written. They are never served."""

    code = "files.damaged"

    def __init__(self, inner: str) -> None:
        super().__init__("what is stored of this file is damaged or gone", inner=inner)


class Blobs(Protocol):
    """A store of immutable bytes. What `write` has returned is whole and durable."""

    async def write(self, chunks: AsyncIterator[bytes], *, sha256: bool = False, md5: bool = False) -> Blob:
        """Store what comes, under a new key. SHA-256 and MD5 are computed only where they are asked for.

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

    def lying(self) -> AsyncIterator[list[StoredKey]]:
        """Every key, in batches; for finding what a crash left behind."""
        ...

    async def presign_put(self, key: str, seconds: float) -> str | None:
        """A URL to which a caller may PUT the bytes of `key` himself; None where the store has no such thing."""
        ...

    async def adopt(self, key: str) -> Blob | None:
        """What a caller has PUT under `key`, copied to a new key for which nobody has a signed URL: it changes no
        more. None if nothing lies there."""
        ...

    async def probe(self) -> None:
        """See that the store is there.

        Raises:
            Unavailable: it is not, and why.
        """
        ...

    async def close(self) -> None: ...


class Sums:
    """Checksums of bytes that pass by, in one pass: BLAKE3 of each block, and of these digests one of all. It is four
    times as fast as SHA-256, which would be the slowest part of an upload; SHA-256 and MD5 are added if asked for."""

    def __init__(self, *, sha256: bool = False, md5: bool = False) -> None:
        self.size = 0
        self._others = [hashlib.sha256() if sha256 else None, hashlib.md5(usedforsecurity=False) if md5 else None]
        self._sums = bytearray()
        self._whole = blake3()
        self._block = blake3()

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Releases the interpreter lock for large ones."""
        for other in self._others:
            if other is not None:
                other.update(data)
        view = memoryview(data)
        while view:
            piece = view[: BLOCK - self.size % BLOCK]
            self._block.update(piece)
            self.size += len(piece)
            view = view[len(piece) :]
            if self.size % BLOCK == 0:
                self._close_block()

    def blob(self, key: str) -> Blob:
        """What was added, as a blob; call it once."""
        if self.size % BLOCK:
            self._close_block()
        sha256, md5 = (other.hexdigest() if other is not None else "" for other in self._others)
        return Blob(key, self.size, self._whole.hexdigest(), bytes(self._sums), sha256, md5)

    def _close_block(self) -> None:
        digest = self._block.digest()
        self._sums += digest[:SUM]
        self._whole.update(digest)
        self._block.reset()


def check_block(blob: Blob, n: int, data: bytes) -> None:
    """Compare block `n` (from 0) with what was written.

    Raises:
        DamagedFile: it differs.
    """
    expected = min(BLOCK, blob.size - n * BLOCK)
    if len(data) != expected:
        raise DamagedFile(f"stored bytes are damaged: block {n} of {blob.key} has {len(data)} bytes, not {expected}")
    if blob.sums and blake3(data).digest(SUM) != blob.sums[SUM * n : SUM * (n + 1)]:
        raise DamagedFile(f"stored bytes are damaged: block {n} of {blob.key} fails its checksum")


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run blocking work in the loop's threads, to its end even if the caller is cancelled meanwhile."""
    future = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
