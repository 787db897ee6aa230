"""Blobs in a folder of this machine.

``incoming/`` holds what is being written, ``blobs/ab/…`` what is whole: written, fsynced, renamed, and the folder
fsynced, in this order, so that after a crash a name in ``blobs/`` always has all of its bytes. A key begins with the
SHA-256 of its bytes and ends with a random tail, so that bytes which are being deleted never meet bytes which come.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

from penstock.errors import PenstockError, SetupError, StorageFull, Unavailable
from penstock.files.blobs import BLOCK, Blob, DamagedFile, Lying, Sums, check_block, in_thread

BATCH = 1024 * 1024
"""Bytes that are gathered before they are handed to the threads."""
FLUSH = 64 * 1024 * 1024
"""Bytes after which what was written is brought to disk meanwhile, so that the last fsync is short."""

_KEY = re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}\Z")


class FolderBlobs:
    """See `penstock.files.blobs.Blobs`."""

    def __init__(self, root: Path) -> None:
        self._incoming = root / "incoming"
        self._blobs = root / "blobs"

    @classmethod
    async def open(cls, root: Path) -> FolderBlobs:
        """Make the folders, and drop what an earlier process had not finished to write.

        Raises:
            SetupError: the folder cannot be used.
        """
        store = cls(root)

        def prepare() -> None:
            try:
                for folder in (store._incoming, store._blobs):
                    folder.mkdir(parents=True, exist_ok=True)
                for left in store._incoming.iterdir():
                    left.unlink()
            except OSError as error:
                raise SetupError(f"cannot use the folder of files {root}: {error.strerror}") from error

        await in_thread(prepare)
        return store

    async def write(self, chunks: AsyncIterator[bytes], *, md5: bool = False) -> Blob:
        pen = _Pen(self._incoming / secrets.token_hex(16), md5=md5)
        loop = asyncio.get_running_loop()
        # While the threads write and sum up one buffer, the loop fills the other.
        filling, resting = bytearray(BATCH), bytearray()
        at = written = flushed = 0
        working: set[asyncio.Future[None]] = set()
        flushing: set[asyncio.Future[None]] = set()
        try:
            async for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    length = min(len(view), BATCH - at)
                    filling[at : at + length] = view[:length]
                    view, at = view[length:], at + length
                    if at < BATCH:
                        continue
                    await _done(working)
                    working = {loop.run_in_executor(None, work, filling) for work in (pen.write, pen.add)}
                    filling, resting, at = resting or bytearray(BATCH), filling, 0
                    written += BATCH
                    if written - flushed >= FLUSH and all(one.done() for one in flushing):
                        await _done(working)
                        flushed, flushing = written, {loop.run_in_executor(None, pen.flush)}
            await _done(working)
            await _done(flushing)
            return await in_thread(pen.finish, memoryview(filling)[:at], self._blobs)
        except BaseException as error:
            await _settled(working | flushing)
            await in_thread(pen.abandon)
            if isinstance(error, OSError):
                raise refused(error) from error
            raise

    async def read(self, blob: Blob, start: int, end: int) -> AsyncGenerator[bytes, None]:
        if start >= end:
            return
        loop = asyncio.get_running_loop()
        path = self._path(blob.key)
        try:
            file = await in_thread(path.open, "rb", 0)
        except FileNotFoundError as error:
            raise DamagedFile(f"stored bytes are gone: {blob.key}") from error
        except OSError as error:
            raise refused(error) from error
        numbers = range(start // BLOCK, (end - 1) // BLOCK + 1)
        ahead: asyncio.Future[bytes] = loop.run_in_executor(None, _read_block, file.fileno(), blob, numbers[0])
        try:
            for n in numbers:
                data = await ahead
                if n < numbers[-1]:  # is read while this one is sent
                    ahead = loop.run_in_executor(None, _read_block, file.fileno(), blob, n + 1)
                first, last = max(start - n * BLOCK, 0), min(end - n * BLOCK, len(data))
                yield data if first == 0 and last == len(data) else data[first:last]
        except OSError as error:
            raise refused(error) from error
        finally:
            await _settled({ahead})
            file.close()

    async def delete(self, key: str) -> None:
        await in_thread(self._path(key).unlink, True)

    async def size(self, key: str) -> int | None:
        def look() -> int | None:
            with contextlib.suppress(FileNotFoundError):
                return self._path(key).stat().st_size
            return None

        return await in_thread(look)

    async def lying(self) -> AsyncIterator[list[Lying]]:
        for folder in await in_thread(lambda: sorted(self._blobs.iterdir())):
            yield await in_thread(lambda folder=folder: list(_lying(folder)))

    async def presign_put(self, key: str, seconds: float) -> str | None:
        return None

    async def close(self) -> None:
        return None

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise DamagedFile(f"{key!r} is no key of this folder; was it written with another --files?")
        return self._blobs / key[:2] / key


class _Pen:
    """A file being written by the threads of the pool; its methods block. `write` and `add` may run side by side."""

    def __init__(self, path: Path, *, md5: bool) -> None:
        self._path = path
        self._sums = Sums(md5=md5)
        self._fd: int | None = None

    def write(self, data: bytearray | memoryview) -> None:
        """Write the next bytes."""
        fd, view = self._open(), memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def add(self, data: bytearray | memoryview) -> None:
        """Sum up the next bytes."""
        self._sums.add(data)

    def flush(self) -> None:
        """Bring what was written to disk, so that the last fsync is short."""
        os.fdatasync(self._open())

    def finish(self, data: memoryview, blobs: Path) -> Blob:
        """Write the rest, and return when all of it is on disk under its key."""
        self.write(data)
        self.add(data)
        os.fsync(self._open())
        self._close()
        blob = self._sums.blob("")
        key = f"{blob.sha256}-{secrets.token_hex(8)}"
        folder = blobs / key[:2]
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            sync_folder(blobs)
        self._path.rename(folder / key)
        sync_folder(folder)
        return Blob(key, blob.size, blob.sha256, blob.sums, blob.md5)

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._close()
        self._path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self._fd

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


async def _done(work: set[asyncio.Future[None]]) -> None:
    """Until all of it is done.

    Raises:
        OSError: one of it failed.
    """
    if work:
        await asyncio.wait(work)
        for one in work:
            one.result()


async def _settled(work: Iterable[asyncio.Future[Any]]) -> None:
    """Until none of it runs any more, however it ends, and also if the caller is cancelled again."""
    for one in work:
        while not one.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([one])
        if not one.cancelled():
            one.exception()


def _read_block(fd: int, blob: Blob, n: int) -> bytes:
    data = os.pread(fd, BLOCK, n * BLOCK)
    check_block(blob, n, data)
    return data


def _lying(folder: Path) -> Iterator[Lying]:
    for entry in os.scandir(folder):
        if not _KEY.match(entry.name):
            continue  # not ours
        with contextlib.suppress(FileNotFoundError):
            yield Lying(entry.name, entry.stat().st_mtime)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def refused(error: OSError) -> PenstockError:
    """What an error of the file system means to a caller."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StorageFull(f"the disk with the files is full ({error.strerror}); nothing was stored")
    return Unavailable(f"the folder of files cannot be used just now: {error.strerror}")
