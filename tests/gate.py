"""What a test lets a running function do: no step of it depends on how fast the machine is."""

from __future__ import annotations

from pathlib import Path


class Gate:
    """Steps that a `/gated` function of a test app may take: as many as its file has bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def __str__(self) -> str:
        return str(self._path)

    def open(self, steps: int = 1) -> None:
        """Let the function go on by so many steps."""
        with self._path.open("a") as file:
            file.write("." * steps)
