"""What callers and apps do wrong, and the answer to each."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from pondage.testing import ServedApp


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "says"),
    [
        ("POST", "/acme/ecko", b"{}", 404, "acme/echo"),
        ("POST", "/acme/echo/slwo", b"{}", 404, "/slow"),
        ("POST", "/acme", b"{}", 404, "owner/alias"),
        ("POST", "/acme/echo", b"{bad", 422, "JSON"),
        ("POST", "/acme/echo", b'{"x": "a"}', 422, "integer"),
        ("POST", "/acme/echo", b"[]", 422, "x"),
        ("POST", "/acme/echo", b'"\xff"', 422, "JSON"),
        ("POST", "/acme/echo", b"[" * 100_000, 422, "JSON"),
        ("POST", "/acme/echo", b"", 422, "x"),
        ("PATCH", "/acme/echo", b"{}", 405, "POST"),
        ("DELETE", "/healthz", b"", 405, "GET"),
        ("POST", "/acme/echo/realtime", b"{}", 404, "WebSocket"),
    ],
)
def test_bad_calls(http: httpx2.Client, method: str, path: str, content: bytes, status: int, says: str) -> None:
    answer = http.request(method, path, content=content)
    assert answer.status_code == status, answer.text
    assert says in answer.text
    assert "detail" in answer.json() and "x-fal-request-id" in answer.headers


def test_a_422_has_the_members_of_all_clients(http: httpx2.Client) -> None:
    body = http.post("/acme/echo", json={"x": "a"}).json()
    assert body["detail"][0]["loc"] == ["body", "x"]
    assert body["status"] == 422 and body["body"] == body["detail"] and "integer" in body["message"]


def test_a_body_over_the_limit_is_413(http: httpx2.Client) -> None:
    answer = http.post("/acme/echo", content=b"x" * (16 * 1024 * 1024 + 1))
    assert answer.status_code == 413 and "max_input_bytes" in answer.text


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/fail", {"message": "on purpose"}, 500, "Internal Server Error"),
        ("/raise_http", {"status": 418, "message": "a teapot"}, 418, "a teapot"),
        ("/field", {}, 422, "too small"),
        ("/misfit", {}, 500, ""),
        ("/nan", {}, 500, ""),
        ("/bytes", {}, 500, ""),
        ("/retry", {"until": 2}, 200, "2"),
    ],
)
def test_what_an_app_does_wrong(http: httpx2.Client, path: str, body: Any, status: int, says: str) -> None:
    answer = http.post(f"/acme/echo{path}", json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.text and "Traceback" not in answer.text


@pytest.mark.parametrize(("path", "cause"), [("/exit", "exited with code 7"), ("/segfault", "SIGSEGV")])
def test_a_request_that_kills_its_runner_ends_with_an_error_that_says_so(
    http: httpx2.Client, path: str, cause: str
) -> None:
    answer = http.post(f"/acme/echo{path}", json={})
    assert (answer.status_code, answer.json()["error_type"]) == (500, "runner_disconnected")
    assert "3 times" in answer.text and cause in answer.text
    kinds = [
        event["kind"]
        for event in http.get(f"/api/v1/requests/{answer.headers['x-fal-request-id']}/events").json()["items"]
    ]
    assert kinds.count("started") == 3 and kinds.count("retried") == 2 and kinds[-1] == "completed"
    assert http.post("/acme/echo", json={"x": 1}).json() == {"y": 2}, "the app is served again"


@pytest.mark.parametrize(
    ("header", "value"), [("x-fal-request-start-timeout", "soon"), ("x-fal-request-timeout", "0.01")]
)
def test_a_header_that_does_not_fit_is_named(http: httpx2.Client, header: str, value: str) -> None:
    answer = http.post("/queue/acme/echo", json={"x": 1}, headers={header: value})
    assert answer.status_code == 422 and header in answer.text and value in answer.text


def test_a_stream_that_is_refused_leaves_no_listener(echo: ServedApp, http: httpx2.Client) -> None:
    key = {"idempotency-key": "a stream that is refused"}
    assert http.post("/acme/echo/generate/stream", json={"count": 1}, headers=key).status_code == 200
    assert http.post("/acme/echo/generate/stream", json={"count": 2}, headers=key).status_code == 422
    assert not echo.on_loop(lambda: dict(echo.server.fleet.dispatcher.chunks._sinks))
