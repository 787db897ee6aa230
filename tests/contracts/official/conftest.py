"""One gateway with a key for every official client: nothing here is called by our own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock.testing import ServedApp, serve

APPS = Path(__file__).parents[2] / "apps"


class Guarded(NamedTuple):
    """A server that asks for keys, and a key for it."""

    served: ServedApp
    key: str

    @property
    def url(self) -> str:
        return self.served.url


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """`acme/desk` and `acme/echo` over plain http, for callers with a key of scopes submit, read and files."""
    with serve(str(APPS / "desk.py"), str(APPS / "basic.py"), allow_private_urls=True) as served:
        key = served.call(served.server.keys.create("official", scopes=("submit", "read", "files")))
        yield Guarded(served, ":".join(key))
