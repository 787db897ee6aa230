"""Commands as a shell runs them, in this process, and a server that they reach."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pondage.cli import main
from pondage.testing import ServedApp, serve

APP = Path(__file__).parents[2] / "apps" / "basic.py"


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Pondage = Callable[..., Said]


@pytest.fixture(scope="module")
def echo() -> Iterator[ServedApp]:
    with serve(str(APP)) as served:
        yield served


@pytest.fixture
def pondage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pondage]:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("PONDAGE_URL", "PONDAGE_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Said:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    yield run


@pytest.fixture
def at(pondage: Pondage, echo: ServedApp, monkeypatch: pytest.MonkeyPatch) -> Pondage:
    """The same, pointed at the server."""
    monkeypatch.setenv("PONDAGE_URL", echo.url)
    return pondage
