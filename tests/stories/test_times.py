"""A caller says when a request may start, by when it must have ended, and how long its payloads are kept."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.client import HTTPError, SyncClient

from ..apps.gates import Gate

QUEUE = "/queue/acme/echo"


def submit(http: httpx2.Client, path: str = "", body: Any = None, **headers: str) -> dict[str, Any]:
    answer = http.post(
        QUEUE + path, json=body or {"x": 1}, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def result(http: httpx2.Client, request: dict[str, Any]) -> httpx2.Response:
    return http.get(request["response_url"], headers={"prefer": "wait=20"})


@pytest.mark.parametrize("spelt", ["seconds", "iso"])
def test_a_request_starts_no_sooner_than_it_may(http: httpx2.Client, spelt: str) -> None:
    at = time.time() + 1.2
    text = str(at) if spelt == "seconds" else datetime.fromtimestamp(at, UTC).isoformat()
    request = submit(http, pondage_start_at=text)
    told = http.get(request["status_url"]).json()
    assert (told["status"], told["queue_position"]) == ("IN_QUEUE", 0)
    assert abs(datetime.fromisoformat(told["start_at"]).timestamp() - at) < 0.01
    assert result(http, request).json() == {"y": 2}
    shown = http.get(f"/api/v1/requests/{request['request_id']}").json()
    assert datetime.fromisoformat(shown["started_at"]).timestamp() >= at - 0.01


def test_the_client_says_them(http: httpx2.Client, tmp_path: Path) -> None:
    at = time.time() + 600
    with SyncClient(base_url=str(http.base_url)) as client:
        later = client.submit("acme/echo", {"x": 1}, start_at=datetime.fromtimestamp(at, UTC), payload_ttl=5)
        told = http.get(later.status_url).json()
        assert abs(datetime.fromisoformat(told["start_at"]).timestamp() - at) < 0.01
        later.cancel()
        gate = Gate(tmp_path / "gate")
        late = client.queue.submit("acme/echo/gated", {"gate": str(gate)}, deadline=time.time() + 1)
        with pytest.raises(HTTPError) as caught:
            late.get()
        assert caught.value.status_code == 504


def test_a_request_ends_by_its_deadline(http: httpx2.Client, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    request = submit(http, "/gated", {"gate": str(gate)}, pondage_deadline=str(time.time() + 1))
    answer = result(http, request)
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (504, "request_timeout")


YEAR = 366 * 86_400


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"pondage-start-at": "soon"}, "is no time"),
        ({"pondage-start-at": "nan"}, "is no time"),
        ({"pondage-start-at": "2001-01-01T00:00:00Z"}, "has passed"),
        ({"pondage-start-at": "-5"}, "has passed"),
        ({"pondage-start-at": str(time.time() + YEAR + 3600)}, "more than a year ahead"),
        ({"pondage-deadline": "1e300"}, "more than a year ahead"),
        ({"pondage-deadline": str(time.time() - 3600)}, "has passed"),
        ({"pondage-start-at": str(time.time() + 500), "pondage-deadline": str(time.time() + 400)}, "is not after"),
        ({"pondage-payload-ttl": "-1"}, "is not a number of seconds"),
        ({"pondage-payload-ttl": "inf"}, "is not a number of seconds"),
    ],
)
def test_what_is_no_time_is_refused_by_name(http: httpx2.Client, headers: dict[str, str], said: str) -> None:
    answer = http.post(QUEUE, json={"x": 1}, headers=headers)
    detail = answer.json()["detail"][0]
    assert (answer.status_code, detail["loc"][1].lower() in headers, said in detail["msg"]) == (422, True, True)


def test_a_direct_call_is_not_scheduled(http: httpx2.Client) -> None:
    answer = http.post("/acme/echo", json={"x": 1}, headers={"pondage-start-at": str(time.time() + 100)})
    assert answer.status_code == 422 and "submitted to the queue" in answer.text


@pytest.mark.parametrize("place", ["/api/v1/requests/{}", "/v1/models/requests/{}", QUEUE + "/requests/{}"])
def test_payloads_are_deleted(http: httpx2.Client, place: str) -> None:
    request = submit(http)
    assert result(http, request).status_code == 200
    url = place.format(request["request_id"]) + "/payloads"
    assert http.delete(url).json() == {"cdn_delete_results": []}
    assert result(http, request).status_code == 410
    shown = http.get(f"/api/v1/requests/{request['request_id']}").json()
    assert (shown["outcome"], shown["input"]) == ("ok", None)


def test_payloads_of_what_has_not_ended_stay(http: httpx2.Client) -> None:
    request = submit(http, pondage_start_at=str(time.time() + 1000))
    answer = http.delete(f"/api/v1/requests/{request['request_id']}/payloads")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Request is still in progress")
    assert http.put(request["cancel_url"]).json() == {"status": "OK"}
    assert http.delete("/api/v1/requests/none/payloads").status_code == 404
