"""Inserts that are held back for a moment, because mostly their outcome comes first.

The insert of a request that was claimed at once and whose caller waits for the outcome is held for `HOLD` seconds. If
the outcome comes meanwhile, both are one row, one statement and one commit. Every other verb on that request lets the
insert go first, so that whatever comes after a submit is written after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

HOLD = 0.02
"""Seconds that the insert of a `run` waits for its outcome."""


class HoldBack(Generic[T]):
    """Inserts by request, oldest first. `insert(item)` is called with what has waited long enough."""

    def __init__(self, insert: Callable[[T], None]) -> None:
        self._insert = insert
        self._loop = asyncio.get_running_loop()
        self._items: dict[str, tuple[T, float]] = {}
        """And since when, on the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, request_id: str, item: T) -> None:
        """Hold an insert back; one timer for all."""
        self._items[request_id] = (item, self._loop.time())
        if self._timer is None:
            self._timer = self._loop.call_later(HOLD, self._release_old)

    def take(self, request_id: str) -> T | None:
        """An insert that its outcome takes along; None where none is held."""
        if self._items and (held := self._items.pop(request_id, None)) is not None:
            return held[0]
        return None

    def release(self, request_id: str) -> None:
        """Let an insert go, ahead of whatever follows."""
        if (item := self.take(request_id)) is not None:
            self._insert(item)

    def release_all(self) -> None:
        for request_id in list(self._items):
            self.release(request_id)

    def close(self) -> None:
        """Let everything go, and end the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.release_all()

    def _release_old(self) -> None:
        self._timer = None
        oldest = self._loop.time() - HOLD
        for request_id, (_, since) in list(self._items.items()):
            if since > oldest:
                break
            self.release(request_id)
        if self._items:
            self._timer = self._loop.call_later(HOLD, self._release_old)
