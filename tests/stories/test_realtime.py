"""A realtime session over a plain WebSocket, framed as the official clients frame it."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pondage.testing import ServedApp


def session(echo: ServedApp, path: str = "/acme/echo/realtime", **more: Any) -> ClientConnection:
    return connect(echo.url.replace("http", "ws") + path, compression=None, **more)


def test_answers_come_in_kind(echo: ServedApp) -> None:
    with session(echo) as socket:
        socket.send(json.dumps({"x": 1}))
        assert json.loads(socket.recv(timeout=10)) == {"y": 2}
        socket.send(msgspec.msgpack.encode({"x": 2}))
        answer = socket.recv(timeout=10)
        assert isinstance(answer, bytes) and msgspec.msgpack.decode(answer) == {"y": 3}
        socket.send(json.dumps({"x": 3}))
        assert json.loads(socket.recv(timeout=10)) == {"y": 4}


def test_the_paths_of_all_clients_lead_to_it(echo: ServedApp) -> None:
    for path in ("/acme/echo/realtime", "/acme/echo/ws", "/acme/echo/realtime?fal_jwt_token=any&max_buffering=5"):
        with session(echo, path) as socket:
            socket.send(json.dumps({"x": 1}))
            assert json.loads(socket.recv(timeout=10)) == {"y": 2}, path


def test_many_messages_keep_their_order(echo: ServedApp) -> None:
    with session(echo) as socket:
        for start in range(0, 100, 5):
            for n in range(start, start + 5):
                socket.send(msgspec.msgpack.encode({"x": n}))
            answers = [msgspec.msgpack.decode(socket.recv(timeout=10)) for _ in range(5)]
            assert answers == [{"y": n + 1} for n in range(start, start + 5)]


@pytest.mark.parametrize("garbage", ["{bad", b"\xc1", '{"x": "a"}', b"\x81\xa1x\xa1a"])
def test_a_malformed_message_is_said_and_the_session_goes_on(echo: ServedApp, garbage: str | bytes) -> None:
    with session(echo) as socket:
        socket.send(garbage)
        told = socket.recv(timeout=10)
        assert isinstance(told, str) and json.loads(told)["type"] == "x-fal-error"
        assert {"error", "reason"} <= json.loads(told).keys()
        socket.send(json.dumps({"x": 1}))
        assert json.loads(socket.recv(timeout=10)) == {"y": 2}


def test_an_error_on_one_message_leaves_the_session_open(echo: ServedApp) -> None:
    with session(echo) as socket:
        socket.send(json.dumps({"x": 1, "pad": "fail"}))
        assert json.loads(socket.recv(timeout=10))["type"] == "x-fal-error"
        socket.send(json.dumps({"x": 1}))
        assert json.loads(socket.recv(timeout=10)) == {"y": 2}


def test_a_session_is_a_request_with_a_history(echo: ServedApp, http: httpx2.Client) -> None:
    with session(echo) as socket:
        assert socket.response is not None
        request_id = socket.response.headers["x-fal-request-id"]
        socket.send(json.dumps({"x": 1}))
        socket.recv(timeout=10)
        view = http.get(f"/api/v1/requests/{request_id}").json()
        assert (view["mode"], view["state"]) == ("session", "IN_PROGRESS")
    ended = http.get(f"/queue/acme/echo/requests/{request_id}", headers={"prefer": "wait=10"})
    assert ended.status_code == 200
    assert http.get(f"/api/v1/requests/{request_id}").json()["outcome"] == "ok"


def test_a_cancelled_session_is_closed_with_a_reason(echo: ServedApp, http: httpx2.Client) -> None:
    with session(echo) as socket:
        assert socket.response is not None
        socket.send(json.dumps({"x": 1}))
        socket.recv(timeout=10)
        request_id = socket.response.headers["x-fal-request-id"]
        assert http.put(f"/queue/acme/echo/requests/{request_id}/cancel").status_code == 202
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd is not None and closed.value.rcvd.reason


def test_a_large_message_passes_whole_and_one_too_large_does_not(echo: ServedApp) -> None:
    with session(echo, max_size=None) as socket:
        socket.send(msgspec.msgpack.encode({"x": 1, "pad": "p" * 3_000_000}))
        assert msgspec.msgpack.decode(socket.recv(timeout=10)) == {"y": 2}


def test_an_unknown_path_is_refused_at_the_handshake(echo: ServedApp) -> None:
    with pytest.raises(InvalidStatus) as refused:
        session(echo, "/acme/nothing/realtime")
    assert refused.value.response.status_code == 404
