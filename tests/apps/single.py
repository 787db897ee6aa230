"""An app that runs one request at a time."""

from __future__ import annotations

import asyncio

import pondage


class Single(pondage.App, name="acme/single"):
    @pondage.endpoint("/slow")
    async def slow(self, seconds: float = 1.0) -> dict[str, float]:
        print("started")
        await asyncio.sleep(seconds)
        return {"seconds": seconds}
