"""The workload in Cog."""

from __future__ import annotations

from cog import BasePredictor, Input


class Noop(BasePredictor):
    async def predict(self, x: int = Input(), pad: str = Input()) -> int:
        return x + 1
