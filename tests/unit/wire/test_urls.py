"""Addresses from outside, as they are asked for."""

from __future__ import annotations

import pytest

from pondage.wire.urls import request_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.example/x%2Fy?sig=%7e+%3D&#part", "/x%2Fy?sig=%7e+%3D&"),
        ("https://a.example", "/"),
        ("https://a.example?a=1", "/?a=1"),
        ("https://a.example/a/../b//c?", "/a/../b//c?"),
        ("https://a.example/ä b?[]='|", "/%C3%A4%20b?[]='|"),
    ],
)
def test_a_url_from_outside_is_asked_for_as_it_stands(url: str, target: str) -> None:
    assert request_target(url) == target
