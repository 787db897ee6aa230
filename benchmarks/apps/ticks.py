"""A generator that counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pondage


class Ticks(pondage.App, name="bench/ticks", max_multiplexing=64):
    @pondage.endpoint("/")
    async def count(self, count: int = 1000, pause: float = 0.0) -> AsyncIterator[dict[str, int]]:
        for i in range(count):
            yield {"i": i}
            if pause:
                await asyncio.sleep(pause)
