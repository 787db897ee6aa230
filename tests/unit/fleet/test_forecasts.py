"""The cost of an input, and what a server recalls of its finished requests."""

from __future__ import annotations

import pytest

from pondage.fleet.forecasts import cost_of_input
from pondage.wire.frames import AppInfo, EndpointInfo

SCHEMA: dict[str, object] = {"properties": {"steps": {"type": "integer", "default": 4}, "n": {"type": "number"}}}
INFO = AppInfo("acme/flux", [EndpointInfo("/", "call", input_schema=SCHEMA, cost=("steps", "n"))])


@pytest.mark.parametrize(
    ("body", "cost"),
    [
        (b'{"steps": 10, "n": 3}', 30.0),
        (b'{"n": 3}', 12.0),
        (b"{}", 4.0),
        (b"", 4.0),
        (b'{"steps": "x"}', 1.0),
        (b"[1]", 4.0),
        (b'{"steps": 2', 4.0),
        (b'{"image": "data:' + b"x" * 100_000 + b'", "steps": 2}', 2.0),
    ],
)
def test_the_cost_is_read_and_nothing_else(body: bytes, cost: float) -> None:
    assert cost_of_input(INFO, "/", body) == cost


def test_an_endpoint_that_names_none_costs_one() -> None:
    assert cost_of_input(INFO, "/other", b'{"steps": 9}') == 1.0
