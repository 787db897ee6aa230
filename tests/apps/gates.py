"""What a test lets a running function do: no step of it depends on how fast the machine is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path


class Gate:
    """The test's end: so many steps may be taken as its file has bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def __str__(self) -> str:
        return str(self._path)

    def open(self, steps: int = 1) -> None:
        """Let the function go on by so many steps."""
        with self._path.open("a") as file:
            file.write("." * steps)


async def passed(gate: str, step: int = 0) -> None:
    """The function's end: wait until the test has let this step (from 0) be taken."""
    while os.path.getsize(gate) <= step:
        await asyncio.sleep(0.01)
