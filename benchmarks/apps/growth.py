"""Apps for the curves: one whose requests wait for a gate, and one with room for thousands of sessions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pondage

GATE = Path(os.environ["BENCH_GATE"])
"""While this file is not there, requests wait."""


async def _gate() -> None:
    while not GATE.exists():
        await asyncio.sleep(0.1)


class Held(pondage.App, name="bench/held", max_multiplexing=64):
    """Requests queue up behind the first 64."""

    @pondage.endpoint("/")
    async def run(self, x: int, pad: str = "") -> dict[str, int]:
        await _gate()
        return {"y": x + 1}


class Wide(pondage.App, name="bench/wide", max_multiplexing=8192):
    """Many sessions, and a stream that many read."""

    @pondage.endpoint("/stream")
    async def stream(self, n: int) -> AsyncIterator[dict[str, int]]:
        await _gate()
        for i in range(n):
            yield {"i": i}

    @pondage.realtime("/realtime")
    async def echo(self, input: dict[str, Any]) -> dict[str, Any]:
        return input
