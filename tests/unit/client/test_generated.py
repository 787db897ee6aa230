"""The blocking client and the client reference are what their generators write."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = script("generate_sync_client")


@pytest.mark.parametrize(("name", "text"), GENERATOR.generated().items(), ids=list(GENERATOR.generated()))
def test_the_blocking_client_is_current(name: str, text: str) -> None:
    assert (GENERATOR.TARGET / name).read_text("utf-8") == text, "run scripts/generate_sync_client.py"


def test_nothing_else_is_in_its_folder() -> None:
    names = {path.name for path in GENERATOR.TARGET.glob("*.py")}
    assert names == GENERATOR.generated().keys() | GENERATOR.BY_HAND


def test_both_sides_of_what_is_written_by_hand_have_the_same_names() -> None:
    from pondage.client.aio import flow as waiting
    from pondage.client.blocking import flow as blocking

    def names(module: ModuleType) -> set[str]:
        own = {n for n, v in vars(module).items() if n[0] != "_" and getattr(v, "__module__", "") == module.__name__}
        return {name.replace("aclose", "close") for name in own}

    assert names(waiting) == names(blocking)
    for name in ("Pool", "Signal", "Channel", "Background"):
        mine, other = dir(getattr(waiting, name)), dir(getattr(blocking, name))
        assert {m.replace("aclose", "close") for m in mine if m[0] != "_"} == {m for m in other if m[0] != "_"}


def test_the_client_reference_is_current() -> None:
    reference = script("client_reference")
    assert reference.PAGE.read_text("utf-8") == reference.page(), "run scripts/client_reference.py"
