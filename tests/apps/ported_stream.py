"""Apps that stream, as fal's documentation shows them; only the imports name another package."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import pondage as fal


class Input(BaseModel):
    prompt: str
    steps: int = 3


class Chatter(fal.App, name="acme/chatter"):
    machine_type = "S"

    async def setup(self) -> None:
        self.greeting = "hello"

    async def teardown(self) -> None:
        self.greeting = ""

    @fal.endpoint("/")
    async def whole(self, input: Input) -> dict[str, str]:
        return {"output": f"{self.greeting} {input.prompt}"}

    @fal.endpoint("/stream")
    def stream(self, input: Input) -> StreamingResponse:
        def events() -> Iterator[str]:
            for step in range(input.steps):
                yield f"data: {json.dumps({'step': step, 'output': input.prompt[: step + 1]})}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/thought/stream")
    async def thoughts(self, input: Input) -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            for step in range(input.steps):
                yield f"event: thought\ndata: {json.dumps({'thought': step})}\n\n".encode()
                await asyncio.sleep(0)

        return StreamingResponse(events(), media_type="text/event-stream")
