"""What is attacked: a no-op, a large result, a long stream, sessions with one slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel

import pondage


class Input(BaseModel):
    x: int
    pad: str


class Output(BaseModel):
    y: int


class Noop(pondage.App, name="bench/noop", max_multiplexing=64):
    """What the second caller asks for."""

    @pondage.endpoint("/")
    async def run(self, input: Input) -> Output:
        return Output(y=input.x + 1)


class Attacked(pondage.App, name="bench/attacked", max_multiplexing=64):
    """What the others ask for."""

    @pondage.endpoint("/")
    async def run(self, pad: str = "", x: int = 0) -> dict[str, int]:
        return {"y": x + 1}

    @pondage.endpoint("/large")
    async def large(self, size: int) -> dict[str, str]:
        return {"z": "x" * size}

    @pondage.endpoint("/stream")
    async def stream(self, n: int, size: int) -> AsyncIterator[dict[str, str]]:
        for _ in range(n):
            yield {"z": "x" * size}

    @pondage.endpoint("/slow")
    async def slow(self, seconds: float) -> dict[str, int]:
        await asyncio.sleep(seconds)
        return {"y": 1}

    @pondage.realtime("/realtime")
    async def echo(self, input: dict[str, Any]) -> dict[str, Any]:
        return input


class Single(pondage.App, name="bench/single"):
    """One session at a time: the others wait."""

    @pondage.realtime("/realtime")
    async def echo(self, input: dict[str, Any]) -> dict[str, Any]:
        return input
