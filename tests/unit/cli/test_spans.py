"""The spans of `pondage requests show --json` and of the pages, held to the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pondage.cli.spans import spans

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "web" / "spans.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_spans(vector: dict[str, Any]) -> None:
    assert spans(vector["request"], vector["events"], vector["deliveries"]) == vector["spans"]
