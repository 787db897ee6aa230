"""What goes, and when: expired files, uploads that were given up, bytes that nobody refers to.

A file goes when its time is over and no queued or running request needs it. Bytes go when the last file goes. What a
crash left behind is found by looking through the store, rarely.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from pondage.clock import Clock, SteadyWall
from pondage.errors import TooLarge
from pondage.files.blobs import Blobs
from pondage.files.catalog import Catalog
from pondage.telemetry import log

BATCH = 500
INTERVAL = 30.0
"""Seconds between two rounds."""
ORPHAN_INTERVAL = 6 * 3600.0
"""Seconds between two searches for bytes without a row."""
ORPHAN_AGE = 86_400.0
"""Bytes without a row are left alone for so long: their upload may still be under way."""


class Sweeper:
    """One round after another: `once`, each `INTERVAL` seconds."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: Blobs,
        clock: Clock,
        referenced: Callable[[Sequence[str]], Awaitable[set[str]]],
        adopt: Callable[[str], Awaitable[object]],
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._clock = clock
        self._referenced = referenced
        self._adopt = adopt
        self._searched: float | None = None
        self._steady = SteadyWall(clock)

    async def once(self) -> int:
        """One round; returns how many files were deleted."""
        gone = await self._expired()
        await self._given_up()
        await self._doomed()
        if self._searched is None or self._clock.monotonic() - self._searched >= ORPHAN_INTERVAL:
            self._searched = self._clock.monotonic()
            await self._orphans()
        return gone

    async def _expired(self) -> int:
        gone = 0
        after = (float("-inf"), "")
        while found := await self._catalog.expired(self._steady.now(), after, BATCH):
            after = found[-1]
            ids = [file_id for _, file_id in found]
            needed = await self._referenced(ids)
            free = [file_id for file_id in ids if file_id not in needed]
            await self._catalog.drop(free, self._clock.wall())
            gone += len(free)
        return gone

    async def _given_up(self) -> None:
        while stale := await self._catalog.stale_uploads(self._steady.now(), BATCH):
            for upload_id, file_id in stale:
                # What came straight to the object store may have come without anybody asking for it yet.
                with suppress(TooLarge):
                    await self._adopt(file_id)
                for key in await self._catalog.forget_upload(upload_id, self._clock.wall()):
                    if key.startswith("direct-"):
                        await self._blobs.delete(key)

    async def _doomed(self) -> None:
        while keys := await self._catalog.doomed(BATCH):
            for key in keys:
                await self._blobs.delete(key)
                await self._catalog.forget_blob(key)

    async def _orphans(self) -> None:
        now = self._steady.now()
        async for batch in self._blobs.lying():
            old = [one.key for one in batch if now - one.written_at > ORPHAN_AGE]
            for key in await self._catalog.unknown(old):
                log.info("deleting bytes that no file refers to: %s", key)
                await self._blobs.delete(key)
