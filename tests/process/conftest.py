"""Gateways as processes, each over a data folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pondage.testing import GatewayProcess

APPS = Path(__file__).parents[1] / "apps"

Start = Callable[..., GatewayProcess]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Start]:
    """`gateway("basic.py", …settings)` makes a gateway over this test's data folder; it is ended afterwards."""
    made: list[GatewayProcess] = []

    def start(*targets: str, **settings: Any) -> GatewayProcess:
        paths = [str(APPS / t) if (APPS / t).exists() else t for t in targets]
        process = GatewayProcess(*paths, data=tmp_path / "data", **settings)
        made.append(process)
        return process

    yield start
    for process in made:
        process.__exit__()
