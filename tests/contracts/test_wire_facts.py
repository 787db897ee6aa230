"""Facts of the protocol that no client's own test shows: what is written on the wire, by plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.queue.sqlite import upkeep
from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"
ECHO = "/queue/acme/echo"

wire = partial(pytest.mark.compat, client="http")


@pytest.fixture(scope="module")
def served() -> Iterator[ServedApp]:
    with serve(str(APPS / "basic.py"), str(APPS / "single.py"), str(APPS / "sketch.py")) as server:
        yield server


@pytest.fixture
def http(served: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[httpx2.Client, str]]:
    """A server that asks for keys, and a key for it."""
    with serve(str(APPS / "sketch.py")) as server, httpx2.Client(base_url=server.url, timeout=30) as client:
        yield client, ":".join(server.call(server.server.keys.create("wire", scopes=("submit", "read", "files"))))


def submit(http: httpx2.Client, path: str, input: Any = None, **headers: str) -> dict[str, Any]:
    answer = http.post(f"/queue{path}", json=input if input is not None else {}, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def outcome(http: httpx2.Client, submitted: dict[str, Any]) -> httpx2.Response:
    return http.get(submitted["response_url"], headers={"prefer": "wait=20"})


# ---- who calls


@wire("Authorization: Bearer", "Authorization: Key", "POST /tokens/", "POST /tokens/realtime")
def test_forms_of_authorization(guarded: tuple[httpx2.Client, str]) -> None:
    http, key = guarded
    for form in (f"Key {key}", f"key {key}", f"Bearer {key}"):
        assert http.post("/acme/sketch", headers={"authorization": form}).status_code == 200, form
    asked = {"allowed_apps": ["sketch"], "token_expiration": 120}
    token = http.post("/tokens/", json=asked, headers={"authorization": f"Key {key}"}).json()
    assert http.post("/acme/sketch", headers={"authorization": f"Bearer {token}"}).status_code == 200
    wanted = {"allowed_apps": ["acme/sketch/realtime"], "duration": 120}
    other = http.post("/tokens/realtime", json=wanted, headers={"authorization": f"Key {key}"}).json()["token"]
    assert http.post("/acme/sketch", headers={"authorization": f"Bearer {other}"}).status_code == 200


@wire("401 detail", "x-fal-request-id on errors", "errors are JSON objects with detail")
@pytest.mark.parametrize("form", ["Key", "Key abc", "Basic abc", "Key a:b", "Bearer nonsense"])
def test_a_wrong_authorization_is_401(guarded: tuple[httpx2.Client, str], form: str) -> None:
    http, _ = guarded
    for path in ("/acme/sketch", "/queue/acme/sketch", "/tokens/", "/storage/upload/initiate"):
        refused = http.post(path, json={}, headers={"authorization": form})
        assert refused.status_code == 401 and isinstance(refused.json()["detail"], str)
        assert refused.headers["x-fal-request-id"]


# ---- routes


@wire("trailing slashes, without a redirect")
def test_trailing_slashes(http: httpx2.Client) -> None:
    done = submit(http, "/acme/echo/", {"x": 1})
    assert outcome(http, done).json() == {"y": 2}
    for path in ("/status", "/status/", "", "/", "/response/"):
        assert http.get(done["response_url"] + path).status_code == 200, path
    assert http.put(done["cancel_url"] + "/").json()["status"] == "ALREADY_COMPLETED"
    wanted = {"content_type": "text/plain", "file_name": "a.txt"}
    for path in ("/storage/upload/initiate", "/storage/upload/initiate/", "/rest/storage/upload/initiate"):
        assert http.post(path, json=wanted).status_code == 200, path
    for path in ("/tokens", "/tokens/", "/rest/tokens/"):
        assert http.post(path, json={"allowed_apps": ["echo"]}).status_code == 200, path


@wire("GET /queue/{owner}/{alias}/requests/{request_id}/response", "POST /queue/{owner}/{alias}/{path}")
def test_the_documented_alias_of_the_result(http: httpx2.Client) -> None:
    done = submit(http, "/acme/echo/sync", {"x": 4})
    outcome(http, done)
    assert http.get(done["response_url"] + "/response").json() == {"y": 5}


@wire("submits by GET", "empty bodies are {}")
def test_other_forms_of_an_input(http: httpx2.Client) -> None:
    headers = {"authorization": "Key any:thing"}  # as fal's clients send one
    by_get = http.get(f"{ECHO}/sync", params={"x": "6", "fal_max_queue_length": "100"}, headers=headers)
    assert by_get.status_code == 200 and outcome(http, by_get.json()).json() == {"y": 7}
    for content in (b"", b"  ", b"{}"):
        answer = http.post("/acme/sketch", content=content, headers={"content-type": "application/json"})
        assert answer.json() == {"prompt": "nothing"}


# ---- the receipt, the status


@wire(
    "submit answers 200", "submit.status", "submit.request_id", "submit.queue_position", "submit.response_url",
    "submit.status_url", "submit.cancel_url", "submit.gateway_request_id", "submit.logs", "submit.metrics",
)  # fmt: skip
def test_the_receipt(http: httpx2.Client) -> None:
    answer = http.post(f"{ECHO}/sync", json={"x": 1})
    body = answer.json()
    base = f"{http.base_url}".rstrip("/") + f"{ECHO}/requests/{body['request_id']}"
    assert answer.status_code == 200 and answer.headers["x-fal-request-id"] == body["request_id"]
    assert body == {
        "status": "IN_QUEUE", "request_id": body["request_id"], "gateway_request_id": body["request_id"],
        "response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel",
        "queue_position": body["queue_position"], "logs": None, "metrics": {},
    }  # fmt: skip


@wire("logs: 1, true, in any case", "status.request_id", "status.cancel_url", "status.status_url")
def test_logs_are_asked_for(http: httpx2.Client) -> None:
    done = submit(http, "/acme/echo/logs", {"lines": 1})
    outcome(http, done)
    for value in ("1", "true", "True", "TRUE"):
        assert http.get(done["status_url"], params={"logs": value}).json()["logs"], value
    for value in ("0", "false", "", "no"):
        status = http.get(done["status_url"], params={"logs": value}).json()
        assert status["logs"] is None
        assert (status["request_id"], status["cancel_url"], status["status_url"]) == (
            done["request_id"], done["cancel_url"], done["status_url"],
        )  # fmt: skip


@wire("status.logs[].message", "status.logs[].timestamp", "status.logs[].level", "status.logs[].source",
      "status.logs[].labels.level", "status.logs[].labels.source")  # fmt: skip
def test_a_log_entry_is_what_all_clients_read(http: httpx2.Client) -> None:
    done = submit(http, "/acme/echo/logs", {"lines": 1})
    outcome(http, done)
    for entry in http.get(done["status_url"], params={"logs": "1"}).json()["logs"]:
        assert entry["level"] == entry["labels"]["level"] and entry["source"] == "USER" and entry["labels"]["source"]
        assert isinstance(entry["message"], str) and "T" in entry["timestamp"]


@wire(
    "status stream: one data line an event", "status stream: no event without data", "status stream: a final blank line"
)
def test_the_bytes_of_a_status_stream(http: httpx2.Client) -> None:
    done = submit(http, "/acme/echo/slow", {"seconds": 0.2, "steps": 2})
    answer = http.get(done["status_url"] + "/stream", params={"logs": "1"}, headers={"accept": "*/*"})
    assert answer.headers["content-type"].startswith("text/event-stream") and answer.text.endswith("\n\n")
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        assert [line.startswith("data: ") for line in lines].count(True) == (1 if lines else 0)
        assert all(json.loads(line[6:])["status"] for line in lines if line.startswith("data: "))


@wire("streams: every event is ASCII JSON", "streams: no [DONE]", "streams: Accept does not matter")
def test_the_bytes_of_a_stream(http: httpx2.Client) -> None:
    answer = http.post("/acme/echo/generate/stream", json={"count": 3}, headers={"accept": "application/json"})
    assert answer.content.isascii() and answer.content.endswith(b"\n\n") and b"DONE" not in answer.content
    data = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert data == [{"i": n, "text": "é"} for n in range(3)]


# ---- headers


@wire("X-Fal-Request-Start-Timeout", "X-Fal-Request-Timeout", "X-Fal-Request-Timeout-Type")
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Fal-Request-Start-Timeout": "0.2", "X-Fal-Request-Timeout": "600"},
        {"X-Fal-Request-Timeout": "0.2"},
    ],
)
def test_the_start_limit(http: httpx2.Client, headers: dict[str, str]) -> None:
    blocker = submit(http, "/acme/single/slow", {"seconds": 60})
    try:
        late = outcome(http, submit(http, "/acme/single/slow", {"seconds": 0}, **headers))
        assert (late.status_code, late.headers["x-fal-request-timeout-type"]) == (504, "user")
    finally:
        http.put(blocker["cancel_url"])


@wire("fal_max_queue_length", "cancel: 200 while it waits")
def test_a_queue_that_is_too_long(http: httpx2.Client) -> None:
    blocker = submit(http, "/acme/single/slow", {"seconds": 60})
    waiting = [submit(http, "/acme/single/slow", {"seconds": 0}) for _ in range(2)]
    refused = http.post("/queue/acme/single/slow?fal_max_queue_length=1", json={})
    assert refused.status_code == 429 and refused.json()["detail"]
    for one in waiting:
        cancelled = http.put(one["cancel_url"])
        assert (cancelled.status_code, cancelled.json()) == (200, {"status": "OK"})
    http.put(blocker["cancel_url"])


@wire("x-fal-queue-priority")
def test_low_priority_lets_others_go_first(http: httpx2.Client) -> None:
    blocker = submit(http, "/acme/single/slow", {"seconds": 60})
    low = submit(http, "/acme/single/slow", {"seconds": 0}, **{"x-fal-queue-priority": "low"})
    odd = submit(http, "/acme/single/slow", {"seconds": 0}, **{"x-fal-queue-priority": "highest"})
    http.put(blocker["cancel_url"])
    assert outcome(http, low).status_code == 200
    assert http.get(odd["status_url"]).json()["status"] == "COMPLETED", "an unknown word is normal"


@wire("X-Fal-Store-IO")
def test_what_is_not_stored_is_dropped_once_it_was_read(http: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PRIVATE_KEPT", 0.0)
    done = submit(http, "/acme/echo/sync", {"x": 1}, **{"X-Fal-Store-IO": "0"})
    assert outcome(http, done).json() == {"y": 2}
    while (again := http.get(done["response_url"])).status_code == 200:
        pass  # it is dropped a moment after the answer
    assert again.status_code in {404, 410} and again.json()["detail"]


@wire("X-Fal-No-Retry", "error_type: runner_disconnected")
def test_a_request_that_is_not_run_again(http: httpx2.Client) -> None:
    ended = outcome(http, done := submit(http, "/acme/echo/exit", {}, **{"X-Fal-No-Retry": "1"}))
    assert ended.status_code == 500 and ended.headers["x-fal-error-type"] == ended.json()["error_type"]
    assert http.get(f"/api/v1/requests/{done['request_id']}").json()["attempt"] == 1


@wire("any custom header", "X-Fal-Tags", "x-app-fal-disable-fallback", "X-Fal-Runner-Hint")
def test_headers_for_the_app(http: httpx2.Client) -> None:
    sent = {"X-Fal-Tags": "a,b", "x-app-fal-disable-fallback": "true", "X-Mine": "1", "X-Fal-Runner-Hint": "lora"}
    seen = http.post("/acme/echo/who", headers=sent).json()["headers"]
    assert {name.lower(): value for name, value in sent.items()}.items() <= seen.items()
    assert "authorization" not in seen and "host" not in seen


@wire("x-fal-request-id", "x-fal-request-id on errors")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/acme/sketch"), ("POST", "/queue/acme/sketch"), ("POST", "/acme/nothing"),
        ("GET", "/acme/echo/x/y"), ("PATCH", "/acme/echo"), ("GET", "/queue/acme/echo/requests/none"),
        ("PUT", "/queue/acme/echo/requests/none/cancel"), ("POST", "/api/fal/proxy"), ("POST", "/acme/echo/fail"),
        ("POST", "/acme/echo/field"),
    ],
)  # fmt: skip
def test_every_answer_of_a_call_has_an_id(http: httpx2.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert answer.headers["x-fal-request-id"]
    if answer.status_code >= 400:
        assert isinstance(answer.json(), dict) and answer.json()["detail"]


@wire("X-Fal-Error-Type", "error_type")
def test_an_error_of_the_infrastructure_has_a_type(http: httpx2.Client) -> None:
    early = submit(http, "/acme/echo/slow", {"seconds": 30})
    refused = http.get(early["response_url"])
    assert (refused.status_code, refused.json()["error_type"]) == (400, "bad_request")
    assert refused.headers["x-fal-error-type"] == "bad_request"
    http.put(early["cancel_url"])
    cancelled = outcome(http, early)
    assert (cancelled.status_code, cancelled.headers["x-fal-error-type"]) == (499, "client_cancelled")


@wire("nothing that was begun ends in 408, 409, 429, 502 or 503")
@pytest.mark.parametrize("status", [408, 409, 429, 502, 503])
def test_statuses_that_clients_repeat(http: httpx2.Client, status: int) -> None:
    answer = http.post("/acme/echo/raise_http", json={"status": status, "message": "busy"})
    assert (answer.status_code, answer.json()["detail"]) == (500, "busy")
    final = http.post("/acme/echo/raise_http", json={"status": 504})
    assert (final.status_code, final.headers["x-fal-request-timeout-type"]) == (504, "user")


# ---- files


@wire("HEAD /files/{name}", "Range of a file", "GET /files/{name}", "part answers: JSON body and ETag header")
def test_a_file_is_read_without_a_key(guarded: tuple[httpx2.Client, str]) -> None:
    http, key = guarded
    mine = {"authorization": f"Key {key}"}
    wanted = {"content_type": "video/mp4", "file_name": "a.mp4"}
    granted = http.post("/storage/upload/initiate-multipart", json=wanted, headers=mine).json()
    target, _, query = granted["upload_url"].partition("?")
    part = http.put(f"{target}/1?{query}", content=b"0123456789")
    assert part.json() == {"partNumber": 1, "etag": part.headers["etag"].strip('"')}
    assert http.post(f"{target}/complete?{query}", json={"parts": [part.json()]}).status_code == 200
    head = http.head(granted["file_url"])
    assert (head.status_code, head.headers["content-length"], head.headers["accept-ranges"]) == (200, "10", "bytes")
    some = http.get(granted["file_url"], headers={"range": "bytes=2-4"})
    assert (some.status_code, some.content) == (206, b"234")


@wire("CDN token: expires_at with +00:00", "CDN token: token_type, base_url")
def test_the_token_for_uploads(guarded: tuple[httpx2.Client, str]) -> None:
    http, key = guarded
    path = "/storage/auth/token?storage_type=fal-cdn-v3"
    token = http.post(path, json={}, headers={"authorization": f"Key {key}"}).json()
    assert token["expires_at"].endswith("+00:00") and token["base_url"] == f"{http.base_url}".rstrip("/")
    bearer = {"authorization": f"{token['token_type']} {token['token']}"}
    assert http.post("/files/upload", content=b"x", headers=bearer).status_code == 200
    assert http.post("/acme/sketch", headers=bearer).status_code == 403, "good for uploads only"
