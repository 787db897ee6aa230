"""An app whose requests wait at a gate; the first one leaves a mark."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pondage

GATE, FIRST = Path(os.environ["BENCH_GATE"]), Path(os.environ["BENCH_FIRST"])


class Held(pondage.App, name="bench/held", max_multiplexing=64):
    """Requests queue up behind the first 64."""

    @pondage.endpoint("/")
    async def run(self, x: int, pad: str = "") -> dict[str, int]:
        FIRST.touch()
        while not GATE.exists():
            await asyncio.sleep(0.1)
        return {"y": x + 1}
