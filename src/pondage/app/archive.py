"""`CompressedFile`: an archive by its URL, whose members are files of this machine (PROTOCOL 11.4)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pydantic
from pydantic import PrivateAttr

from pondage.app import unpack
from pondage.app.file import File, MediaError
from pondage.app.sniff import fits

MAX_MEMBERS = 100_000
"""Files, and folders, that an archive may hold."""
MAX_UNPACKED = 64 * 1024**3
"""Bytes that an archive may unpack to. A subclass may set its own."""
MAX_RATIO = 1000
"""Times its own size that an archive may unpack to; beyond it, it is meant to fill the disk."""
MAX_MEMORY = 512 * 1024 * 1024
"""Bytes of memory that the program which unpacks may have, itself included (on Linux)."""
MAX_SECONDS = 600
"""How long unpacking may take, by the clock and of the processor."""
_LOOK = 0.2
"""Seconds between two looks whether the request still wants it."""
_ENVIRONMENT = frozenset({"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL"})
_OUT_OF_TIME = frozenset({-getattr(signal, "SIGXCPU", 24), -signal.SIGTERM})


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
            self._unpack(source, folder)
            self._folder = folder
        return self._folder

    def _unpack(self, source: Path, folder: Path) -> None:
        room = min(self.max_unpacked, max(source.stat().st_size * MAX_RATIO, 64 * 1024 * 1024))
        numbers = (room, MAX_MEMBERS, MAX_MEMORY, MAX_SECONDS)
        # Isolated, and without what the app's environment would have it import.
        command = [sys.executable, "-I", "-S", unpack.__file__, str(source), str(folder), *map(str, numbers)]
        kept = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=kept
        )
        try:
            verdict = self._verdict(process)
        finally:
            process.kill()
            process.communicate()
        if "full" in verdict:
            raise OSError(f"the archive cannot be unpacked: {verdict['full']}")
        if verdict:
            raise self._error(verdict["message"], verdict["type"])

    def _verdict(self, process: subprocess.Popen[bytes]) -> dict[str, str]:
        """What the program said. It is looked at often, so that a cancelled request does not wait for it."""
        until = time.monotonic() + MAX_SECONDS
        while True:
            try:
                said, _ = process.communicate(timeout=_LOOK)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() > until:
                    raise self._too_long() from None
        try:
            verdict: dict[str, str] = json.loads(said)
        except ValueError:  # it was killed, for its time or for its memory
            if process.returncode in _OUT_OF_TIME:
                raise self._too_long() from None
            raise self._error("the archive unpacks to too much at once", "file_too_large") from None
        return verdict

    def _too_long(self) -> MediaError:
        return self._error(f"the archive takes more than {MAX_SECONDS} seconds to unpack", "file_too_large")

    def _check(self, path: Path, kind: str | None) -> None:
        # A zip may begin with anything, such as the program that unpacks it.
        if not fits(kind, self.family) and not zipfile.is_zipfile(path):
            super()._check(path, kind)
