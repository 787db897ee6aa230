"""An app whose requests differ in what they cost."""

from __future__ import annotations

from gates import passed

import pondage


class Priced(pondage.App, name="acme/priced"):
    @pondage.endpoint("/", cost=("steps", "images"))
    async def run(self, steps: int = 4, images: int | None = None, gate: str = "") -> int:
        if gate:
            await passed(gate)
        return steps

    @pondage.endpoint("/free")
    async def free(self) -> int:
        return 0
