"""Partial output on its way into the log: in order, one write at a time, again until it is committed.

While one write is under way, what comes meanwhile gathers for the next. A write that fails (a full disk) is repeated
before anything later is written, so that the log never has a gap, and the outcome waits for its turn behind it.

The first chunk of an attempt is committed before anybody hears of it: a stream of which something was seen is not
repeated, and this must be known also after everything was killed. What follows is heard at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pondage.queue.interface import Queue
from pondage.telemetry import log
from pondage.wire.events import Chunk, Entry


class ChunkLog:
    """What one attempt of a stream says.

    Args:
        show: given the entries that readers may have now, each once and in order.
        committed: told of the entries that are on disk, and whether the attempt still held the request.
        pause: seconds until a write that failed is tried again.
    """

    def __init__(
        self,
        queue: Queue,
        request_id: str,
        attempt: int,
        *,
        show: Callable[[list[Entry]], None],
        committed: Callable[[list[Entry], bool], None],
        pause: float,
    ) -> None:
        self._queue = queue
        self._request_id = request_id
        self._attempt = attempt
        self._show = show
        self._committed = committed
        self._pause = pause
        self._waiting: list[Entry] = []
        self._writing: list[Entry] = []
        self._then: Callable[[], None] | None = None
        self._shown = False
        """The first chunk is on disk, so that readers may have the next ones before their commit."""

    def add(self, entries: list[Entry]) -> None:
        """Write these after those before."""
        if self._shown:
            self._show(entries)
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
        if held and not self._shown and any(type(entry) is Chunk for entry in entries):
            self._shown = True
            self._show([*entries, *self._waiting])
        self._committed(entries, held)
        if self._waiting:
            self._write()
        elif self._then is not None:
            then, self._then = self._then, None
            then()
