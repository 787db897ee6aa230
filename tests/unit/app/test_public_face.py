"""`import pondage` costs nothing, and each public name is where it says."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pondage


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, pondage; print(*sorted(m for m in sys.modules if m.split('.')[0] in {HEAVY}))".replace(
        "{HEAVY}", "{'pydantic', 'msgspec', 'httpx2', 'websockets', 'asyncio'}"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


@pytest.mark.parametrize("name", sorted(pondage.__all__))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(pondage, name) is not None
    assert name in dir(pondage)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pondage.nothing
