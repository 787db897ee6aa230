"""What an app that was written for fal brings with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Gateway, running

pytestmark = pytest.mark.anyio

APP = """
import json
import pondage as fal
from starlette.responses import StreamingResponse
from starlette.exceptions import HTTPException
from pydantic import BaseModel

class Input(BaseModel):
    count: int = 3

class Ported(fal.App, keep_alive=300, name="acme/ported"):
    machine_type = "GPU-A100"
    requirements = ["torch"]

    @fal.endpoint("/stream")
    def stream(self, input: Input) -> StreamingResponse:
        def generate():
            for i in range(input.count):
                yield f"data: {json.dumps({'i': i})}\\n\\n"
            yield ": a comment\\n\\ndata: [DONE]\\n\\n"
        return StreamingResponse(generate(), media_type="text/event-stream")

    @fal.endpoint("/http")
    async def http(self) -> dict:
        raise HTTPException(402, "pay first")

    def provide_hints(self) -> list[str]:
        return ["lora-1", "lora-2"]

    @fal.endpoint("/hints")
    async def hints(self) -> dict:
        return {"endpoint": self.current_request.endpoint}
"""


async def test_a_ported_app_runs(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "ported.py").write_text(APP)
    async with running(gateway, f"{tmp_path / 'ported.py'}:Ported", "acme/ported"):
        info = await gateway.ready()
        assert info.keep_alive == 300
        assert {e.path: e.kind for e in info.endpoints} == {"/stream": "stream", "/http": "call", "/hints": "call"}
        request_id = gateway.execute("/stream", {"count": 2}, mode="stream")
        await gateway.finished(request_id)
        assert gateway.chunks(request_id) == [(1, {"i": 0}), (2, {"i": 1}), (3, "[DONE]")]
        outcome = await gateway.call("/http")
        assert (outcome.status, outcome.body) == (402, b'{"detail":"pay first"}')
        outcome = await gateway.call("/hints")
        assert outcome.headers["x-fal-runner-hints"] == "lora-1,lora-2"
        assert outcome.body == b'{"endpoint":"acme/ported/hints"}'
