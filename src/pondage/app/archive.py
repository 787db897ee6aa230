"""`CompressedFile`: an archive by its URL, whose members are files of this machine (PROTOCOL 11.4)."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

import pydantic
from pydantic import PrivateAttr

from pondage.app.file import File, MediaError

MAX_MEMBERS = 100_000
MAX_UNPACKED = 64 * 1024**3
"""Bytes that an archive may unpack to. A subclass may set its own."""
MAX_RATIO = 1000
"""Times its own size that an archive may unpack to; beyond it, it is meant to fill the disk."""
_PIECE = 1024 * 1024


class CompressedFile(File):
    """A zip or tar archive. Iterate over it for the paths of its files, unpacked when they are first asked for."""

    model_config = pydantic.ConfigDict(json_schema_extra={"x-pondage-media": "archive"})
    family: ClassVar[str] = "archive"
    max_unpacked: ClassVar[int] = MAX_UNPACKED

    _folder: Path | None = PrivateAttr(None)

    def __iter__(self) -> Iterator[Path]:  # type: ignore[override]  # fal's archives give paths, not fields
        """The unpacked files, in the order of their names.

        Raises:
            MediaError: it cannot be fetched or unpacked, or would unpack to too much.
        """
        yield from sorted(p for p in self._unpacked().rglob("*") if p.is_file())

    def glob(self, pattern: str) -> Iterator[Path]:
        """The unpacked files whose path fits `pattern`, as `Path.glob` reads it. Raises as iteration."""
        yield from sorted(p for p in self._unpacked().glob(pattern) if p.is_file())

    def extract(self, path: str | Path) -> Path:
        """Unpack to `path`. Raises as iteration."""
        shutil.copytree(self._unpacked(), path, dirs_exist_ok=True)
        return Path(path)

    def _unpacked(self) -> Path:
        if self._folder is None:
            source = self.local_path
            folder = Path(tempfile.mkdtemp(prefix="pondage-archive-"))
            weakref.finalize(self, shutil.rmtree, folder, True)
            try:
                self._unpack(source, folder)
            except MediaError:
                raise
            except Exception as error:
                # Broken archives raise whatever their library met: zlib.error, LZMAError, IndexError, ValueError, …
                raise self._error(f"the archive cannot be unpacked: {error}", "invalid_archive") from error
            self._folder = folder
        return self._folder

    def _unpack(self, source: Path, folder: Path) -> None:
        room = min(self.max_unpacked, max(source.stat().st_size * MAX_RATIO, 64 * 1024 * 1024))
        members = 0
        for name, stream in _members(source):
            members += 1
            if members > MAX_MEMBERS:
                raise self._error(f"the archive has more than {MAX_MEMBERS} files", "archive_file_count_exceeded")
            to = _inside(folder, name)
            if to is None:
                raise self._error(f"the archive holds {name!r}, which leads out of it", "invalid_archive")
            to.parent.mkdir(parents=True, exist_ok=True)
            with to.open("wb") as file:
                while piece := stream.read(_PIECE):
                    room -= len(piece)
                    if room < 0:
                        raise self._error("the archive unpacks to too much", "file_too_large")
                    file.write(piece)


def _members(source: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Name and contents of each plain file. Links and devices are passed over."""
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    with archive.open(entry) as stream:
                        yield entry.filename, stream  # type: ignore[misc]
        return
    with tarfile.open(source) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)) is not None:
                with file:
                    yield member.name, file  # type: ignore[misc]


def _inside(folder: Path, name: str) -> Path | None:
    """Where a member is unpacked to, or None if its name leads elsewhere."""
    to = (folder / name.replace("\\", "/")).resolve()
    return to if to.is_relative_to(folder.resolve()) and to != folder.resolve() else None
