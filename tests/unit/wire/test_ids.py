"""Owners that the gateway keeps for itself."""

from __future__ import annotations

import pytest

from pondage.gateway.routes import ROUTES
from pondage.wire.ids import RESERVED_OWNERS, check_app_name, parse_endpoint


@pytest.mark.parametrize("owner", ["v1", "mcp", "runners", "neighbours", "ui", "queue", "api", "files"])
def test_no_owner_can_bear_the_name_of_a_route(owner: str) -> None:
    with pytest.raises(ValueError, match=owner):
        check_app_name(f"{owner}/echo")
    with pytest.raises(ValueError, match=owner):
        check_app_name(f"{owner}/echo.v2")


def test_the_first_segment_of_every_route_is_reserved() -> None:
    first = {route.pattern.split("/")[1] for route in ROUTES}
    assert {segment for segment in first if segment and "{" not in segment} <= RESERVED_OWNERS


def test_a_name_that_only_begins_so_is_free() -> None:
    assert parse_endpoint("runners-up/echo").owner == "runners-up"
