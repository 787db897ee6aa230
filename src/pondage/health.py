"""Whether the server can do its work: the disk, the data folder, the store of files. What /readyz says beside the apps.

While the disk takes nothing it is tried again every second, so that everything goes on by itself once there is room,
and callers who wait for what cannot be written are let go after a while: their requests stay.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from pondage.clock import Clock
from pondage.database.folder import DATABASE, keep_reserve
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import DAMAGED, PondageError
from pondage.queue.news import News
from pondage.services import Services
from pondage.settings import Settings

INTERVAL = 1.0
"""Seconds between two looks at the disk."""
FILES_INTERVAL = 20.0
"""Seconds between two looks at the store of files, a request to the bucket each."""
ANSWER_LIMIT = 10.0
"""Seconds after which a disk or a bucket that has not answered is named."""


class Disk(NamedTuple):
    """Bytes of the disk with the data folder, and of the database with its log."""

    free: int
    size: int
    database: int


class Health:
    """What is wrong, by part; `watch_disk` and `watch_files` are background services that keep it up to date."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        database: SqliteDatabase,
        news: News,
        services: Services,
        probe_files: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._database = database
        self._news = news
        self._services = services
        self._probe_files = probe_files
        self._looking: asyncio.Future[tuple[str, str]] | None = None
        self.reasons: dict[str, str] = {}
        self.disk: Disk | None = None
        """As of the last look that was answered."""

    def wrong(self) -> dict[str, str]:
        """The reason for each part that cannot be used just now: services, disk, folder, files, the database."""
        damage = {} if self._database.damage is None else {"database": DAMAGED}
        return {**self._services.faults, **self.reasons, **damage}

    async def watch_disk(self) -> None:
        """Look at the disk and the data folder, for ever."""
        while True:
            await self.look_at_disk()
            await asyncio.sleep(INTERVAL)

    async def watch_files(self) -> None:
        """Look at the store of files, for ever."""
        while True:
            await self.look_at_files()
            await asyncio.sleep(FILES_INTERVAL)

    async def look_at_disk(self) -> None:
        """One look; see the module."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().run_in_executor(None, self._stat)
        await asyncio.wait([self._looking], timeout=ANSWER_LIMIT)
        if not self._looking.done():
            # A network file system that hangs: asked again it would hold one thread after another.
            self._say("data folder", f"{self._settings.data} has not answered for {ANSWER_LIMIT:g} s")
            return
        looked, self._looking = self._looking, None
        folder, disk = looked.result()
        self._say("data folder", folder)
        if self._database.failing:
            try:
                await self._database.try_writing()
            except PondageError as error:
                disk = str(error)
                self._news.unwritten(self._clock.monotonic(), self._settings.write_patience)
        if not self._database.failing:
            self._news.written()
        self._say("disk", disk)

    def _stat(self) -> tuple[str, str]:
        data = Path(self._settings.data)
        folder = self._database.keep_folder()
        if folder:
            return folder, ""
        space = os.statvfs(data)
        free = space.f_bavail * space.f_frsize
        self.disk = Disk(
            free, space.f_blocks * space.f_frsize, sum(map(_size, (data / DATABASE, data / f"{DATABASE}-wal")))
        )
        if free >= self._settings.least_free_bytes:
            keep_reserve(data)
            return "", ""
        return "", f"{free} bytes are free where {data} lies, less than least_free_bytes"

    async def look_at_files(self) -> None:
        """Ask the store of files whether it is there."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                await self._probe_files()
        except TimeoutError:
            self._say("files", f"the store of files has not answered for {ANSWER_LIMIT:g} s")
        except PondageError as error:
            self._say("files", str(error))
        else:
            self._say("files", "")

    def _say(self, part: str, what: str) -> None:
        if what:
            self.reasons[part] = what
        else:
            self.reasons.pop(part, None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
