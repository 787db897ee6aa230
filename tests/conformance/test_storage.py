"""One suite for every store of bytes: a folder, and the S3 protocol as a real server on loopback speaks it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pondage.clock import ManualClock
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import BadRequest, SetupError, Unavailable
from pondage.files.blobs import BLOCK, SUM, Blob, Blobs, DamagedFile
from pondage.files.folder import FolderBlobs
from pondage.files.interface import Lifecycle
from pondage.files.objects import ObjectBlobs
from pondage.files.service import FilesService
from pondage.settings import Settings

pytestmark = pytest.mark.anyio

CREDENTIALS = "region=us-east-1&access_key_id=test&secret_access_key=test"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The endpoint of an S3 server with the bucket `pondage`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket="pondage")
    client.close()
    yield endpoint
    server.stop()


@pytest.fixture(params=["folder", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    made: Blobs
    if request.param == "folder":
        made = await FolderBlobs.open(tmp_path / "files")
    else:
        endpoint = request.getfixturevalue("s3")
        made = await ObjectBlobs.open(f"s3://pondage/{tmp_path.name}?endpoint={endpoint}&{CREDENTIALS}")
    yield made
    await made.close()


async def pieces(data: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(blobs: Blobs, blob: Blob, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([block async for block in blobs.read(blob, start, blob.size if end is None else end)])


async def lying(blobs: Blobs) -> set[str]:
    return {one.key async for batch in blobs.lying() for one in batch}


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 20_000_001])
async def test_what_is_written_comes_back(blobs: Blobs, size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    blob = await blobs.write(pieces(data), sha256=True, md5=True)
    assert (blob.size, blob.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert blob.md5 == hashlib.md5(data).hexdigest()
    assert await blobs.size(blob.key) == size
    assert await read(blobs, blob) == data


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (5, 5), (BLOCK - 1, BLOCK + 1), (BLOCK, 2 * BLOCK), (1, 3 * BLOCK + 6), (3 * BLOCK, 3 * BLOCK + 7)],
)
async def test_any_part_can_be_read(blobs: Blobs, start: int, end: int) -> None:
    data = (bytes(range(251)) * 13_000)[: 3 * BLOCK + 7]
    blob = await blobs.write(pieces(data))
    assert await read(blobs, blob, start, end) == data[start:end]


async def test_two_writes_of_the_same_bytes_have_their_own_keys(blobs: Blobs) -> None:
    one, two = await blobs.write(pieces(b"same")), await blobs.write(pieces(b"same"))
    assert one.key != two.key
    await blobs.delete(one.key)
    assert await read(blobs, two) == b"same"
    assert await lying(blobs) == {two.key}


async def test_deleting_twice_is_deleting(blobs: Blobs) -> None:
    blob = await blobs.write(pieces(b"x"))
    await blobs.delete(blob.key)
    await blobs.delete(blob.key)
    assert await blobs.size(blob.key) is None
    with pytest.raises(DamagedFile, match="gone"):
        await read(blobs, blob)


@pytest.mark.parametrize("before", [0, 100, 12_000_000])
async def test_a_sender_that_breaks_off_leaves_nothing(blobs: Blobs, before: int) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces(bytes(before)):
            yield piece
        raise BadRequest("gone")

    with pytest.raises(BadRequest, match="gone"):
        await blobs.write(broken())
    assert await lying(blobs) == set()


async def test_a_cancelled_write_leaves_nothing(blobs: Blobs) -> None:
    half = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(3_000_000)
        half.set()
        await asyncio.Event().wait()

    writing = asyncio.ensure_future(blobs.write(slow()))
    await half.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await lying(blobs) == set()


async def test_bytes_that_are_not_what_was_written_are_never_given(blobs: Blobs) -> None:
    blob = await blobs.write(pieces(bytes(2 * BLOCK + 5)))
    for wrong in (
        Blob(blob.key, blob.size, blob.digest, blob.sums[:SUM] + b"x" * SUM + blob.sums[2 * SUM :]),
        Blob(blob.key, blob.size + 1, blob.digest, blob.sums),
    ):
        with pytest.raises(DamagedFile):
            await read(blobs, wrong, BLOCK)


async def test_many_at_once(blobs: Blobs) -> None:
    data = [bytes([n]) * 700_000 for n in range(20)]
    written = await asyncio.gather(*(blobs.write(pieces(one)) for one in data))
    assert await asyncio.gather(*(read(blobs, blob) for blob in written)) == data


# ---- what only object stores do


async def test_bytes_go_straight_to_s3_by_a_signed_url(s3: str, tmp_path: Path) -> None:
    import httpx2

    blobs = await ObjectBlobs.open(f"s3://pondage/{tmp_path.name}?endpoint={s3}&{CREDENTIALS}")
    url = await blobs.presign_put("direct-1", 60)
    assert url is not None
    async with httpx2.AsyncClient() as client:
        put = await client.put(url, content=b"straight", headers={"content-type": "text/plain"})
    assert put.is_success, put.text
    assert await blobs.size("direct-1") == 8
    assert await read(blobs, Blob("direct-1", 8)) == b"straight"


async def test_a_store_that_is_not_there_is_said_at_the_start(s3: str) -> None:
    for url in (f"s3://pondage?endpoint=http://127.0.0.1:1&{CREDENTIALS}", "ftp://pondage/x", "s3://"):
        with pytest.raises(SetupError):
            await ObjectBlobs.open(url, retries=0)


async def test_the_files_room_over_s3(s3: str, tmp_path: Path) -> None:
    """A caller gets a signed URL of the store itself; the file is there from the moment its bytes are."""
    import httpx2

    async def nothing(ids: Sequence[str]) -> set[str]:
        return set()

    clock = ManualClock()
    settings = Settings(data=str(tmp_path), files=f"s3://pondage/{tmp_path.name}?endpoint={s3}&{CREDENTIALS}")
    database = await SqliteDatabase.open(tmp_path)
    files = await FilesService.open(settings, database, clock, referenced=nothing)
    asked, unasked, never = [
        await files.grant(file_name="a", content_type="text/html", lifecycle=Lifecycle(), owner="", multipart=False)
        for _ in range(3)
    ]
    async with httpx2.AsyncClient() as client:
        for grant, body in ((asked, b"one"), (unasked, b"two")):
            assert grant.direct_url is not None
            assert grant.direct_url.startswith(s3)
            assert await files.info(grant.file_path) is None
            assert (await client.put(grant.direct_url, content=body)).is_success
    info = await files.info(asked.file_path)
    assert info is not None
    assert (info.size, info.content_type) == (3, "text/html")
    assert [block async for block in files.read(info, 1)] == [b"ne"]
    clock.advance(settings.upload_ttl + 1)
    await files.sweep()
    for grant, body in ((asked, b"one"), (unasked, b"two")):
        info = await files.info(grant.file_path)
        assert info is not None
        assert [block async for block in files.read(info)] == [body]
    assert await files.info(never.file_path) is None
    same = [await files.put(pieces(b"x"), file_name="b", content_type="") for _ in range(2)]
    assert await files.sweep() == 0
    clock.advance(settings.file_retention)
    assert await files.sweep() == 4
    assert await lying(files._blobs) == set()
    assert await files.info(same[0].path) is None
    await files.close()
    await database.close()


async def test_a_file_that_is_visible_changes_no_more_though_its_signed_url_is_still_good(
    s3: str, tmp_path: Path
) -> None:
    import httpx2

    async def nothing(ids: Sequence[str]) -> set[str]:
        return set()

    settings = Settings(data=str(tmp_path), files=f"s3://pondage/{tmp_path.name}?endpoint={s3}&{CREDENTIALS}")
    database = await SqliteDatabase.open(tmp_path)
    files = await FilesService.open(settings, database, ManualClock(), referenced=nothing)
    grant = await files.grant(file_name="a", content_type="", lifecycle=Lifecycle(), owner="", multipart=False)
    assert grant.direct_url is not None
    async with httpx2.AsyncClient() as client:
        assert (await client.put(grant.direct_url, content=b"first")).is_success
        seen = await asyncio.gather(*(files.info(grant.file_path) for _ in range(4)))
        assert (await client.put(grant.direct_url, content=b"other bytes")).is_success
    info = await files.info(grant.file_path)
    assert info is not None and seen == [info] * 4
    assert [block async for block in files.read(info)] == [b"first"]
    assert len(await lying(files._blobs)) == 2  # the file's, and what came too late
    await files.close()
    await database.close()


class Flaky:
    """An object store that answers what it is told to."""

    def __init__(self) -> None:
        self.status = "404 Not Found"
        self.delay: asyncio.Event | None = None
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    await reader.readexactly(int(line.split(b":")[1]))
            if self.delay is not None:
                await self.delay.wait()
            writer.write(f"HTTP/1.1 {self.status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def flaky() -> AsyncIterator[tuple[Flaky, Any]]:
    store = Flaky()
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"s3://pondage?endpoint=http://127.0.0.1:{port}&{CREDENTIALS}"
    blobs = await ObjectBlobs.open(url, timeout=0.5, retries=1)
    yield store, blobs
    if store.delay is not None:
        store.delay.set()
    server.close()


@pytest.mark.parametrize("status", ["500 Internal Server Error", "403 Forbidden", "503 Slow Down"])
async def test_a_store_that_fails_is_a_clear_error(flaky: tuple[Flaky, ObjectBlobs], status: str) -> None:
    store, blobs = flaky
    store.status = status
    for attempt in (
        blobs.write(pieces(b"x")),
        blobs.write(pieces(bytes(9_000_000))),
        blobs.size("x"),
        blobs.delete("x"),
        read(blobs, Blob("x", 1)),
        lying(blobs),
    ):
        with pytest.raises(Unavailable, match="object store s3://pondage"):
            await attempt


async def test_a_store_that_is_slow_is_a_clear_error(flaky: tuple[Flaky, ObjectBlobs]) -> None:
    store, blobs = flaky
    store.delay = asyncio.Event()
    with pytest.raises(Unavailable, match="object store"):
        await blobs.write(pieces(b"x"))


async def test_the_same_bytes_have_the_same_address_however_they_come(blobs: Blobs) -> None:
    data = bytes(range(251)) * 20_000
    one = await blobs.write(pieces(data))
    two = await blobs.write(pieces(data, 70_001))
    other = await blobs.write(pieces(data[:-1] + b"?"))
    assert one.digest == two.digest != other.digest
    assert one.sums == two.sums and len(one.sums) == SUM * -(-len(data) // BLOCK)
    assert (one.sha256, one.md5) == ("", "")
