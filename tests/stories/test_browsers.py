"""What browsers, and clients that are made like them, send of their own."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import httpx2
import pytest

from pondage.testing import ServedApp

PAGE = "http://localhost:3000"


def test_a_preflight_is_answered_with_what_it_asks_for(http: httpx2.Client) -> None:
    asked = "x-app-fal-scheduling,x-fal-user-agent, X-My-Own, content-type,b\xe4d name"
    answer = http.options(
        "/acme/echo",
        headers={
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": asked.encode("latin-1"),  # type: ignore[dict-item]
            "access-control-request-private-network": "true",
        },
    )
    assert answer.status_code == 204
    allowed = [name.strip() for name in answer.headers["access-control-allow-headers"].split(",")]
    assert {"x-app-fal-scheduling", "x-fal-user-agent", "x-my-own", "content-type", "authorization"} <= set(allowed)
    assert len(allowed) == len(set(allowed)) and all(name.isascii() and " " not in name for name in allowed)
    assert answer.headers["access-control-allow-private-network"] == "true"


def test_another_origin_is_told_nothing(http: httpx2.Client) -> None:
    headers = {"origin": "https://elsewhere.example", "access-control-request-headers": "x-app-fal-x"}
    answer = http.options("/acme/echo", headers=headers)
    assert answer.status_code == 403 and "access-control-allow-headers" not in answer.headers


def test_a_bare_plus_in_the_address_of_a_webhook_is_one(http: httpx2.Client) -> None:
    url = "http://127.0.0.1:9/a+b?tag=x+y"
    submitted = http.post(f"/queue/acme/echo?fal_webhook={url.replace('?', '%3F')}", json={"x": 1})
    assert submitted.status_code == 200, submitted.text
    deliveries = http.get("/api/v1/webhooks/deliveries", params={"request_id": submitted.json()["request_id"]})
    http.get(submitted.json()["response_url"], headers={"prefer": "wait=20"})
    deliveries = http.get("/api/v1/webhooks/deliveries", params={"request_id": submitted.json()["request_id"]})
    assert [item["url"] for item in deliveries.json()["items"]] == [url]


@pytest.mark.parametrize("connection", ["keep-alive", "keep-alive, Upgrade"])
def test_a_websocket_that_says_keep_alive(echo: ServedApp, connection: str) -> None:
    """As Foundation writes it on Linux."""
    at = urlsplit(echo.url)
    lines = [
        "GET /acme/echo HTTP/1.1", f"Host: {at.netloc}", f"Connection: {connection}", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]  # fmt: skip
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    with socket.create_connection((at.hostname or "", at.port or 0), 20) as wire:
        wire.sendall(head[:40])  # in two pieces, as networks may
        wire.sendall(head[40:])
        came = b""
        while b"\r\n\r\n" not in came:
            came += wire.recv(4096) or pytest.fail(f"it was closed: {came!r}")
        assert came.startswith(b"HTTP/1.1 101"), came
        text = b'{"x": 41}'
        wire.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
        while b'"y":42' not in came:
            came += wire.recv(4096) or pytest.fail(f"it was closed: {came!r}")


def test_an_upgrade_without_a_handshake_is_a_plain_call(http: httpx2.Client) -> None:
    answer = http.post("/acme/echo", json={"x": 1}, headers={"upgrade": "h2c", "connection": "keep-alive"})
    assert answer.json() == {"y": 2}


def test_methods(http: httpx2.Client) -> None:
    for method in ("PUT", "DELETE"):
        assert http.request(method, "/queue/acme/echo", json={"x": 1}).json()["status"] == "IN_QUEUE"
    for path in ("/acme/echo", "/queue/acme/echo"):
        answer = http.request("PATCH", path, json={"x": 1})
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, POST, PUT")
