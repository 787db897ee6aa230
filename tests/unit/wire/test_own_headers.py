"""Headers of a result that are the server's alone."""

from __future__ import annotations

import pytest

from pondage.wire.text import fit_headers


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "X-Fal-Request-Id", "upgrade"])
def test_an_app_sets_none_of_them(name: str) -> None:
    kept, left_out = fit_headers([(name, "1"), ("x-own", "2")])
    assert kept == {"x-own": "2"} and len(left_out) == 1 and "the server sets it" in left_out[0]
