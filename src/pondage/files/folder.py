"""Blobs in a folder of this machine.

``incoming/`` holds what is being written, ``blobs/ab/…`` what is whole: written, fsynced, renamed, and the folder
fsynced, in this order, so that after a crash a name in ``blobs/`` always has all of its bytes. A key begins with the
digest of its bytes and ends with a random tail, so that bytes which are being deleted never meet bytes which come.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import re
import secrets
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pondage.errors import PondageError, SetupError, StorageFull, Unavailable
from pondage.files.blobs import BLOCK, Blob, DamagedFile, StoredKey, Sums, check_block, in_thread
from pondage.files.incoming import Incoming

BATCH = 1024 * 1024
"""Bytes that are gathered before they are handed to a thread."""
ALL_BATCHES = 8 * 1024 * 1024
"""The same, of all that is being written; when there is much at once, each gathers less. The threads hold as much."""
LEAST_BATCH = 64 * 1024
WRITEBACK = 32 * 1024 * 1024
"""Bytes after which the system is told to begin with the writing, so that little is left for the end."""
MAX_PIECES = 512
"""Pieces that one system call takes; more are joined."""

_SYNC_RANGE: Any = getattr(ctypes.CDLL(None), "sync_file_range", None) if sys.platform == "linux" else None
_KEY = re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}\Z")


class FolderBlobs:
    """See `pondage.files.blobs.Blobs`."""

    def __init__(self, root: Path) -> None:
        self._incoming = Incoming(root / "incoming")
        self._blobs = root / "blobs"
        self._writing = 0

    @classmethod
    async def open(cls, root: Path) -> FolderBlobs:
        """Make the folders, and drop what dead processes had not finished to write.

        Raises:
            SetupError: the folder cannot be used.
        """
        store = cls(root)

        def prepare() -> None:
            try:
                store._blobs.mkdir(parents=True, exist_ok=True)
                store._incoming.open()
                sync_folder(root)
                sync_folder(root.parent)
            except OSError as error:
                raise SetupError(f"cannot use the folder of files {root}: {error.strerror}") from error

        await in_thread(prepare)
        return store

    async def write(self, chunks: AsyncIterator[bytes], *, sha256: bool = False, md5: bool = False) -> Blob:
        pen = _FileWriter(self._incoming.path(), Sums(sha256=sha256, md5=md5))
        loop = asyncio.get_running_loop()
        batch: list[bytes] = []
        held = 0
        working: asyncio.Future[None] | None = None
        self._writing += 1
        try:
            # While a thread writes one batch, the loop gathers the next. The pieces stay as they came: what is not
            # copied stays in the processor's cache.
            async for chunk in chunks:
                batch.append(chunk)
                held += len(chunk)
                if held >= max(min(BATCH, ALL_BATCHES // self._writing), LEAST_BATCH):
                    if working is not None:
                        await working
                    working = loop.run_in_executor(None, pen.add, batch)
                    batch, held = [], 0
            if working is not None:
                await working
            return await in_thread(pen.finish, batch, self._blobs)
        except BaseException as error:
            if working is not None:
                await _settled(working)
            await in_thread(pen.abandon)
            if isinstance(error, OSError):
                raise refused(error) from error
            raise
        finally:
            self._writing -= 1

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
            await _settled(ahead)
            file.close()

    async def delete(self, key: str) -> None:
        try:
            await in_thread(self._path(key).unlink, True)
        except OSError as error:
            raise refused(error) from error

    async def size(self, key: str) -> int | None:
        def look() -> int | None:
            with contextlib.suppress(FileNotFoundError):
                return self._path(key).stat().st_size
            return None

        try:
            return await in_thread(look)
        except OSError as error:
            raise refused(error) from error

    async def lying(self) -> AsyncIterator[list[StoredKey]]:
        for folder in await in_thread(lambda: sorted(self._blobs.iterdir())):
            yield await in_thread(lambda folder=folder: list(_lying(folder)))

    async def presign_put(self, key: str, seconds: float) -> str | None:
        return None

    async def adopt(self, key: str) -> Blob | None:
        return None

    async def probe(self) -> None:
        def look() -> None:
            for folder in (self._incoming.path().parent, self._blobs):
                try:
                    os.stat(folder)
                except OSError as error:
                    raise refused(error) from error
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise Unavailable("the folder of files cannot be written")

        await in_thread(look)

    async def close(self) -> None:
        await in_thread(self._incoming.close)

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise DamagedFile(f"{key!r} is no key of this folder; was it written with another --files?")
        return self._blobs / key[:2] / key


class _FileWriter:
    """A file being written by the threads of the pool; its methods block and are called one after another."""

    def __init__(self, path: Path, sums: Sums) -> None:
        self._path = path
        self._sums = sums
        self._begun = 0
        """Bytes that are on their way to the disk."""
        self._fd: int | None = None

    def add(self, batch: list[bytes]) -> None:
        """Write and sum up the next bytes."""
        fd = self._open()
        pieces = batch if len(batch) <= MAX_PIECES else [b"".join(batch)]
        written = os.writev(fd, pieces) if pieces else 0
        for piece in pieces:
            self._sums.add(piece)
            # The system may take less than all of it at once.
            view = memoryview(piece)[min(written, len(piece)) :]
            written = max(written - len(piece), 0)
            while view:
                view = view[os.write(fd, view) :]
        if self._sums.size - self._begun >= WRITEBACK:
            begin_writing(fd, self._begun, self._sums.size - self._begun)
            self._begun = self._sums.size

    def finish(self, batch: list[bytes], blobs: Path) -> Blob:
        """Write the rest, and return when all of it is on disk under its key."""
        self.add(batch)
        os.fsync(self._open())
        self._close()
        blob = self._sums.blob("")
        key = f"{blob.digest}-{secrets.token_hex(8)}"
        folder = blobs / key[:2]
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            sync_folder(blobs)
        self._path.rename(folder / key)
        sync_folder(folder)
        return msgspec.structs.replace(blob, key=key)

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._close()
        # What cannot be removed now is removed at the next start; why the writing failed is what counts.
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self._fd

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


async def _settled(work: asyncio.Future[Any]) -> None:
    """Until it runs no more, however it ends, and also if the caller is cancelled again."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([work])
    if not work.cancelled():
        work.exception()


def _read_block(fd: int, blob: Blob, n: int) -> bytes:
    data = os.pread(fd, BLOCK, n * BLOCK)
    check_block(blob, n, data)
    return data


def _lying(folder: Path) -> Iterator[StoredKey]:
    for entry in os.scandir(folder):
        if not _KEY.match(entry.name):
            continue  # not ours
        with contextlib.suppress(FileNotFoundError):
            yield StoredKey(entry.name, entry.stat().st_mtime)


def begin_writing(fd: int, start: int, size: int) -> None:
    """Have the disk begin with bytes that lie in memory, and wait for nothing; where the system knows how."""
    if _SYNC_RANGE is not None:
        _SYNC_RANGE(fd, ctypes.c_int64(start), ctypes.c_int64(size), 2)  # SYNC_FILE_RANGE_WRITE


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def refused(error: OSError) -> PondageError:
    """What an error of the file system means to a caller."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StorageFull(f"the disk with the files is full ({error.strerror}); nothing was stored")
    return Unavailable(f"the folder of files cannot be used just now: {error.strerror}")
