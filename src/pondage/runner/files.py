"""Files for the author's code: stored and read over the link, fetched from outside, decoded from data URIs."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pondage.runner.inputs import Inputs
from pondage.runner.link import Link
from pondage.wire import data_uri, media_types
from pondage.wire.frames import (
    SLICE,
    WINDOW,
    Execute,
    FileGet,
    FileMore,
    FilePut,
    FileSlice,
    FileStored,
    FromGateway,
    Welcome,
)
from pondage.wire.text import MAX_NAME, clean, text_of

T = TypeVar("T")

FILE_FRAMES = (FileStored, FileSlice, FileMore)
_PATIENCE = 300.0
_LONGEST_NAME = 4096
"""Characters of a file's name that go to the gateway, which keeps its last part."""
_PORTS = {"http": 80, "https": 443}


class FileRefused(ValueError):
    """A file that is not stored, or an input that cannot be read. `error_type` is fal's name for it."""

    def __init__(self, message: str, error_type: str = "file_download_error") -> None:
        super().__init__(message)
        self.error_type = error_type


class _Transfer:
    """One file under way; the calling thread waits on it."""

    def __init__(self) -> None:
        self.window = WINDOW
        self.stored: FileStored | None = None
        self.slices: deque[FileSlice] = deque()
        self.lost = False


class Transfers:
    """All the file transfers of this runner."""

    def __init__(self, link: Link, welcome: Welcome) -> None:
        self._link = link
        self._welcome = welcome
        self._refs = itertools.count(1)
        self._open: dict[int, _Transfer] = {}
        self._changed = threading.Condition()
        self._folders: dict[str, Path] = {}
        self.inputs = Inputs(
            welcome.fetch_cache_bytes, timeout=welcome.fetch_timeout, allow_private=welcome.allow_private_urls
        )
        self._own = {place for netloc in welcome.own_hosts for place in _places(netloc)}
        self._owner = threading.get_ident()
        self._met = True
        """There is a gateway."""

    def access(self, frame: Execute) -> RequestFiles:
        """The files of one attempt."""
        return RequestFiles(self, frame)

    def done(self, request_id: str) -> None:
        """The attempt is over: its local copies go."""
        if (folder := self._folders.pop(request_id, None)) is not None:
            threading.Thread(target=shutil.rmtree, args=(folder, True), daemon=True).start()

    def folder(self, request_id: str) -> Path:
        """Where the local copies of a request's files lie."""
        if request_id not in self._folders:
            self._folders[request_id] = Path(tempfile.mkdtemp(prefix="pondage-"))
        return self._folders[request_id]

    def received(self, frame: FromGateway) -> None:
        """A frame of a transfer. From the loop, or from the thread that waits in its stead."""
        with self._changed:
            transfer = self._open.get(getattr(frame, "ref", 0))
            if transfer is None:
                return
            if isinstance(frame, FileStored):
                transfer.stored = frame
            elif isinstance(frame, FileSlice):
                transfer.slices.append(frame)
            elif isinstance(frame, FileMore):
                transfer.window += frame.n
            self._changed.notify_all()

    def gateway_lost(self) -> None:
        """Whatever was under way has to begin again with the next gateway."""
        with self._changed:
            self._met = False
            for transfer in self._open.values():
                transfer.lost = True
            self._changed.notify_all()

    def gateway_met(self) -> None:
        """A gateway has taken us on."""
        with self._changed:
            self._met = True
            self._changed.notify_all()

    def wait_for_gateway(self) -> bool:
        """Hold the calling thread until there is a gateway again. False: none came, or this is the loop's own thread,
        which alone could reach one."""
        if threading.get_ident() == self._owner:
            return False
        with self._changed:
            return self._changed.wait_for(lambda: self._met, self._welcome.reconnect)

    def put(self, frame: Execute, data: bytes | Path, content_type: str, file_name: str) -> tuple[str, int]:
        """Store a file; blocks until it is on the server's disk."""
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        lifecycle = frame.headers.get("x-fal-object-lifecycle-preference") or frame.headers.get(
            "x-fal-object-lifecycle"
        )
        ref, transfer = self._begin()
        try:
            self._link.send(FilePut(ref, frame.request_id, file_name, content_type, size, lifecycle))
            for part, last in _parts(data, size):
                self._wait(lambda: transfer.window > 0 or transfer.stored is not None, transfer)
                if transfer.stored is not None:
                    break
                transfer.window -= 1
                self._link.send(FileSlice(ref, part, last))
            self._wait(lambda: transfer.stored is not None, transfer)
            stored = _checked(transfer, file_name)
            return stored.url, stored.size
        finally:
            del self._open[ref]

    def get(self, url: str, to: Path, max_bytes: int | None, request_id: str) -> str:
        """Copy one of the server's own files to `to`; returns its content type."""
        ref, transfer = self._begin()
        try:
            self._link.send(FileGet(ref, clean(url), request_id))
            self._wait(lambda: transfer.stored is not None, transfer)
            stored = _checked(transfer, url)
            if max_bytes is not None and stored.size > max_bytes:
                raise FileRefused(f"{url} has {stored.size} bytes; at most {max_bytes} are taken", "file_too_large")
            with to.open("wb") as file:
                while True:
                    self._wait(lambda: bool(transfer.slices), transfer)
                    part = transfer.slices.popleft()
                    file.write(part.data)
                    if part.last:
                        return stored.content_type
                    self._link.send(FileMore(ref))
        finally:
            del self._open[ref]

    def own(self, url: str, base_url: str) -> bool:
        """Whether a URL names one of the server's own files: under a name that it knows, or as this caller came."""
        try:
            parts = urlsplit(url)
            place = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
        except ValueError:
            return False  # no URL: the fetcher says so
        base = urlsplit(base_url)
        path = parts.path.removeprefix(base.path.rstrip("/"))  # which `public_url` may have
        if not path.startswith("/files/") or "@" in parts.netloc:
            return False
        return place in self._own or place in _places(base.netloc)

    @property
    def welcome(self) -> Welcome:
        return self._welcome

    def _begin(self) -> tuple[int, _Transfer]:
        if not self._met:
            raise ConnectionError("there is no gateway just now")
        ref, transfer = next(self._refs), _Transfer()
        self._open[ref] = transfer
        return ref, transfer

    def _wait(self, ready: Callable[[], bool], transfer: _Transfer) -> None:
        """Until `ready()`. On the loop's own thread, where nobody else can, the link is read meanwhile."""
        if threading.get_ident() == self._owner:
            while not ready() and not transfer.lost:
                self._link.pump(FILE_FRAMES, self.received)
        else:
            with self._changed:
                if not self._changed.wait_for(lambda: ready() or transfer.lost, _PATIENCE):
                    raise TimeoutError(f"the gateway did not answer about a file for {_PATIENCE:g} s")
        if transfer.lost and not ready():
            raise ConnectionError("the gateway was lost in the middle of a file")


class RequestFiles:
    """`FileAccess` of one request."""

    def __init__(self, transfers: Transfers, frame: Execute) -> None:
        self._transfers = transfers
        self._frame = frame
        self._fetched: dict[str, tuple[Path, str]] = {}
        self._fetching: dict[str, threading.Lock] = {}
        self._naming = threading.Lock()
        self._numbers = itertools.count()

    def put(self, data: bytes | Path, *, content_type: str, file_name: str) -> tuple[str, int]:
        """Store a file; returns its URL and size. A lost gateway is waited for, and the file sent again.

        A name may be a path; its last part counts.
        """
        name, kind = _text(file_name)[-_LONGEST_NAME:], text_of(content_type, MAX_NAME)
        return self._again(lambda: self._transfers.put(self._frame, data, kind, name))

    def _again(self, transfer: Callable[[], T]) -> T:
        """Do a transfer with the next gateway, as often as one is lost in the middle of it."""
        while True:
            try:
                return transfer()
            except ConnectionError:
                if not self._transfers.wait_for_gateway():
                    raise

    @property
    def max_image_pixels(self) -> int:
        return self._transfers.welcome.max_image_pixels

    @property
    def max_image_bytes(self) -> int:
        return self._transfers.welcome.max_image_bytes

    def fetch(self, url: str, *, max_bytes: int | None = None) -> tuple[Path, str]:
        """A local, read-only copy of what `url` names, and its content type. Gone when the request ends.

        Raises:
            ValueError: the address is refused, too large, or does not answer.
        """
        with self._naming:  # several threads fetch at once; one URL is fetched by one of them
            lock = self._fetching.setdefault(url, threading.Lock())
            to = self._transfers.folder(self._frame.request_id) / f"{next(self._numbers)}{_suffix(url)}"
        with lock:
            if url not in self._fetched:
                self._fetched[url] = self._fetch(url, to, max_bytes)
            return self._fetched[url]

    def _fetch(self, url: str, to: Path, max_bytes: int | None) -> tuple[Path, str]:
        most = self._transfers.welcome.fetch_max_bytes
        max_bytes = most if max_bytes is None else min(max_bytes, most)
        if data_uri.is_data_uri(url):
            content_type = _decode_data_uri(url, to, max_bytes)
        elif self._transfers.own(url, self._frame.base_url):
            request_id = self._frame.request_id
            content_type = self._again(lambda: self._transfers.get(url, to, max_bytes, request_id))
        else:
            return to, self._transfers.inputs.fetch(url, to, max_bytes)
        to.chmod(0o444)
        return to, content_type


def _text(name: object) -> str:
    """A file's name, given as text, bytes or a path."""
    return clean(os.fsdecode(name) if isinstance(name, bytes | os.PathLike) else text_of(name, _LONGEST_NAME))


def _parts(data: bytes | Path, size: int) -> Iterator[tuple[bytes, bool]]:
    """The slices, and whether each is the last; of a file on disk only one is in memory at a time."""
    if isinstance(data, bytes):
        for begin in range(0, size or 1, SLICE):
            yield data[begin : begin + SLICE], begin + SLICE >= size
        return
    done = 0
    with data.open("rb") as file:
        while True:
            part = file.read(SLICE)
            done += len(part)
            last = done >= size or not part
            yield part, last
            if last:
                return


def _places(netloc: str) -> set[tuple[str, int]]:
    """Host and port that a name means; without a port both of http's."""
    parts = urlsplit(f"//{netloc}")
    return {(parts.hostname or "", port) for port in ([parts.port] if parts.port else _PORTS.values())}


def _checked(transfer: _Transfer, what: str) -> FileStored:
    stored = transfer.stored
    if stored is None:
        raise ConnectionError("the gateway did not answer")
    if stored.error is not None:
        raise FileRefused(f"{what}: {stored.error}", stored.error_type or "file_download_error")
    return stored


def _decode_data_uri(url: str, to: Path, max_bytes: int) -> str:
    if (size := data_uri.size_of(url)) - 2 > max_bytes:
        raise FileRefused(f"this data URI has {size} bytes; at most {max_bytes} are taken", "file_too_large")
    try:
        content_type, data = data_uri.decode(url)
    except ValueError as error:
        raise FileRefused(str(error)) from error
    if len(data) > max_bytes:
        raise FileRefused(f"this data URI has {len(data)} bytes; at most {max_bytes} are taken", "file_too_large")
    to.write_bytes(data)
    return content_type


def _suffix(url: str) -> str:
    if data_uri.is_data_uri(url):
        return media_types.ending_of(data_uri.content_type_of(url))
    suffix = Path(urlsplit(url).path).suffix
    return suffix if suffix.isascii() and len(suffix) <= 16 and suffix[1:].isalnum() else ""
