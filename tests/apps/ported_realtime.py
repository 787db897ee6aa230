"""Realtime apps of each mode, as fal's documentation shows them; only the imports name another package."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel

import pondage as fal
from pondage.toolkit import FalBaseModel, Field


class FrameInput(FalBaseModel):
    prompt: str = Field(default="")
    image: bytes = b""


class FrameOutput(BaseModel):
    prompt: str
    image: bytes


class Live(fal.App, name="acme/live", max_multiplexing=4, keep_alive=10):
    @fal.realtime("/realtime", buffering=5, session_timeout=30)
    def frame(self, input: FrameInput) -> FrameOutput:
        return FrameOutput(prompt=input.prompt.upper(), image=input.image)

    @fal.realtime("/count/realtime")
    async def count(self, input: FrameInput) -> AsyncIterator[dict[str, Any]]:
        for n in range(3):
            yield {"n": n, "prompt": input.prompt}

    @fal.realtime("/join/realtime")
    async def join(self, inputs: AsyncIterator[FrameInput]) -> AsyncIterator[FrameOutput]:
        words: list[str] = []
        async for input in inputs:
            words.append(input.prompt)
            yield FrameOutput(prompt=" ".join(words), image=b"")

    @fal.realtime("/batch/realtime", max_batch_size=4)
    async def batch(self, inputs: list[FrameInput]) -> list[FrameOutput]:
        return [FrameOutput(prompt=input.prompt[::-1], image=b"") for input in inputs]
