"""What endpoints declare to bill by: taken, shown, and refused with a sentence where it is no such thing."""

from __future__ import annotations

from typing import Any

import pytest

import pondage
from pondage.app.endpoints import MARK

GOOD: dict[str, Any] = {
    "version": 1,
    "schema_id": "pixels-1",
    "app": {"type": "object", "properties": {"megapixels": {"type": "number"}}},
}


class Declares:
    def __init__(self, components: Any) -> None:
        self.components = components

    def declaration(self) -> Any:
        return self.components


def test_what_is_declared_is_kept() -> None:
    @pondage.endpoint("/draw", billing=Declares(GOOD))
    def draw(self: object, prompt: str) -> str:
        return prompt

    assert getattr(draw, MARK).billing == GOOD


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ("units", "a dict"),
        ({**GOOD, "more": 1}, "exactly"),
        ({name: value for name, value in GOOD.items() if name != "app"}, "exactly"),
        ({**GOOD, "version": 2}, "version 2"),
        ({**GOOD, "version": True}, "version True"),
        ({**GOOD, "schema_id": ""}, "schema_id"),
        ({**GOOD, "app": {"type": "array"}}, "an object as app"),
        ({**GOOD, "app": {"type": "object", "maximum": float("nan")}}, "not JSON"),
        ({**GOOD, "app": {"type": "object", "enum": (1, 2)}}, "JSON changes"),
    ],
)
def test_what_is_no_declaration(components: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pondage.endpoint("/draw", billing=Declares(components))


@pytest.mark.parametrize("billing", [Declares, object(), GOOD, "units"])
def test_what_declares_nothing(billing: Any) -> None:
    with pytest.raises(TypeError, match="declaration"):
        pondage.endpoint("/draw", billing=billing)
