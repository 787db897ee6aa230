"""Files that a runner stores and reads over its own connection: slices with a window, so that nothing waits long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from urllib.parse import parse_qsl, urlsplit

from pondage.errors import PondageError, RequestError, Unauthorized
from pondage.files.interface import FileInfo, Files
from pondage.files.names import read_lifecycle
from pondage.fleet.runners import Link
from pondage.wire.frames import SLICE, WINDOW, FileGet, FileMore, FilePut, FileSlice, FileStored

log = logging.getLogger("pondage.fleet")


class Transfers:
    """The transfers of one connection."""

    def __init__(self, link: Link, files: Files) -> None:
        self._link = link
        self._files = files
        self._incoming: dict[int, asyncio.Queue[FileSlice | None]] = {}
        self._windows: dict[int, asyncio.Semaphore] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def file_put(self, frame: FilePut, base_url: str, owner: str) -> None:
        """Begin to take a file in. `base_url` begins its URL, as the request's caller came."""
        self._incoming[frame.ref] = asyncio.Queue()
        self._spawn(self._put(frame, base_url, owner))

    def file_get(self, frame: FileGet, reader: str | None) -> None:
        """Begin to send a file. `reader` is the key that asks: the caller of a request that runs there."""
        self._windows[frame.ref] = asyncio.Semaphore(WINDOW)
        self._spawn(self._get(frame, reader))

    def file_slice(self, frame: FileSlice) -> None:
        if queue := self._incoming.get(frame.ref):
            queue.put_nowait(frame)

    def file_more(self, frame: FileMore) -> None:
        if window := self._windows.get(frame.ref):
            for _ in range(frame.n):
                window.release()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put(self, frame: FilePut, base_url: str, owner: str) -> None:
        try:
            stored = await self._files.put(
                self._slices(frame.ref),
                file_name=frame.file_name,
                content_type=frame.content_type,
                size=frame.size,
                lifecycle=read_lifecycle(frame.lifecycle, loc="X-Fal-Object-Lifecycle-Preference"),
                owner=owner,
                request_id=frame.request_id,
            )
            self._link.send(FileStored(frame.ref, base_url + stored.path, stored.content_type, stored.size))
        except Exception as error:
            self._link.send(_refused(frame.ref, error))
        finally:
            del self._incoming[frame.ref]

    async def _slices(self, ref: int) -> AsyncIterator[bytes]:
        queue = self._incoming[ref]
        while (part := await queue.get()) is not None:
            self._link.send(FileMore(ref))
            if part.data:
                yield part.data
            if part.last:
                return
        raise RequestError("the runner left in the middle of a file")

    async def _get(self, frame: FileGet, reader: str | None) -> None:
        window = self._windows[frame.ref]
        try:
            info = await self._files.info(urlsplit(frame.url).path)
            if info is None:
                raise RequestError(f"there is no file {frame.url}", error_type="file_download_error")
            if info.private and info.owner != reader:
                self._check_signature(info, frame.url)
            self._link.send(FileStored(frame.ref, frame.url, info.content_type, info.size))
            async for data in self._files.read(info):
                for begin in range(0, len(data), SLICE):
                    await window.acquire()
                    self._link.send(FileSlice(frame.ref, data[begin : begin + SLICE]))
            self._link.send(FileSlice(frame.ref, b"", last=True))
        except Exception as error:
            self._link.send(_refused(frame.ref, error))
        finally:
            del self._windows[frame.ref]

    def _check_signature(self, info: FileInfo, url: str) -> None:
        token = dict(parse_qsl(urlsplit(url).query)).get("token", "")
        try:
            self._files.verify("file", info.id, token)
        except Unauthorized as error:
            why = f"the file {urlsplit(url).path} is private, and its URL carries no good signature"
            raise RequestError(why, error_type="file_download_error") from error

    def close(self) -> None:
        """The connection is gone: nothing half-written stays."""
        for queue in self._incoming.values():
            queue.put_nowait(None)
        for task in self._tasks:
            task.cancel()


def _refused(ref: int, error: Exception) -> FileStored:
    if not isinstance(error, PondageError):
        log.error("a runner's file: %s", error, exc_info=error)
        return FileStored(ref, error="the server failed; its log says why", error_type="internal_error")
    if not isinstance(error, RequestError):
        return FileStored(ref, error=str(error), error_type="internal_error")
    if error.inner is not None:
        log.error("a runner's file: %s", error)
    return FileStored(ref, error=error.told, error_type=error.error_type or "internal_error")
