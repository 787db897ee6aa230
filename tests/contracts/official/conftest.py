"""One gateway with a key for every official client: nothing here is called by our own client."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[2] / "apps"
SCRIPTS = Path(__file__).parents[3] / "scripts"
CASE_LIMIT = 60.0


class Guarded(NamedTuple):
    """A server that asks for keys, and a key for it."""

    served: ServedApp
    key: str

    @property
    def url(self) -> str:
        return self.served.url


@pytest.fixture(scope="session")
def guarded() -> Iterator[Guarded]:
    """`acme/desk` and `acme/echo` over plain http, for callers with a key of scopes submit, read and files."""
    with serve(str(APPS / "desk.py"), str(APPS / "basic.py")) as served:
        key = served.call(served.server.keys.create("official", scopes=("submit", "read", "files")))
        yield Guarded(served, ":".join(key))


@pytest.fixture(scope="session")
def clients() -> Any:
    """`scripts/official_clients.py`, which finds and installs what these tests need; it is no package."""
    spec = importlib.util.spec_from_file_location("official_clients", SCRIPTS / "official_clients.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def packages(clients: Any) -> Path:
    """The folder with fal's JavaScript packages."""
    try:
        return Path(clients.packages())
    except clients.Missing as missing:
        pytest.skip(str(missing))


Case = Callable[..., Any]


@pytest.fixture
def case(packages: Path, guarded: Guarded) -> Case:
    """`case(name, way)` runs a case of js/cases.mjs in a Node of its own and returns what it printed."""

    def run(name: str, way: str = "middleware") -> Any:
        environment = os.environ | {"GATEWAY_URL": guarded.url, "GATEWAY_KEY": guarded.key}
        ran = subprocess.run(
            ["node", "run.mjs", name, way],
            cwd=packages, env=environment, capture_output=True, text=True, timeout=CASE_LIMIT,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout.splitlines()[-1])

    return run
