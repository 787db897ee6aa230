"""An app with one endpoint for each way a request can go."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

from gates import passed
from pydantic import BaseModel

import pondage

log = logging.getLogger("basic")


class Input(BaseModel):
    x: int
    pad: str = ""


class Output(BaseModel):
    y: int


class Chunk(BaseModel):
    i: int
    text: str = ""


class Echo(pondage.App, name="acme/echo", max_multiplexing=64):
    """Adds one, and misbehaves when asked."""

    async def setup(self) -> None:
        self.offset = 1

    @pondage.endpoint("/")
    async def run(self, input: Input) -> Output:
        return Output(y=input.x + self.offset)

    @pondage.endpoint("/sync")
    def sync(self, x: int, pad: str = "") -> Output:
        return Output(y=x + self.offset)

    @pondage.endpoint("/slow")
    async def slow(self, seconds: float = 1.0, steps: int = 5) -> dict[str, float]:
        for step in range(steps):
            print(f"step {step}")
            pondage.current_request.progress(step + 1, steps)
            await asyncio.sleep(seconds / steps)
        return {"seconds": seconds}

    @pondage.endpoint("/slow/sync")
    def slow_sync(self, seconds: float = 1.0, steps: int = 5) -> dict[str, float]:
        for step in range(steps):
            print(f"step {step}")
            pondage.current_request.progress(step + 1, steps)
            time.sleep(seconds / steps)
        return {"seconds": seconds}

    @pondage.endpoint("/gated")
    async def gated(self, gate: str, steps: int = 1) -> dict[str, int]:
        """Take each step when the test's `Gate` lets it."""
        for step in range(steps):
            print(f"step {step}")
            pondage.current_request.progress(step + 1, steps)
            await passed(gate, step)
        return {"steps": steps}

    @pondage.endpoint("/logs")
    def logs(self, lines: int = 3, width: int = 20) -> dict[str, int]:
        for n in range(lines):
            print(f"line {n}".ljust(width, "."))
        log.warning("a warning record")
        log.info("an info record")
        warnings.warn("an old way", stacklevel=1)
        pondage.current_request.log("said directly", "DEBUG")
        return {"lines": lines}

    @pondage.endpoint("/fail")
    async def fail(self, message: str = "it broke") -> Output:
        raise ValueError(message)

    @pondage.endpoint("/raise_http")
    async def raise_http(self, status: int = 418, message: str = "a teapot") -> Output:
        raise pondage.AppException(message, status)

    @pondage.endpoint("/retry")
    async def retry(self, until: int = 2) -> dict[str, int]:
        attempt = pondage.current_request.attempt
        if attempt < until:
            raise pondage.Retry(f"attempt {attempt} is too early")
        return {"attempt": attempt}

    @pondage.endpoint("/field")
    async def field(self, size: int = 0) -> Output:
        raise pondage.FieldException("size", "is too small", type="image_too_small")

    @pondage.endpoint("/misfit")
    async def misfit(self) -> Output:
        return {"z": "not an output"}  # type: ignore[return-value]

    @pondage.endpoint("/nan")
    async def nan(self) -> Any:
        return {"value": float("nan")}

    @pondage.endpoint("/bytes")
    async def bytes(self) -> Any:
        return {"value": b"\x00\xff"}

    @pondage.endpoint("/large")
    async def large(self, megabytes: int = 1) -> str:
        return "x" * (megabytes * 1024 * 1024)

    @pondage.endpoint("/exit")
    async def exit(self, code: int = 7) -> Output:
        os._exit(code)

    @pondage.endpoint("/segfault")
    def segfault(self) -> Output:
        ctypes.string_at(0)
        raise AssertionError

    @pondage.endpoint("/hang")
    def hang(self) -> Output:
        """Never yields: neither to the loop nor to an exception in Python code."""
        print("hanging")
        ctypes.CDLL(None).sleep(3600)
        raise AssertionError

    @pondage.endpoint("/hang/async")
    async def hang_async(self) -> Output:
        print("hanging")
        while True:
            time.sleep(0.01)

    @pondage.endpoint("/spin")
    def spin(self) -> Output:
        print("spinning")
        while True:
            time.sleep(0.01)

    @pondage.endpoint("/who")
    async def who(self) -> dict[str, Any]:
        request = pondage.current_request
        return {
            "pid": os.getpid(),
            "request_id": request.request_id,
            "attempt": request.attempt,
            "endpoint": request.endpoint,
            "headers": request.headers,
            "deadline": request.deadline is not None,
        }

    @pondage.endpoint("/generate")
    async def generate(self, count: int = 5, pause: float = 0.0) -> AsyncIterator[Chunk]:
        try:
            for i in range(count):
                yield Chunk(i=i, text="é")
                if pause:
                    await asyncio.sleep(pause)
        finally:
            print("generator closed")

    @pondage.endpoint("/generate/sync")
    def generate_sync(self, count: int = 5, pause: float = 0.0) -> Iterator[Chunk]:
        try:
            for i in range(count):
                yield Chunk(i=i)
                if pause:
                    time.sleep(pause)
        finally:
            print("generator closed")

    @pondage.endpoint("/stream")
    async def stream(self, count: int = 5, pause: float = 0.0, fail_at: int = -1) -> AsyncIterator[Chunk]:
        for i in range(count):
            if i == fail_at:
                raise ValueError(f"broke at {i}")
            yield Chunk(i=i)
            if pause:
                await asyncio.sleep(pause)

    @pondage.realtime("/realtime", buffering=10)
    async def realtime(self, input: Input) -> Output:
        if input.pad == "fail":
            raise ValueError("told to fail")
        return Output(y=input.x + self.offset)
