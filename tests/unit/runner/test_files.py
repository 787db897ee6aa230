"""Files over the link: in slices, within a window, from threads and from the loop's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pondage.wire.frames import SLICE, WINDOW, FileGet, FileMore, FilePut, FileSlice, FileStored, Frame

from .conftest import Gateway, running

pytestmark = pytest.mark.anyio

APP = """
from pathlib import Path
import pondage
from pondage.app.context import get_current_request

class Files(pondage.App, name="acme/files", max_multiplexing=4):
    @pondage.endpoint("/put")
    def put(self, size: int, path: str = "") -> list:
        if path:
            Path(path).write_bytes(b"x" * size)
        data = Path(path) if path else b"x" * size
        return list(get_current_request().files.put(data, content_type="text/plain", file_name="a.txt"))

    @pondage.endpoint("/put/async")
    async def put_async(self, size: int) -> list:
        return list(get_current_request().files.put(b"x" * size, content_type="text/plain", file_name="a.txt"))

    @pondage.endpoint("/get")
    def get(self, url: str, max_bytes: int | None = None) -> dict:
        path, content_type = get_current_request().files.fetch(url, max_bytes=max_bytes)
        again, _ = get_current_request().files.fetch(url)
        return {"size": path.stat().st_size, "type": content_type, "suffix": path.suffix, "same": again == path,
                "head": path.read_bytes()[:5].decode(), "path": str(path)}

    @pondage.endpoint("/get/async")
    async def get_async(self, url: str) -> dict:
        path, content_type = get_current_request().files.fetch(url)
        return {"size": path.stat().st_size, "type": content_type}
"""


class Store:
    """The gateway's part: keeps what is put, gives what is asked, and counts what is in flight."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.held: dict[int, bytearray] = {}
        self.size = 3 * 1024 * 1024
        self.refuse = ""
        answer = gateway._answer

        def intercept(frame: Frame) -> None:
            answer(frame)
            self.take(frame)

        gateway._answer = intercept  # type: ignore[method-assign]

    def take(self, frame: Frame) -> None:
        send = self.gateway.send
        if isinstance(frame, FilePut):
            self.held[frame.ref] = bytearray()
            if self.refuse:
                send(FileStored(frame.ref, error=self.refuse))
        elif isinstance(frame, FileSlice):
            assert len(frame.data) <= SLICE
            self.held[frame.ref] += frame.data
            send(FileMore(frame.ref))
            if frame.last and not self.refuse:
                send(FileStored(frame.ref, "http://here/files/abc/a.txt", "text/plain", len(self.held[frame.ref])))
        elif isinstance(frame, FileGet):
            send(FileStored(frame.ref, frame.url, "image/png", self.size))
            for begin in range(0, self.size, SLICE):
                send(FileSlice(frame.ref, b"y" * min(SLICE, self.size - begin)))
            send(FileSlice(frame.ref, b"", last=True))


@pytest.fixture
async def store(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Store]:
    (tmp_path / "files_app.py").write_text(APP)
    gateway.welcome["own_hosts"] = ["here", "127.0.0.1:8000"]
    store = Store(gateway)
    async with running(gateway, f"{tmp_path / 'files_app.py'}:Files", "acme/files"):
        await gateway.ready()
        yield store


async def call(store: Store, endpoint: str, **input: Any) -> Any:
    outcome = await store.gateway.call(endpoint, input)
    assert outcome.status == 200, outcome.error
    return msgspec.json.decode(outcome.body)


@pytest.mark.parametrize("size", [0, 1, SLICE, SLICE * (WINDOW + 3) + 1])
@pytest.mark.parametrize("path", ["/put", "/put/async"])
async def test_a_file_is_stored(store: Store, path: str, size: int) -> None:
    assert await call(store, path, size=size) == ["http://here/files/abc/a.txt", size]
    (put,) = store.gateway.all(FilePut)
    assert (put.size, put.file_name, put.content_type) == (size, "a.txt", "text/plain")
    assert store.held[put.ref] == b"x" * size


async def test_a_file_on_disk_is_stored(store: Store, tmp_path: Path) -> None:
    size = SLICE * 2 + 5
    assert (await call(store, "/put", size=size, path=str(tmp_path / "out")))[1] == size


async def test_a_refusal_reaches_the_author(store: Store) -> None:
    store.refuse = "the disk is full"
    outcome = await store.gateway.call("/put", {"size": SLICE * 20})
    assert outcome.error == "FileRefused: a.txt: the disk is full"


@pytest.mark.parametrize("path", ["/get", "/get/async"])
async def test_our_own_files_come_over_the_link(store: Store, path: str) -> None:
    got = await call(store, path, url="http://here/files/abc/picture.png")
    assert (got["size"], got["type"]) == (store.size, "image/png")
    if path == "/get":
        assert (got["suffix"], got["same"], got["head"]) == (".png", True, "yyyyy")
        assert len(store.gateway.all(FileGet)) == 1, "fetched once"


@pytest.mark.parametrize(
    "origin", ["http://HERE", "http://here:80", "https://here:443", "HTTP://here", "http://127.0.0.1:8000"]
)
async def test_our_own_files_are_known_however_their_host_is_written(store: Store, origin: str) -> None:
    got = await call(store, "/get", url=f"{origin}/files/abc/picture.png")
    assert got["size"] == store.size


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:81", "http://127.0.0.1", "http://x@here", "http://here@127.0.0.1:1", "http://here:x"]
)
async def test_nobody_else_s_files_are_taken_for_ours(store: Store, origin: str) -> None:
    outcome = await store.gateway.call("/get", {"url": f"{origin}/files/abc/picture.png"})
    assert outcome.status == 500
    assert store.gateway.all(FileGet) == []


async def test_a_file_that_is_too_large_is_refused(store: Store) -> None:
    outcome = await store.gateway.call("/get", {"url": "http://here/files/abc/p.png", "max_bytes": 10})
    assert outcome.error is not None and "at most 10 are taken" in outcome.error


@pytest.mark.parametrize("head", ["data:text/plain;base64", "DATA:text/plain;charset=utf-8;BASE64"])
async def test_data_uris_are_decoded(store: Store, head: str) -> None:
    got = await call(store, "/get", url=head + ",aGVsbG8=")
    assert (got["size"], got["type"], got["suffix"], got["head"]) == (5, "text/plain", ".txt", "hello")


async def test_the_outside_is_guarded(store: Store) -> None:
    outcome = await store.gateway.call("/get", {"url": "http://127.0.0.1:1/x"})
    assert outcome.status == 500
    assert outcome.error is not None and "127.0.0.1" in outcome.error
