"""One server with the small test app for all stories of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture(scope="session")
def echo() -> Iterator[ServedApp]:
    """A server with `acme/echo`."""
    with serve(str(APPS / "basic.py")) as served:
        yield served


@pytest.fixture
def http(echo: ServedApp) -> Iterator[httpx2.Client]:
    """A plain HTTP client of that server: no library of ours between."""
    with httpx2.Client(base_url=echo.url, timeout=30) as client:
        yield client
