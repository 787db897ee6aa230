"""A real runner executes calls; each way an author's function can end has its outcome."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pondage.wire.events import Outcome
from pondage.wire.frames import Cancel, Hello, Poisoned
from pondage.wire.states import OutcomeKind

from .conftest import Gateway

pytestmark = pytest.mark.anyio


def body(outcome: Outcome) -> Any:
    return msgspec.json.decode(outcome.body)


async def test_a_runner_says_who_it_is(echo: Gateway) -> None:
    hello = await echo.first(Hello)
    assert (hello.runner_id, hello.app, hello.token, hello.running) == ("runner-1", "acme/echo", "secret", [])
    info = await echo.ready()
    assert info.max_multiplexing == 64
    assert next(e for e in info.endpoints if e.path == "/").input_schema["required"] == ["x"]  # type: ignore[index]


@pytest.mark.parametrize("path", ["/", "/sync"])
async def test_a_call_answers(echo: Gateway, path: str) -> None:
    outcome = await echo.call(path, {"x": 41})
    assert (outcome.kind, outcome.status, body(outcome)) == (OutcomeKind.OK, 200, {"y": 42})
    assert outcome.inference_time is not None


async def test_wrong_types_are_422_in_fals_shape(echo: Gateway) -> None:
    outcome = await echo.call("/", {"x": "many"})
    assert outcome.status == 422
    answer = body(outcome)
    assert answer["detail"] == answer["body"]
    (entry,) = answer["detail"]
    assert (entry["loc"], entry["type"], entry["input"]) == (["body", "x"], "int_parsing", "many")
    assert outcome.error is not None and "body.x" in outcome.error


async def test_an_unknown_path_names_near_ones(echo: Gateway) -> None:
    outcome = await echo.call("/slw")
    assert outcome.status == 404
    assert body(outcome)["detail"].startswith("Path /slw not found")
    assert "/slow" in body(outcome)["detail"]


async def test_an_exception_is_500_and_its_traceback_a_log(echo: Gateway) -> None:
    request_id = echo.execute("/fail", {"message": "no luck"})
    outcome = (await echo.finished(request_id)).outcome
    assert (outcome.status, body(outcome)) == (500, {"detail": "Internal Server Error"})
    assert outcome.error == "ValueError: no luck"
    ((level, trace),) = echo.logs(request_id)
    assert level == "ERROR"
    assert "basic.py" in trace and "pondage/runner" not in trace


@pytest.mark.parametrize(("given", "seen"), [(418, 418), (503, 500), (429, 500), (504, 504)])
async def test_an_app_exception_has_its_status_unless_clients_repeat_it(echo: Gateway, given: int, seen: int) -> None:
    outcome = await echo.call("/raise_http", {"status": given})
    assert (outcome.status, body(outcome)) == (seen, {"detail": "a teapot"})
    assert (outcome.headers.get("x-fal-request-timeout-type") == "user") is (seen == 504)


async def test_a_field_exception_is_a_422(echo: Gateway) -> None:
    outcome = await echo.call("/field")
    assert outcome.status == 422
    assert body(outcome)["detail"] == [{"loc": ["body", "size"], "msg": "is too small", "type": "image_too_small"}]


async def test_a_declared_retry_asks_for_another_attempt(echo: Gateway) -> None:
    first = await echo.finished(echo.execute("/retry"))
    assert first.retry
    second = await echo.call("/retry", request_id="again", attempt=2)
    assert body(second) == {"attempt": 2}


@pytest.mark.parametrize(("path", "word"), [("/misfit", "declared type at y"), ("/nan", "NaN"), ("/bytes", "bytes")])
async def test_an_output_that_cannot_be_sent_is_explained(echo: Gateway, path: str, word: str) -> None:
    outcome = await echo.call(path)
    assert (outcome.status, body(outcome)) == (500, {"detail": "Internal Server Error"})
    assert outcome.payload_error is not None and word in outcome.payload_error


async def test_an_output_beyond_a_packet_is_explained(echo: Gateway) -> None:
    assert len((await echo.call("/large", {"megabytes": 20})).body) == 20 * 1024 * 1024 + 2
    outcome = await echo.call("/large", {"megabytes": 40})
    assert outcome.status == 500
    assert outcome.payload_error is not None and "return a File" in outcome.payload_error


async def test_words_and_progress_belong_to_the_request(echo: Gateway) -> None:
    first, second = (
        echo.execute("/logs", {"lines": 2, "width": 1}),
        echo.execute("/slow", {"seconds": 0.01, "steps": 2}),
    )
    await echo.finished(first)
    await echo.finished(second)
    assert echo.logs(first) == [
        ("STDOUT", "line 0"),
        ("STDOUT", "line 1"),
        ("WARN", "a warning record"),
        ("INFO", "an info record"),
        ("WARN", echo.logs(first)[4][1]),
        ("DEBUG", "said directly"),
    ]
    assert "UserWarning: an old way" in echo.logs(first)[4][1]
    assert echo.logs(second) == [("STDOUT", "step 0"), ("STDOUT", "step 1")]
    assert echo.progress(second) == [(1.0, 2.0), (2.0, 2.0)]


@pytest.mark.parametrize("path", ["/slow", "/spin"])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_cancel_stops_the_function(echo: Gateway, path: str, begun: bool) -> None:
    request_id = echo.execute(path, {"seconds": 3600, "steps": 1})
    if begun:
        await echo.until(lambda: echo.logs(request_id))
    echo.send(Cancel(request_id, 1, "client_cancelled"))
    outcome = (await echo.finished(request_id)).outcome
    assert (outcome.kind, outcome.status) == (OutcomeKind.CANCELLED, 499)
    assert not echo.all(Poisoned)


async def test_what_cannot_be_stopped_is_reported(echo: Gateway) -> None:
    request_id = echo.execute("/hang")
    await echo.until(lambda: echo.logs(request_id))
    echo.send(Cancel(request_id, 1, "client_cancelled"))
    poisoned = await echo.first(Poisoned)
    assert poisoned.request_id == request_id
    assert body(await echo.call("/", {"x": 1})) == {"y": 2}, "its neighbours go on"


async def test_the_run_time_limit_is_a_final_504(echo: Gateway) -> None:
    outcome = await echo.call("/slow", {"seconds": 3600, "steps": 1}, timeout=0.05)
    assert (outcome.kind, outcome.status) == (OutcomeKind.ERROR, 504)
    assert outcome.headers["x-fal-request-timeout-type"] == "user"
    assert body(outcome)["detail"][0]["type"] == "generation_timeout"


async def test_the_context_tells_about_the_request(echo: Gateway) -> None:
    outcome = await echo.call("/who", headers={"x-test": "1"}, timeout=60.0, request_id="me")
    who = body(outcome)
    assert (who["request_id"], who["attempt"], who["endpoint"]) == ("me", 1, "acme/echo/who")
    assert who["headers"] == {"x-test": "1"} and who["deadline"]
