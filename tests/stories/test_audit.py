"""The audit log and the access log: who was refused, what operators did, and every call where that is asked for."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage import telemetry
from pondage.testing import ServedApp, serve

BASIC = str(Path(__file__).parents[1] / "apps" / "basic.py")


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append({**record.__dict__, "said": record.getMessage()})

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record.get("event") == event]


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler, log = Heard(), logging.getLogger("pondage.audit")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def key(served: ServedApp, *scopes: str) -> tuple[str, dict[str, str]]:
    key_id, secret = served.call(served.server.keys.create("k", scopes=scopes))
    return key_id, {"authorization": f"Key {key_id}:{secret}"}


def test_refused_calls_and_operators_acts_are_told(heard: Heard) -> None:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        admin, operator = key(served, "admin")
        reader, caller = key(served, "submit", "read")
        assert http.post("/acme/echo?secret=hush", json={"x": 1}).status_code == 401
        assert http.get("/metrics", headers=caller).status_code == 403
        assert http.get("/api/v1/webhooks/secrets", headers=operator).status_code == 200
        assert http.post("/api/v1/webhooks/keys", json={"kind": "secret"}, headers=operator).status_code < 400
        assert http.post("/acme/echo", json={"x": 1}, headers=caller).status_code == 200
        assert http.get("/api/v1/requests", headers=operator).status_code == 200
        refused = [(one["status"], one["method"], one["route"], one["key"]) for one in heard.lines("refused")]
        assert refused == [(401, "POST", "/acme/echo", ""), (403, "GET", "/metrics", reader)]
        acts = [(one["status"], one["method"], one["route"], one["key"]) for one in heard.lines("act")]
        assert acts[:1] == [(200, "GET", "/api/v1/webhooks/secrets", admin)]
        assert [act[2] for act in acts] == ["/api/v1/webhooks/secrets", "/api/v1/webhooks/keys"]
        assert all(one["address"] == "127.0.0.1" for one in heard.records if one["route"] != "keys")
        assert "hush" not in str([one["said"] for one in heard.records]), "queries are left out"


def test_what_is_no_http_is_told_with_its_address_and_the_librarys_bare_line_is_gone(
    heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(BASIC) as served, caplog.at_level(logging.DEBUG):
        with socket.create_connection(("127.0.0.1", served.server.port)) as raw:
            raw.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
            assert raw.recv(4096).startswith(b"HTTP/1.1 400")
    (told,) = heard.lines("refused")
    assert (told["status"], told["address"], told["why"]) == (400, "127.0.0.1", "this is no HTTP request")
    assert "Invalid HTTP request" not in caplog.text


def test_behind_a_trusted_proxy_the_caller_is_told(heard: Heard) -> None:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        key(served, "admin")
        http.get("/metrics", headers={"x-forwarded-for": "198.51.100.9, 203.0.113.7"})
    assert [one["address"] for one in heard.lines("refused")] == ["203.0.113.7"]


def test_a_flood_is_counted_and_hides_no_act(heard: Heard) -> None:
    with serve(BASIC, audit_rate=1.0) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        admin, operator = key(served, "admin")
        for _ in range(60):
            assert http.get("/metrics").status_code == 401
        assert http.get("/api/v1/webhooks/secrets", headers=operator).status_code == 200
        told = len(heard.lines("refused"))
        assert told < 30 and heard.lines("act")[0]["key"] == admin
        served.on_loop(served.server.audit._sum_up)
        (summary,) = [one for one in heard.records if "left_out" in one]
        assert summary["left_out"] == 60 - told


@pytest.mark.parametrize("as_json", [False, True])
def test_the_access_log_has_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    monkeypatch.setattr(telemetry, "_json_lines", as_json)
    path = tmp_path / "access.log"
    with serve(BASIC, access_log=str(path)) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        key_id, caller = key(served, "submit", "read")
        ran = http.post("/acme/echo?token=hush", json={"x": 1}, headers=caller)
        http.get("/metrics", headers=caller)
        http.get("/api/v1/requests/%1b%5b2J", headers=caller)
        http.post("/acme/echo/stream", json={"count": 2}, headers=caller)
        with pytest.raises(Exception, match="401"):
            from websockets.sync.client import connect

            connect(served.url.replace("http", "ws") + "/acme/echo/realtime")
    lines = path.read_text().splitlines()
    assert "hush" not in path.read_text() and "\x1b" not in path.read_text()
    assert len(lines) == 5
    if as_json:
        entries = [json.loads(line) for line in lines]
        assert [(one["status"], one["method"], one["key"]) for one in entries] == [
            (200, "POST", key_id), (403, "GET", key_id), (404, "GET", key_id), (200, "POST", key_id),
            (401, "WEBSOCKET", ""),
        ]  # fmt: skip
        assert entries[0]["request_id"] == ran.headers["x-fal-request-id"]
        assert entries[0]["bytes"] == len(ran.content) and 0 < entries[0]["duration"] < 30
        assert entries[2]["route"] == "/api/v1/requests/{request_id}"
    else:
        assert f" 127.0.0.1 {key_id} POST /acme/echo 200 {len(ran.content)} " in lines[0]


def test_a_moved_access_log_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with serve(BASIC, access_log=str(path)) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        http.get("/healthz")
        while not path.read_text():
            pass
        path.rename(tmp_path / "access.log.1")
        http.get("/readyz")
    assert "/healthz" in (tmp_path / "access.log.1").read_text() and "/readyz" in path.read_text()


def test_an_access_log_that_cannot_be_written_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="access_log"), serve(BASIC, access_log=str(tmp_path / "no" / "such")):
        pass


def test_keys_made_rotated_and_revoked_by_commands_are_told(heard: Heard) -> None:
    with serve(BASIC) as served:
        before = served.server.keys.known()
        key_id, _ = key(served, "read")
        served.on_loop(lambda: served.server.audit.keys_changed(before, served.server.keys.known()))
        before = served.server.keys.known()
        served.call(served.server.keys.rotate(key_id, 60.0))
        served.on_loop(lambda: served.server.audit.keys_changed(before, served.server.keys.known()))
        before = served.server.keys.known()
        served.call(served.server.keys.revoke(key_id))
        served.on_loop(lambda: served.server.audit.keys_changed(before, served.server.keys.known()))
    told = [(one["key"], one["why"]) for one in heard.lines("act")]
    assert told == [(key_id, "was made"), (key_id, "was rotated"), (key_id, "was revoked")]
