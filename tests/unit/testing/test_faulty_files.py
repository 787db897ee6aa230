"""The disk under stored files: what it refuses, and what a loss of power takes and does not take."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import pondage.files.folder
from pondage.errors import PondageError, StorageFull, Unavailable
from pondage.files.blobs import Blob, DamagedFile, in_thread
from pondage.files.folder import FolderBlobs
from pondage.testing.faults import FaultPlan, Faults
from pondage.testing.faulty_files import FaultyFiles, held, install, lose_files

pytestmark = pytest.mark.anyio

DATA = random.Random(3).randbytes(300_000)


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """A sick disk under every folder of files."""
    monkeypatch.setattr(pondage.files.folder, "os", pondage.files.folder.os)
    faults = Faults(tmp_path / "plan.json")
    install(faults, tmp_path)
    yield faults


async def pieces() -> AsyncIterator[bytes]:
    for begin in range(0, len(DATA), 100_000):
        yield DATA[begin : begin + 100_000]


async def lose(folder: Path, seed: int) -> int:
    return await in_thread(lose_files, folder / "files", folder, random.Random(seed))


def lying(folder: Path) -> list[Path]:
    return [path for path in (folder / "files").rglob("*") if path.is_file() and path.suffix != ".lock"]


async def read(store: FolderBlobs, blob: Blob) -> bytes:
    return b"".join([piece async for piece in store.read(blob, 0, blob.size)])


@pytest.mark.parametrize(
    ("plan", "refusal"), [(FaultPlan(disk_full=True), StorageFull), (FaultPlan(sync_fails=True), Unavailable)]
)
async def test_a_write_is_refused_clearly_and_a_retry_works(
    faults: Faults, tmp_path: Path, plan: FaultPlan, refusal: type[PondageError]
) -> None:
    store = await FolderBlobs.open(tmp_path / "files")
    faults.plan = plan
    with pytest.raises(refusal):
        await store.write(pieces())
    assert await in_thread(lying, tmp_path) == []
    faults.plan = FaultPlan()
    assert await read(store, await store.write(pieces())) == DATA


async def test_a_loss_of_power_takes_nothing_that_was_acknowledged(faults: Faults, tmp_path: Path) -> None:
    for seed in range(20):
        store = await FolderBlobs.open(tmp_path / "files")
        blob = await store.write(pieces())
        assert await lose(tmp_path, seed) == 0
        assert await read(store, blob) == DATA


async def test_what_was_being_written_may_be_lost_and_is_dropped(faults: Faults, tmp_path: Path) -> None:
    await FolderBlobs.open(tmp_path / "files")
    pen = pondage.files.folder._FileWriter(tmp_path / "files" / "incoming" / "one", pondage.files.folder.Sums())
    await in_thread(pen.add, [DATA])
    assert await lose(tmp_path, 1) == 1
    await FolderBlobs.open(tmp_path / "files")
    assert await in_thread(lying, tmp_path) == []
    await in_thread(pen.abandon)


@pytest.mark.parametrize("forgotten", ["bytes", "name"])
async def test_what_a_store_forgets_to_sync_is_lost(
    faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """Planted: a store whose acknowledged files are not durable. The damage is found, or the file is gone."""
    if forgotten == "name":
        monkeypatch.setattr(pondage.files.folder, "sync_folder", lambda _: None)
    else:
        synced = FaultyFiles.fsync

        def folders_only(disk: FaultyFiles, fd: int) -> None:
            if disk._paths[fd].is_dir():
                synced(disk, fd)

        monkeypatch.setattr(FaultyFiles, "fsync", folders_only)
    lost = 0
    for seed in range(20):
        store = await FolderBlobs.open(tmp_path / "files")
        blob = await store.write(pieces())
        await lose(tmp_path, seed)
        try:
            assert await read(store, blob) == DATA
        except DamagedFile:
            lost += 1
    assert 3 < lost < 20


def test_notes_of_a_file_whose_number_was_used_before(tmp_path: Path) -> None:
    (tmp_path / "files.notes").write_text("made 7\nwrote 7 0 10\nsynced 7\nnamed 7\nmade 7\nwrote 7 0 5\n")
    known = held(tmp_path)
    assert known.unsynced == {7: [(0, 5)]} and known.unnamed == {7} and known.named == set()
