"""The app that costs nothing, so that what is measured is the service."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel

import pondage

RUNNERS = int(os.environ.get("BENCH_RUNNERS", "1"))


class Input(BaseModel):
    x: int
    pad: str


class Output(BaseModel):
    y: int


class Noop(pondage.App, name="bench/noop", max_multiplexing=64, min_concurrency=RUNNERS, max_concurrency=RUNNERS):
    """Adds one, streams numbers, echoes messages."""

    @pondage.endpoint("/")
    async def run(self, input: Input) -> Output:
        return Output(y=input.x + 1)

    @pondage.endpoint("/started")
    async def started(self) -> dict[str, int]:
        """When the function began, on the clock that all processes of a machine share."""
        return {"at": time.monotonic_ns()}

    @pondage.endpoint("/stream")
    async def stream(self, n: int) -> AsyncIterator[dict[str, int]]:
        for i in range(n):
            yield {"i": i}

    @pondage.realtime("/realtime")
    async def echo(self, input: dict[str, Any]) -> dict[str, Any]:
        return input
