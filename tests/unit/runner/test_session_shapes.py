"""Sessions whose methods have fal's shapes, or stand behind decorators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pondage.wire.frames import SessionClose, SessionMessage

from .conftest import APPS, Gateway, running

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sessions(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("sessions"), session_idle=0.3)
    await gateway.listen()
    async with running(gateway, f"{APPS / 'session_shapes.py'}:Sessions", "acme/sessions"):
        assert (await gateway.ready()).max_multiplexing == 1
        yield gateway
    await gateway.die()


async def told(gateway: Gateway, path: str, *values: Any) -> list[Any]:
    """What the session says until it closes, when it is given these at once and then nothing."""
    request_id = gateway.execute(path, mode="session")
    data = [value if isinstance(value, bytes) else msgspec.json.encode(value) for value in values]
    gateway.send(*(SessionMessage(request_id, one, True) for one in data))
    await gateway.until(lambda: [f for f in gateway.all(SessionClose) if f.request_id == request_id])
    said = [msgspec.json.decode(f.data) for f in gateway.all(SessionMessage) if f.request_id == request_id]
    assert (said[-1]["type"], said[-1]["error"]) == ("x-fal-error", "TIMEOUT")
    return said[:-1]


@pytest.mark.parametrize("path", ["/several", "/several/async"])
async def test_the_messages_of_one_session_come_together(sessions: Gateway, path: str) -> None:
    said = await told(sessions, path, *({"n": n} for n in range(5)))
    assert said == [{"allOf": [0, 1, 2]}, {"allOf": [3, 4]}]
    said = await told(sessions, path, {"n": 0}, {"n": "?"}, {"n": 1}, {"n": 2, "alone": True}, {"n": 3})
    assert said[0]["error"] == "INVALID_INPUT" and said[0]["message"] == 2
    assert said[1:] == [{"allOf": [0, 1]}, {"allOf": [2, 3]}]


async def test_a_method_that_takes_one_gets_one(sessions: Gateway) -> None:
    assert await told(sessions, "/one", {"n": 0}, {"n": 1}) == [{"allOf": [0]}, {"allOf": [1]}]


async def test_an_encoder_gets_what_the_result_is_made_of(sessions: Gateway) -> None:
    assert await told(sessions, "/encoded", {"n": 2}) == [["dict", {"allOf": [2]}]]


async def test_types_of_messages_may_stand_in_the_decorator(sessions: Gateway) -> None:
    said = await told(sessions, "/modal", {"n": 2}, {"m": 2})
    assert said[0] == {"allOf": [2, 0.5]} and said[1]["error"] == "INVALID_INPUT"


async def test_an_http_exception_is_the_apps_word(sessions: Gateway) -> None:
    (said,) = await told(sessions, "/refuses", {"n": 2})
    assert (said["error"], said["reason"]) == ("APP_ERROR", 'message 1: {"code":2.0}')


async def test_what_the_authors_own_code_gets_wrong_is_not_the_callers_fault(sessions: Gateway) -> None:
    own, callers = await told(sessions, "/own-mistake", {"n": 2}, {"n": "?"})
    assert own["error"] == "INTERNAL_ERROR" and "ValidationError" in own["reason"]
    assert callers["error"] == "INVALID_INPUT" and callers["reason"].startswith("message 2: n: ")


@pytest.mark.parametrize("path", ["/decorated", "/decorated/sync"])
async def test_a_decorated_generator_yields(sessions: Gateway, path: str) -> None:
    assert [value["n"] for value in await told(sessions, path, {"n": 2}, {"n": 1})] == [0, 1, 0]


async def test_the_result_comes_before_the_word_that_time_is_up(sessions: Gateway) -> None:
    assert await told(sessions, "/in", {"n": 1}, {"n": 2}) == [{"allOf": [1, 2]}]
