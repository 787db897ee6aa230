"""Journals: files that only grow, one JSON object a line. A line that a kill has cut short is passed over."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


class Journal:
    """Appends lines. From any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()

    def note(self, **members: Any) -> None:
        """One line, in the system's hands when this returns."""
        line = msgspec.json.encode({**members, "at": time.time()}) + b"\n"
        with self._lock:
            os.write(self._fd, line)

    def sync(self) -> None:
        """On disk when this returns."""
        os.fsync(self._fd)

    def close(self) -> None:
        self.sync()
        os.close(self._fd)


class SyncedJournal(Journal):
    """A journal for many tasks of one loop: notes that come together share one sync."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._waiting: list[asyncio.Future[None]] = []
        self._syncing: asyncio.Task[None] | None = None

    async def keep(self, **members: Any) -> None:
        """One line, on disk when this returns."""
        self.note(**members)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if self._syncing is None:
            self._syncing = asyncio.create_task(self._sync())
        await waiter

    async def _sync(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            await asyncio.to_thread(self.sync)
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)
        self._syncing = None


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal, in order."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                try:
                    yield msgspec.json.decode(line)
                except msgspec.DecodeError:
                    continue
