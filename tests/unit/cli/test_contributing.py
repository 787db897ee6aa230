"""The worked first command of CONTRIBUTING.md works as it stands there, and its table has every room."""

from __future__ import annotations

import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

import pondage as package
from pondage.cli import VERBS, exits

from .conftest import Pondage

TEXT = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text("utf-8")


def test_the_first_command(at: Pondage, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "pondage hello" in block]
    hello = ModuleType("pondage.cli.hello")
    hello.__spec__ = ModuleSpec(hello.__name__, None)
    exec(compile(code, "hello.py", "exec"), hello.__dict__)
    monkeypatch.setitem(sys.modules, hello.__name__, hello)
    monkeypatch.setitem(VERBS, "hello", "hello")
    assert at("hello").out == "1\n"
    assert at("hello", "--json").json == {"apps": 1}
    assert at("hello", "--help").code == exits.OK


def test_every_room_is_in_the_table() -> None:
    root = Path(package.__file__).parent
    rooms = {path.name for path in root.iterdir() if (path / "__init__.py").is_file()}
    assert {room for room in rooms if f"`{room}/`" not in TEXT} == set()
