"""An app whose runners take one request at a time and 5 ms for each, as a model does that has a device to itself."""

from __future__ import annotations

import asyncio
import os

import pondage

RUNNERS = int(os.environ.get("BENCH_RUNNERS", "1"))


class Paced(pondage.App, name="bench/paced", max_multiplexing=1, min_concurrency=RUNNERS, max_concurrency=RUNNERS):
    """Adds one, slowly."""

    @pondage.endpoint("/")
    async def run(self, x: int, pad: str = "") -> dict[str, int]:
        await asyncio.sleep(0.005)
        return {"y": x + 1}
