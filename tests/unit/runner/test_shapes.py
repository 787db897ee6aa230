"""What methods of every shape answer, in a real runner."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .conftest import APPS, Gateway, running

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shapes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("shapes"))
    await gateway.listen()
    async with running(gateway, f"{APPS / 'shapes.py'}:Shapes", "acme/shapes"):
        await gateway.ready()
        yield gateway
    await gateway.die()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/object", [3]),
        ("/partial", 9),
        ("/wrapped", {"fileName": "aaa"}),
        ("/wrapped-sync", {"n": 3}),
        ("/sometimes", {"count": 3}),
        ("/typed-generator", [0, 1, 2]),
        ("/loose-generator", 2),
        ("/promised", {"fileName": "aaa"}),
    ],
)
async def test_a_decorated_method_answers(shapes: Gateway, path: str, answer: Any) -> None:
    request_id = shapes.execute(path, {"howMany": 3})
    outcome = (await shapes.finished(request_id)).outcome
    assert (outcome.status, json.loads(outcome.body)) == (200, answer)
    if path == "/wrapped":
        assert shapes.logs(request_id) == [("STDOUT", "called")] * 2


@pytest.mark.parametrize(
    ("path", "chunks"),
    [
        ("/wrapped-generator", [0, 1]),
        ("/wrapped-stream", [0, 1]),
        ("/response", [{"é": 0}, {"é": 1}, "ü"]),
        ("/words", ["a ", "a "]),
        ("/sometimes", [{"count": 2}]),
    ],
)
async def test_it_streams_whatever_made_it(shapes: Gateway, path: str, chunks: list[Any]) -> None:
    for mode in ("stream", "call"):
        request_id = shapes.execute(path, {}, mode=mode)
        outcome = (await shapes.finished(request_id)).outcome
        assert (outcome.status, json.loads(outcome.body)) == (200, chunks[-1])
        if mode == "stream" or path != "/sometimes":
            assert [data for _, data in shapes.chunks(request_id)] == chunks


async def test_what_the_authors_own_code_gets_wrong_is_not_the_callers_fault(shapes: Gateway) -> None:
    request_id = shapes.execute("/own-mistake")
    outcome = (await shapes.finished(request_id)).outcome
    assert (outcome.status, json.loads(outcome.body)) == (500, {"detail": "Internal Server Error"})
    assert "ValidationError" in str(outcome.error) and "own_mistake" in shapes.logs(request_id)[0][1]
    outcome = await shapes.call("/own-mistake", {"howMany": -1})
    assert outcome.status == 422


async def test_headers_are_read_and_said(shapes: Gateway) -> None:
    outcome = await shapes.call("/headers", headers={"x-token": "secret"})
    assert (outcome.status, outcome.body) == (200, b'"secret"')
    outcome = await shapes.call("/headers", headers={"x-token": "s"})
    (entry,) = json.loads(outcome.body)["detail"]
    assert outcome.status == 422 and (entry["loc"], entry["type"]) == (["header", "x-token"], "string_too_short")

    outcome = await shapes.call("/refused", {"howMany": 7})
    assert (outcome.status, json.loads(outcome.body)) == (422, {"detail": {"code": 7}})
    assert outcome.headers == {"content-type": "application/json", "www-authenticate": "Basic"}
    outcome = await shapes.call("/said")
    assert (outcome.status, json.loads(outcome.body)) == (402, {"detail": [1, {"why": None}]})
    assert outcome.headers["x-price"] == "3"
    for units, said in ((2, "2"), (0.5, "0.50000000"), (0, None)):
        outcome = await shapes.call("/field", {"units": units})
        assert (outcome.status, outcome.headers.get("x-fal-billable-units")) == (422, said)


async def test_a_batch_behind_a_decorator_makes_its_own_room(shapes: Gateway) -> None:
    assert (await shapes.ready()).max_multiplexing == 3
    ids = [shapes.execute("/batch", {"howMany": 1}) for _ in range(3)]
    assert [(await shapes.finished(request_id)).outcome.body for request_id in ids] == [b"3"] * 3
