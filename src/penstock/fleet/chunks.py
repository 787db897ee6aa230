"""Partial output on its way into the log: in order, one write at a time, again until it is committed.

While one write is under way, what comes meanwhile gathers for the next. A write that fails (a full disk) is repeated
before anything later is written, so that the log never has a gap, and the outcome waits for its turn behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from penstock.queue.interface import Queue
from penstock.telemetry import log
from penstock.wire.events import Chunk, Entry


class ChunkLog:
    """What one attempt of a stream says.

    Args:
        committed: told of the entries that are on disk, and whether the attempt still held the request. `shown` is
            meanwhile what it was before them.
        pause: seconds until a write that failed is tried again.
    """

    def __init__(
        self,
        queue: Queue,
        request_id: str,
        attempt: int,
        *,
        committed: Callable[[list[Entry], bool], None],
        pause: float,
    ) -> None:
        self._queue = queue
        self._request_id = request_id
        self._attempt = attempt
        self._committed = committed
        self._pause = pause
        self._waiting: list[Entry] = []
        self._writing: list[Entry] = []
        self._then: Callable[[], None] | None = None
        self.shown = False
        """The first chunk is on disk, so that readers may have the next ones before their commit."""

    def add(self, entries: list[Entry]) -> None:
        """Write these after those before."""
        self._waiting += entries
        if not self._writing:
            self._write()

    def after(self, then: Callable[[], None]) -> None:
        """Do something once all is on disk; now, where it is."""
        if self._writing:
            self._then = then
        else:
            then()

    def _write(self) -> None:
        if not self._writing:
            self._writing, self._waiting = self._waiting, []
        append = self._queue.append(self._request_id, self._attempt, self._writing)
        append.add_done_callback(self._written)

    def _written(self, append: asyncio.Future[bool]) -> None:
        if append.cancelled():
            return
        if (error := append.exception()) is not None:
            log.error("partial output of %s is not kept yet: %s", self._request_id, error)
            asyncio.get_running_loop().call_later(self._pause, self._write)
            return
        entries, self._writing = self._writing, []
        held = append.result()
        self._committed(entries, held)
        self.shown = self.shown or (held and any(type(entry) is Chunk for entry in entries))
        if self._waiting:
            self._write()
        elif self._then is not None:
            then, self._then = self._then, None
            then()
