"""A caller runs, submits, follows, fetches and cancels, over plain HTTP as the protocol says."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.testing import ServedApp

from ..apps.gates import Gate

QUEUE = "/queue/acme/echo"


def submit(http: httpx2.Client, path: str = "", body: Any = None, **headers: str) -> dict[str, Any]:
    answer = http.post(QUEUE + path, json={"x": 1} if body is None else body, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def result(http: httpx2.Client, request_id: str, seconds: int = 20) -> httpx2.Response:
    return http.get(f"{QUEUE}/requests/{request_id}", headers={"prefer": f"wait={seconds}"})


def events(http: httpx2.Client, request_id: str) -> list[dict[str, Any]]:
    return list(http.get(f"/api/v1/requests/{request_id}/events").json()["items"])


def sse(http: httpx2.Client, method: str, url: str, **more: Any) -> list[tuple[str, Any]]:
    """The events of a whole stream: (id, data)."""
    found = []
    with http.stream(method, url, **more) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
        for block in "".join(answer.iter_text()).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                found.append((fields.get("id", ""), json.loads(fields["data"])))
    return found


def test_run_is_one_round_trip_and_leaves_its_history(http: httpx2.Client) -> None:
    answer = http.post("/acme/echo", json={"x": 1})
    assert (answer.status_code, answer.json()) == (200, {"y": 2})
    log = events(http, answer.headers["x-fal-request-id"])
    assert [event["kind"] for event in log] == ["queued", "started", "completed"]
    assert [event["n"] for event in log] == [1, 2, 3]


def test_run_takes_its_input_from_a_query_too(http: httpx2.Client) -> None:
    headers = {"authorization": "Key any:thing"}  # without a header that pages cannot send, it is refused
    assert http.get("/acme/echo/sync", params={"x": 4}, headers=headers).json() == {"y": 5}
    refused = http.get("/acme/echo/sync", params={"x": 4})
    assert refused.status_code == 403 and "Authorization" in refused.json()["detail"]


def test_submit_answers_with_everything_that_clients_need(http: httpx2.Client) -> None:
    given = submit(http)
    base = f"{http.base_url!s}".rstrip("/") + f"{QUEUE}/requests/{given['request_id']}"
    assert given | {"queue_position": 0} == {
        "status": "IN_QUEUE",
        "request_id": given["request_id"],
        "gateway_request_id": given["request_id"],
        "response_url": base,
        "status_url": base + "/status",
        "cancel_url": base + "/cancel",
        "queue_position": 0,
        "logs": None,
        "metrics": {},
    }
    answer = result(http, given["request_id"])
    assert answer.json() == {"y": 2}
    assert answer.headers["x-fal-request-id"] == given["request_id"]


def test_status_goes_from_202_to_200_and_carries_the_logs(http: httpx2.Client, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    request_id = submit(http, "/gated", {"gate": str(gate), "steps": 3})["request_id"]
    first = http.get(f"{QUEUE}/requests/{request_id}/status", params={"logs": 1})
    assert first.status_code == 202 and first.json()["status"] in {"IN_QUEUE", "IN_PROGRESS"}
    gate.open(3)
    assert result(http, request_id).status_code == 200
    last = http.get(f"{QUEUE}/gated/requests/{request_id}/status/", params={"logs": "true"})
    status = last.json()
    assert (last.status_code, status["status"]) == (200, "COMPLETED")
    assert [line["message"] for line in status["logs"]] == ["step 0", "step 1", "step 2"]
    assert {line["labels"]["level"] for line in status["logs"]} == {"STDOUT"}
    assert http.get(f"{QUEUE}/requests/{request_id}/status").json()["logs"] is None


def test_inference_time_is_what_the_function_took(http: httpx2.Client) -> None:
    request_id = submit(http, "/slow", {"seconds": 0.3, "steps": 3})["request_id"]
    assert result(http, request_id).status_code == 200
    status = http.get(f"{QUEUE}/requests/{request_id}/status").json()
    assert status["metrics"]["inference_time"] >= 0.3


def test_an_unfinished_result_is_400_without_a_preference_and_202_after_it(http: httpx2.Client) -> None:
    request_id = submit(http, "/slow", {"seconds": 5})["request_id"]
    answer = http.get(f"{QUEUE}/requests/{request_id}")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Request is still in progress")
    waited = result(http, request_id, 0)
    assert waited.status_code == 202 and waited.json()["status"] in {"IN_QUEUE", "IN_PROGRESS"}
    http.put(f"{QUEUE}/requests/{request_id}/cancel")


def test_the_status_stream_tells_each_log_line_once_and_ends_completed(http: httpx2.Client) -> None:
    request_id = submit(http, "/slow", {"seconds": 0.4, "steps": 4})["request_id"]
    url = f"{QUEUE}/requests/{request_id}/status/stream?logs=1"
    told = sse(http, "GET", url)
    lines = [line["message"] for _, status in told for line in status["logs"] or []]
    assert lines == ["step 0", "step 1", "step 2", "step 3"]
    assert told[-1][1]["status"] == "COMPLETED"
    half = next(i for i, (_, status) in enumerate(told) if status["logs"])
    again = sse(http, "GET", url, headers={"last-event-id": told[half][0]})
    seen = [line["message"] for _, status in told[: half + 1] for line in status["logs"] or []]
    assert seen + [line["message"] for _, status in again for line in status["logs"] or []] == lines


def test_cancel_while_queued_while_running_and_too_late(http: httpx2.Client) -> None:
    running = submit(http, "/slow", {"seconds": 30})["request_id"]
    url = f"{QUEUE}/requests/{running}"
    with http.stream("GET", f"{url}/status/stream?logs=1") as stream:
        next(text for text in stream.iter_text() if "step 0" in text)
    answer = http.put(f"{url}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLATION_REQUESTED")
    ended = http.get(url)
    assert (ended.status_code, ended.json()["error_type"]) == (499, "client_cancelled")
    late = http.put(f"{url}/cancel")
    assert (late.status_code, late.json()["status"]) == (400, "ALREADY_COMPLETED")
    assert http.get(f"{url}/status").json()["status"] == "COMPLETED"


def test_a_generator_streams_its_chunks_and_can_be_replayed(http: httpx2.Client) -> None:
    chunks = sse(http, "POST", "/acme/echo/generate/stream", json={"count": 5})
    assert [data["i"] for _, data in chunks] == [0, 1, 2, 3, 4]
    assert [event_id for event_id, _ in chunks] == [f"1-{n}" for n in range(1, 6)]
    with http.stream("POST", "/acme/echo/generate/stream", json={"count": 50}) as answer:
        request_id = answer.headers["x-fal-request-id"]
    url = f"{QUEUE}/requests/{request_id}/stream"
    assert [data["i"] for _, data in sse(http, "GET", url)] == list(range(50))
    assert [data["i"] for _, data in sse(http, "GET", url, headers={"last-event-id": "1-48"})] == [48, 49]


def test_a_stream_that_fails_says_so_in_its_last_event(http: httpx2.Client) -> None:
    told = sse(http, "POST", "/acme/echo/stream", json={"count": 5, "fail_at": 2})
    assert [data.get("i") for _, data in told] == [0, 1, None]
    assert told[-1][1]["type"] == "error" and told[-1][1]["status"] == 500


def test_the_same_key_is_one_request_and_another_body_is_refused(http: httpx2.Client, echo: ServedApp) -> None:
    def call(n: int) -> tuple[str, Any]:
        with httpx2.Client(base_url=echo.url, timeout=30) as client:
            answer = client.post("/acme/echo", json={"x": 7}, headers={"idempotency-key": "raced"})
            return answer.headers["x-fal-request-id"], answer.json()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(call, range(50)))
    assert len({request_id for request_id, _ in answers}) == 1
    assert all(body == {"y": 8} for _, body in answers)
    other = http.post("/acme/echo", json={"x": 8}, headers={"idempotency-key": "raced"})
    assert other.status_code == 422 and "Idempotency-Key" in other.text


def test_a_request_that_waits_longer_than_its_start_limit_ends_with_504(http: httpx2.Client) -> None:
    limit = {"x-fal-request-start-timeout": "0.3", "x-fal-request-timeout": "60"}
    blockers = [submit(http, "/slow", {"seconds": 30})["request_id"] for _ in range(64)]
    waiting = submit(http, "", {"x": 1}, **limit)["request_id"]
    answer = result(http, waiting)
    for request_id in blockers:
        http.put(f"{QUEUE}/requests/{request_id}/cancel")
    assert (answer.status_code, answer.headers["x-fal-request-timeout-type"]) == (504, "user")
    assert answer.json()["error_type"] == "request_timeout"


def test_retry_makes_a_new_request_of_the_same_input(http: httpx2.Client) -> None:
    first = http.post("/acme/echo", json={"x": 3}).headers["x-fal-request-id"]
    again = http.post(f"/api/v1/requests/{first}/retry").json()
    assert again["retried_from"] == first
    assert result(http, again["request_id"]).json() == {"y": 4}


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_an_unknown_request_is_404_in_fals_shape(http: httpx2.Client, method: str) -> None:
    path = {"GET": "/status", "PUT": "/cancel", "POST": ""}[method]
    if method == "POST":
        assert http.post(f"{QUEUE}/requests/none").status_code == 405
    else:
        answer = http.request(method, f"{QUEUE}/requests/none{path}")
        assert (answer.status_code, answer.json()["status"]) == (404, "NOT_FOUND")


def test_the_head_of_a_stream_leaves_its_connection_free(echo: ServedApp) -> None:
    """Its request runs for long, and the next call on the connection waits for none of it."""
    with httpx2.Client(base_url=echo.url, timeout=10, limits=httpx2.Limits(max_connections=1)) as one:
        request_id = one.post("/queue/acme/echo/slow", json={"seconds": 60}).json()["request_id"]
        for path in ("stream", "status/stream"):
            head = one.head(f"/queue/acme/echo/requests/{request_id}/{path}")
            assert (head.status_code, head.headers["content-type"][:17]) == (200, "text/event-stream")
            assert one.get("/healthz").status_code == 200
            refused = one.get("/healthz", headers={"x-a": b"\x01"})  # type: ignore[dict-item]
            assert refused.status_code == 400, "and what is no request is told so"
        assert one.put(f"/queue/acme/echo/requests/{request_id}/cancel").is_success
