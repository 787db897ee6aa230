"""A generator that counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import penstock


class Ticks(penstock.App, name="bench/ticks", max_multiplexing=64):
    @penstock.endpoint("/")
    async def count(self, count: int = 1000, pause: float = 0.0) -> AsyncIterator[dict[str, int]]:
        for i in range(count):
            yield {"i": i}
            if pause:
                await asyncio.sleep(pause)
