"""Streams and sessions that are slow, large, stateful or broken when asked."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from gates import passed
from pydantic import BaseModel

import pondage


class Number(BaseModel):
    n: float
    note: str | None = None


class Flood(BaseModel):
    count: int
    size: int


class Live(pondage.App, name="acme/live", max_multiplexing=16):
    def setup(self) -> None:
        self.made = 0

    @pondage.endpoint("/made")
    async def how_many(self) -> dict[str, int]:
        return {"made": self.made, "pid": os.getpid()}

    # ---- streams

    @pondage.endpoint("/ticks")
    async def ticks(self, count: int = 5, pause: float = 0.0, size: int = 0, mark: str = "") -> AsyncIterator[Any]:
        try:
            for i in range(count):
                yield {"i": i, "pad": "x" * size, "attempt": pondage.current_request.attempt}
                self.made = i + 1
                if pause:
                    await asyncio.sleep(pause)
        finally:
            if mark:
                Path(mark).write_text("closed")

    @pondage.endpoint("/ticks/sync")
    def ticks_sync(self, count: int = 5, pause: float = 0.0, size: int = 0, mark: str = "") -> Iterator[Any]:
        try:
            for i in range(count):
                yield {"i": i, "pad": "x" * size}
                self.made = i + 1
                if pause:
                    time.sleep(pause)
        finally:
            if mark:
                Path(mark).write_text("closed")

    @pondage.endpoint("/ticks/cancel", on_disconnect="cancel")
    async def ticks_cancel(self, count: int = 5, pause: float = 0.0, mark: str = "") -> AsyncIterator[Any]:
        async for tick in self.ticks(count, pause, 0, mark):
            yield tick

    @pondage.endpoint("/ticks/burst")
    async def burst(self, count: int, gate: str) -> AsyncIterator[dict[str, int]]:
        """Some in turns of the loop that follow each other, and the last one when the test's `Gate` lets it."""
        for i in range(count):
            yield {"i": i}
            await asyncio.sleep(0)
        await passed(gate)
        yield {"i": count}

    @pondage.endpoint("/ticks/again", retry_streams=True)
    async def ticks_again(self, count: int = 5, pause: float = 0.0) -> AsyncIterator[Any]:
        async for tick in self.ticks(count, pause):
            yield tick

    # ---- sessions

    @pondage.realtime("/realtime")
    async def half(self, input: Number) -> Number:
        if input.note == "hang":
            ctypes.CDLL(None).sleep(3600)
        if input.note == "wait":
            self.made = -1
            await asyncio.sleep(3600)
        if input.note == "exit":
            os._exit(7)
        if input.note == "slow":
            await asyncio.sleep(1.0)
        return Number(n=input.n / 2)

    @pondage.realtime("/sum/realtime", session_timeout=0.3)
    async def add(self, numbers: AsyncIterator[Number]) -> AsyncIterator[Number]:
        total = 0.0
        async for number in numbers:
            total += number.n
            yield Number(n=total)

    @pondage.realtime("/batch/realtime", max_batch_size=8)
    async def batch(self, numbers: list[Number]) -> list[Any]:
        await asyncio.sleep(0.05)
        return [{"n": number.n, "together": len(numbers)} for number in numbers]

    @pondage.realtime("/flood/realtime")
    async def flood(self, input: Flood) -> AsyncIterator[Any]:
        for i in range(input.count):
            yield {"i": i, "pad": b"x" * input.size}
            self.made = i + 1

    @pondage.realtime("/flood/sync/realtime")
    def flood_sync(self, input: Flood) -> Iterator[Any]:
        for i in range(input.count):
            yield {"i": i, "pad": b"x" * input.size}
            self.made = i + 1

    @pondage.realtime("/busy/realtime", buffering=3)
    async def busy(self, message: Any) -> Any:
        await asyncio.sleep(0.2)
        return {"size": len(message["pad"]), "i": message["i"]}


class One(pondage.App, name="acme/one", max_multiplexing=1, max_concurrency=1):
    @pondage.realtime("/realtime")
    async def echo(self, message: Any) -> Any:
        return message
