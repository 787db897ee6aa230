"""Unpacks one archive, as a program of its own: what a caller's archive makes of memory and time has limits that way.

Nothing of ours and nothing that is installed is imported; `archive.py` runs this file by its path.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PIECE = 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Refused(Exception):
    """The archive is not unpacked; `type` is fal's name for the reason."""

    def __init__(self, message: str, type: str = "invalid_archive") -> None:
        super().__init__(message)
        self.message = message
        self.type = type


def unpack(source: Path, folder: Path, *, room: int, members: int) -> None:
    """Write the plain files of a zip or tar archive below `folder`. Links and devices are passed over.

    Args:
        room: bytes that they may have together.
        members: files, and folders, that there may be.

    Raises:
        Refused: it is more than that, leads out of the folder, or cannot be read.
        OSError: the disk is full.
    """
    try:
        _write(source, folder, room, members)
    except (Refused, MemoryError):
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise
        # Without the path: where it is unpacked to is nobody's business.
        raise Refused(f"the archive cannot be unpacked: {error.strerror or error}") from error
    except Exception as error:
        # Broken archives raise whatever their library met: zlib.error, LZMAError, IndexError, ValueError, …
        raise Refused(f"the archive cannot be unpacked: {error}") from error


def _write(source: Path, folder: Path, room: int, members: int) -> None:
    files = 0
    made: set[Path] = {folder.resolve()}
    for name, stream in _members(source):
        files += 1
        to = _inside(folder, name)
        if to is None:
            raise Refused(f"the archive holds {name[:200]!r}, which leads out of it")
        made.update(to.parents[: len(to.parents) - len(folder.parents)])
        if max(files, len(made)) > members:
            raise Refused(f"the archive has more than {members} files", "archive_file_count_exceeded")
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("wb") as file:
            while piece := stream.read(_PIECE):
                room -= len(piece)
                if room < 0:
                    raise Refused("the archive unpacks to too much", "file_too_large")
                file.write(piece)


def _members(source: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Name and contents of each plain file."""
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


def _limit(memory: int, seconds: int) -> None:
    """Bind this process; where the system has no such limits, those of `unpack` are all."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def main(arguments: list[str]) -> None:
    """`SOURCE FOLDER ROOM MEMBERS MEMORY SECONDS`; says in JSON what became of it."""
    source, folder, *numbers = arguments
    room, members, memory, seconds = map(int, numbers)
    _limit(memory, seconds)
    said: dict[str, str] = {}
    try:
        unpack(Path(source), Path(folder), room=room, members=members)
    except Refused as error:
        said = {"type": error.type, "message": error.message}
    except MemoryError:
        said = {"type": "file_too_large", "message": "the archive unpacks to too much at once"}
    except OSError as error:
        said = {"full": error.strerror or "the disk is full"}
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1:])
