"""The workload in BentoML, one worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import bentoml


@bentoml.service(workers=1, traffic={"timeout": 60, "concurrency": 128}, logging={"access": {"enabled": False}})
class Noop:
    @bentoml.api
    async def run(self, x: int, pad: str) -> dict[str, int]:
        return {"y": x + 1}

    @bentoml.api
    async def stream(self, n: int) -> AsyncGenerator[str, None]:
        for i in range(n):
            yield f'data: {{"i": {i}}}\n\n'
