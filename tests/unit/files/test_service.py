"""Files and uploads over a folder and a real database."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from pondage.clock import ManualClock
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import BadRequest, NotFound, StorageFull, TooLarge, Unauthorized
from pondage.files.blobs import Blob, DamagedFile
from pondage.files.interface import Expected, Lifecycle, Part
from pondage.files.service import FilesService
from pondage.settings import Settings

pytestmark = pytest.mark.anyio


class House:
    """A files room that a test can look into."""

    def __init__(self, folder: Path, database: SqliteDatabase, clock: ManualClock) -> None:
        self.folder = folder
        self.database = database
        self.clock = clock
        self.needed: set[str] = set()

    async def open(self, **settings: object) -> FilesService:
        async def referenced(ids: Sequence[str]) -> set[str]:
            return self.needed & set(ids)

        made = Settings(data=str(self.folder), **settings)  # type: ignore[arg-type]
        return await FilesService.open(made, self.database, self.clock, referenced=referenced)

    def lying(self) -> list[Path]:
        return [p for p in (self.folder / "files").rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = await SqliteDatabase.open(tmp_path)
    yield House(tmp_path, database, ManualClock())
    await database.close()


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def whole(files: FilesService, path: str, start: int = 0, end: int | None = None) -> bytes:
    info = await files.info(path)
    assert info is not None
    return b"".join([block async for block in files.read(info, start, end)])


async def test_what_is_put_comes_back(house: House) -> None:
    files = await house.open()
    data = bytes(range(256)) * 10_000
    info = await files.put(pieces(data[:5], data[5:]), file_name="../../etc/pass wd", content_type="image/png")
    assert info.path == f"/files/{info.id}/pass%20wd"
    assert info.size == len(data)
    assert await whole(files, info.path) == data
    assert await whole(files, info.path, 1_000_000, 2_000_001) == data[1_000_000:2_000_001]
    assert (await files.info("/files/0123456789abcdef/x")) is None


async def test_the_same_bytes_are_stored_once_until_the_last_file_goes(house: House) -> None:
    files = await house.open()
    one = await files.put(pieces(b"same"), file_name="a", content_type="text/plain")
    two = await files.put(pieces(b"same"), file_name="b", content_type="text/html")
    assert len(house.lying()) == 1
    await files.remove(one)
    assert await whole(files, two.path) == b"same"
    await files.remove(two)
    assert house.lying() == []


async def test_an_empty_file_is_a_file(house: House) -> None:
    files = await house.open()
    info = await files.put(pieces(), file_name="", content_type="")
    assert (info.size, info.file_name, info.content_type) == (0, "file", "application/octet-stream")
    assert await whole(files, info.path) == b""


@pytest.mark.parametrize("how", ["changed", "cut", "gone", "longer"])
async def test_damage_is_refused_and_never_served(house: House, how: str) -> None:
    files = await house.open()
    data = bytes(3_000_000)
    info = await files.put(pieces(data), file_name="a", content_type="text/plain")
    (path,) = house.lying()
    if how == "changed":
        path.write_bytes(data[:2_500_000] + b"x" + data[2_500_001:])
    elif how == "cut":
        path.write_bytes(data[:2_500_000])
    elif how == "longer":
        path.write_bytes(data + b"x")
    else:
        path.unlink()
    got = b""
    with pytest.raises(DamagedFile):
        async for block in files.read(info):
            got += block
    assert got == (b"" if how == "gone" else data[: 2 * 1024 * 1024])


async def test_a_sender_that_breaks_off_leaves_nothing(house: House) -> None:
    files = await house.open()

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(2_000_000)
        raise BadRequest("the caller went away")

    with pytest.raises(BadRequest):
        await files.put(broken(), file_name="a", content_type="text/plain")
    assert house.lying() == []
    assert await files.page(before=None, owner=None, limit=10) == []


@pytest.mark.parametrize(
    "expected",
    [Expected(size=3), Expected(size=5), Expected(sha256="00" * 32), Expected(md5="00" * 16)],
)
async def test_what_differs_from_what_was_said_is_refused(house: House, expected: Expected) -> None:
    files = await house.open()
    grant = await files.grant(
        file_name="a", content_type="text/plain", lifecycle=Lifecycle(), owner="", multipart=False
    )
    upload = await files.check(grant.upload_id, grant.token)
    with pytest.raises(BadRequest, match="nothing was stored"):
        await files.put_whole(upload, pieces(b"four"), expected)
    assert house.lying() == []
    assert await files.info(grant.file_path) is None
    # A repeat works, and so does a repeat of the repeat.
    assert (await files.put_whole(upload, pieces(b"four"), Expected(size=4))).path == grant.file_path
    assert (await files.put_whole(upload, pieces(b"four"), Expected())).path == grant.file_path
    with pytest.raises(BadRequest, match="other bytes"):
        await files.put_whole(upload, pieces(b"five!"), Expected())
    assert await whole(files, grant.file_path) == b"four"
    assert len(house.lying()) == 1


async def test_parts_in_any_order_twice_and_again_after_a_cut(house: House) -> None:
    files = await house.open()
    grant = await files.grant(
        file_name="a.bin", content_type="video/mp4", lifecycle=Lifecycle(), owner="", multipart=True
    )
    upload = await files.check(grant.upload_id, grant.token)
    await files.put_part(upload, 2, pieces(b"wrong"), Expected())
    two = await files.put_part(upload, 2, pieces(b"two"), Expected())
    with pytest.raises(BadRequest, match="missing: 1"):
        await files.complete(upload, [two], Expected())
    again = await house.open()  # the gateway was restarted
    one = await again.put_part(upload, 1, pieces(b"one"), Expected())
    assert await again.parts(upload) == [one, two]
    with pytest.raises(BadRequest, match="not the one"):
        await again.complete(upload, [Part(1, two.etag), two], Expected())
    with pytest.raises(BadRequest, match="not listed: 2"):
        await again.complete(upload, [one], Expected())
    with pytest.raises(BadRequest, match="twice"):
        await again.complete(upload, [one, one, two], Expected())
    info = await again.complete(upload, [two, Part(1, f'"{one.etag}"')], Expected())
    assert await whole(again, info.path) == b"onetwo"
    assert len(house.lying()) == 1
    upload = await again.check(grant.upload_id, grant.token)
    assert await again.complete(upload, [one, two], Expected()) == info


@pytest.mark.parametrize("n", [-1, 0, 10_001, 10**18])
async def test_a_number_that_no_part_can_have_is_refused_at_once(house: House, n: int) -> None:
    files = await house.open()
    grant = await files.grant(file_name="a", content_type="", lifecycle=Lifecycle(), owner="", multipart=True)
    upload = await files.check(grant.upload_id, grant.token)
    one = await files.put_part(upload, 1, pieces(b"one"), Expected())
    with pytest.raises(BadRequest, match=f"part {n}: parts are numbered from 1 to 10000"):
        await files.complete(upload, [one, Part(n, "x")], Expected())


async def test_two_that_complete_at_once_get_the_same_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    files = await house.open()
    grant = await files.grant(file_name="a", content_type="", lifecycle=Lifecycle(), owner="", multipart=True)
    upload = await files.check(grant.upload_id, grant.token)
    parts = [await files.put_part(upload, n, pieces(b"part %d" % n), Expected()) for n in (1, 2)]
    joined = files._joined
    first: list[object] = []

    async def slower(blobs: list[Blob]) -> AsyncIterator[bytes]:
        if not first:  # the other one overtakes this one while it reads
            first.append(None)
            first[0] = await files.complete(upload, parts, Expected())
        async for block in joined(blobs):
            yield block

    monkeypatch.setattr(files, "_joined", slower)
    assert await files.complete(upload, parts, Expected()) == first[0]
    assert len(house.lying()) == 1


async def test_a_finished_upload_is_not_given_up(house: House) -> None:
    files = await house.open()
    grant = await files.grant(
        file_name="a", content_type="text/plain", lifecycle=Lifecycle(), owner="", multipart=False
    )
    await files.put_whole(await files.check(grant.upload_id, grant.token), pieces(b"whole"), Expected())
    with pytest.raises(BadRequest, match="its file stays"):
        await files.abort(await files.check(grant.upload_id, grant.token))
    assert await files.info(grant.file_path) is not None


async def test_an_upload_that_is_given_up_leaves_nothing(house: House) -> None:
    files = await house.open(multipart_ttl=100)
    kept = []
    for _ in range(2):
        grant = await files.grant(
            file_name="a", content_type="text/plain", lifecycle=Lifecycle(), owner="", multipart=True
        )
        upload = await files.check(grant.upload_id, grant.token)
        await files.put_part(upload, 1, pieces(b"part"), Expected())
        kept.append(upload)
    await files.abort(kept[0])
    with pytest.raises(NotFound):
        await files.check(kept[0].id, None)
    assert len(house.lying()) == 1
    house.clock.advance(101)
    await files.sweep()
    assert house.lying() == []


async def test_tokens_are_good_for_one_thing_and_for_a_time(house: House) -> None:
    files = await house.open(upload_ttl=100)
    grant = await files.grant(file_name="a", content_type="", lifecycle=Lifecycle(), owner="", multipart=False)
    other = await files.grant(file_name="b", content_type="", lifecycle=Lifecycle(), owner="", multipart=False)
    for token in (other.token, "", "x", "99999999999.AAAA", grant.token + "A", "9" + grant.token, "\u0661.\u0661"):
        with pytest.raises(Unauthorized):
            await files.check(grant.upload_id, token)
    house.clock.advance(101)
    with pytest.raises(Unauthorized, match="expired"):
        await files.check(grant.upload_id, grant.token)


async def test_expired_files_go_but_not_those_that_a_request_needs(house: House) -> None:
    files = await house.open(file_retention=1000)
    short = await files.put(pieces(b"1"), file_name="a", content_type="", lifecycle=Lifecycle(expires_in=10))
    needed = await files.put(pieces(b"2"), file_name="b", content_type="", lifecycle=Lifecycle(expires_in=10))
    default = await files.put(pieces(b"3"), file_name="c", content_type="")
    house.needed = {needed.id}
    house.clock.advance(11)
    assert await files.info(short.path) is None
    assert await files.info(needed.path) is not None
    assert await files.sweep() == 1
    assert len(house.lying()) == 2
    house.needed = set()
    house.clock.advance(1000)
    assert await files.info(default.path) is None
    assert await files.sweep() == 2
    assert house.lying() == []


async def test_bytes_without_a_row_are_found_and_deleted(house: House) -> None:
    house.clock.jump(time.time() - house.clock.wall())  # the times of files are the machine's
    files = await house.open()
    info = await files.put(pieces(b"keep"), file_name="a", content_type="", lifecycle=Lifecycle(expires_in=1e9))
    (path,) = house.lying()
    left = path.with_name(path.name[:2] + "0" * 62 + "-" + "0" * 16)
    left.write_bytes(b"left by a crash")
    await files.sweep()
    assert left.exists()  # perhaps its upload is under way
    house.clock.advance(86_460)
    await files.sweep()
    assert not left.exists()
    assert await whole(files, info.path) == b"keep"


async def test_a_clock_that_jumps_ahead_deletes_nothing(house: House) -> None:
    files = await house.open()
    info = await files.put(pieces(b"1"), file_name="a", content_type="", lifecycle=Lifecycle(expires_in=86_400.0))
    house.clock.jump(8 * 86_400.0)
    assert await files.sweep() == 0
    house.clock.jump(-8 * 86_400.0)
    assert await files.info(info.path) is not None and len(house.lying()) == 1
    house.clock.advance(86_401.0)
    assert await files.sweep() == 1


async def test_the_quota_is_kept_and_freed(house: House) -> None:
    files = await house.open(files_quota=10)
    one = await files.put(pieces(b"12345678"), file_name="a", content_type="")
    with pytest.raises(TooLarge):
        await files.put(pieces(b"123"), file_name="b", content_type="")
    with pytest.raises(TooLarge):
        await files.put(pieces(b"123"), file_name="b", content_type="", size=3)
    await files.put(pieces(b"12"), file_name="b", content_type="")
    with pytest.raises(TooLarge, match="quota"):
        await files.grant(file_name="c", content_type="", lifecycle=Lifecycle(), owner="", multipart=False)
    assert len(house.lying()) == 2
    await files.remove(one)
    await files.put(pieces(b"123"), file_name="b", content_type="", size=3)


async def test_parts_count_once_against_the_quota(house: House) -> None:
    files = await house.open(files_quota=10)
    grant = await files.grant(file_name="a", content_type="", lifecycle=Lifecycle(), owner="", multipart=True)
    upload = await files.check(grant.upload_id, grant.token)
    parts = [await files.put_part(upload, n, pieces(b"1234" + b"%d" % n), Expected()) for n in (1, 2)]
    assert (await files.complete(upload, parts, Expected())).size == 10
    assert len(house.lying()) == 1


async def test_parts_of_the_same_bytes_do_not_get_round_the_quota(house: House) -> None:
    files = await house.open(files_quota=10)
    grant = await files.grant(file_name="a", content_type="", lifecycle=Lifecycle(), owner="", multipart=True)
    upload = await files.check(grant.upload_id, grant.token)
    parts = [await files.put_part(upload, n, pieces(b"12345"), Expected()) for n in (1, 2, 3)]
    with pytest.raises(TooLarge):
        await files.complete(upload, parts, Expected())


async def test_uploads_that_do_not_say_their_size_share_the_quota(house: House) -> None:
    files = await house.open(files_quota=10)

    async def one_within_another() -> AsyncIterator[bytes]:
        yield b"123456"
        with pytest.raises(TooLarge):
            await files.put(pieces(b"abcdef"), file_name="b", content_type="")
        await files.put(pieces(b"abc"), file_name="c", content_type="")

    await files.put(one_within_another(), file_name="a", content_type="")
    assert len(house.lying()) == 2


async def test_a_quota_that_was_filled_meanwhile_refuses_the_later(house: House) -> None:
    files = await house.open(files_quota=10)

    async def overtaken() -> AsyncIterator[bytes]:
        await files.put(pieces(b"abcdef"), file_name="b", content_type="")
        yield b"123456"

    with pytest.raises(TooLarge, match="quota"):
        await files.put(overtaken(), file_name="a", content_type="")
    assert len(house.lying()) == 1


@pytest.mark.parametrize("where", ["writev", "fsync", "rename"])
async def test_a_full_disk_is_said_and_leaves_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    files = await house.open()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if where == "rename":
            patch.setattr(Path, "rename", full)
        else:
            patch.setattr(f"pondage.files.folder.os.{where}", full)
        with pytest.raises(StorageFull, match="nothing was stored"):
            await files.put(pieces(bytes(3_000_000)), file_name="a", content_type="")
    assert house.lying() == []
    assert (await files.put(pieces(bytes(3_000_000)), file_name="a", content_type="")).size == 3_000_000


async def test_what_a_crash_left_half_written_is_dropped_at_the_start(house: House) -> None:
    files = await house.open()
    await files.put(pieces(b"whole"), file_name="a", content_type="")
    (house.folder / "files" / "incoming" / "half").write_bytes(b"hal")
    await house.open()
    assert [path.read_bytes() for path in house.lying()] == [b"whole"]


async def test_a_system_that_takes_little_at_once_gets_all_of_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    files = await house.open()
    data = bytes(range(256)) * 12_000

    def little(fd: int, pieces: list[bytes]) -> int:
        return os.write(fd, b"".join(pieces)[:333_333])

    monkeypatch.setattr("pondage.files.folder.os.writev", little)
    small = [data[at : at + 500] for at in range(0, len(data), 500)]
    for parts in ([data], [data[:700_000], data[700_000:]], small):
        info = await files.put(pieces(*parts), file_name="a", content_type="")
        assert await whole(files, info.path) == data


async def test_a_sha256_is_known_from_the_sender_who_names_it(house: House) -> None:
    files = await house.open()
    digest = hashlib.sha256(b"same").hexdigest()
    first = await files.put(pieces(b"same"), file_name="a", content_type="text/plain")
    named = await files.put(pieces(b"same"), file_name="b", content_type="text/plain", expected=Expected(sha256=digest))
    assert (first.sha256, named.sha256, first.digest) == ("", digest, named.digest)
    again = await files.info(first.path)
    assert again is not None and again.sha256 == digest
    assert len(house.lying()) == 1
