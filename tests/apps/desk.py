"""An app as a caller of fal knows them: media in and out, text that streams, strokes that are drawn in real time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from gates import passed
from pydantic import BaseModel, Field

import pondage


class Prompt(BaseModel):
    prompt: str = Field(min_length=1)
    steps: int = Field(default=2, ge=1, le=100)
    guidance: float = 1.0


class Drawing(BaseModel):
    prompt: str
    seed: int = 7
    guidance: float
    picture: pondage.File


class Weighing(BaseModel):
    file: pondage.File
    also: list[pondage.File] = []


class Stroke(BaseModel):
    prompt: str = ""
    image_bytes: bytes = b""
    scale: float = 1.0


class Desk(pondage.App, name="acme/desk", max_multiplexing=32):
    """Draws, weighs, tells and paints."""

    @pondage.endpoint("/")
    async def draw(self, input: Prompt) -> Drawing:
        """A drawing, with a log line for each step."""
        for step in range(input.steps):
            print(f"step {step + 1} of {input.steps}")
            await asyncio.sleep(0.01)
        picture = await asyncio.to_thread(
            pondage.File.from_bytes, b"drawn: " + input.prompt.encode(), "text/plain", "drawing.txt"
        )
        return Drawing(prompt=input.prompt, guidance=input.guidance, picture=picture)

    @pondage.endpoint("/weigh")
    def weigh(self, input: Weighing) -> dict[str, Any]:
        """What came for a file: its size and digest."""
        return {"files": [self._weighed(file) for file in (input.file, *input.also)]}

    def _weighed(self, file: pondage.File) -> dict[str, Any]:
        data = file.as_bytes()
        return {"url": file.url, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    @pondage.endpoint("/said")
    async def said(self) -> dict[str, Any]:
        """The caller's headers, as the app sees them."""
        return {"headers": dict(pondage.current_request.headers)}

    @pondage.endpoint("/wait")
    async def wait(self, seconds: float = 60.0, gate: str = "") -> dict[str, float]:
        """Wait so long, or until the test's `Gate` lets it go on."""
        print("waiting")
        await (passed(gate) if gate else asyncio.sleep(seconds))
        return {"seconds": seconds}

    @pondage.endpoint("/stream")
    async def tell(self, words: int = 3, fail_at: int = -1) -> AsyncIterator[dict[str, Any]]:
        """Words one by one, not all of them ASCII."""
        for n in range(words):
            if n == fail_at:
                raise ValueError(f"lost the thread at {n}")
            yield {"n": n, "word": f"wörd {n}"}
            await asyncio.sleep(0.005)

    @pondage.endpoint("/refuse")
    async def refuse(self, status: int = 422) -> dict[str, Any]:
        if status == 422:
            raise pondage.FieldException("prompt", "is not for this model", type="content_policy_violation")
        raise pondage.AppException("refused", status)

    @pondage.realtime("/realtime", buffering=10)
    async def paint(self, input: Stroke) -> dict[str, Any]:
        """What was painted: bytes stay bytes, and a float stays one."""
        if input.prompt == "fail":
            raise ValueError("out of paint")
        return {"prompt": input.prompt, "image": input.image_bytes[::-1], "scale": input.scale}

    @pondage.realtime("/telling/realtime")
    def telling(self, inputs: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Many answers to one input."""
        for item in inputs:
            for n in range(int(item["count"])):
                yield {"n": n}
