"""What one request does to its process ends no other, a device's error is nobody's fault, and a broken app says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import pondage
import pondage.client
from pondage.testing import ServedApp, serve

from ..apps.gates import Gate

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture(scope="module")
def together() -> Iterator[ServedApp]:
    with serve(f"{APPS / 'neighbours.py'}:Together") as served:
        yield served


def client(served: ServedApp) -> httpx2.Client:
    return httpx2.Client(base_url=served.url, timeout=60)


def wait_for_begin(http: httpx2.Client, request_id: str) -> None:
    """Until the request's own word is in its log."""
    with http.stream("GET", f"/queue/acme/together/requests/{request_id}/status/stream?logs=1") as events:
        for line in events.iter_lines():
            if '"begun"' in line:
                return


def events_of(http: httpx2.Client, request_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = http.get(f"/api/v1/requests/{request_id}/events").json()["items"]
    return items


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/exit", {"how": "SystemExit"}, 500),
        ("/exit", {"how": "KeyboardInterrupt"}, 500),
        ("/callback", {}, 200),
        ("/stop", {}, 200),
        ("/cancel", {}, 200),
        ("/interrupt", {}, 200),
    ],
)
def test_neighbours_of_a_request_that_goes_wild_are_answered(
    together: ServedApp, tmp_path: Path, path: str, body: dict[str, str], status: int
) -> None:
    gate = Gate(tmp_path / "gate")
    with client(together) as http:
        slow = [http.post("/queue/acme/together/slow", json={"gate": str(gate)}).json()["request_id"] for _ in range(3)]
        for request_id in slow:
            wait_for_begin(http, request_id)
        wild = http.post(f"/acme/together{path}", json=body)
        assert wild.status_code == status, wild.text
        gate.open()
        for request_id in slow:
            answer = http.get(f"/queue/acme/together/requests/{request_id}", headers={"prefer": "wait=40"})
            assert (answer.status_code, answer.json()) == (200, "passed")
        again = [e for request_id in slow for e in events_of(http, request_id) if e["kind"] == "retried"]
        assert not any(e["strike"] for e in again), "nobody is struck"
        assert bool(again) == (path == "/cancel"), "only tasks that were cancelled run again"
        assert len(http.get("/api/v1/runners").json()["items"]) == 1


@pytest.fixture(scope="module")
def device() -> Iterator[ServedApp]:
    with serve(f"{APPS / 'neighbours.py'}:Device") as served:
        yield served


def test_a_device_error_runs_once_more_in_another_process(device: ServedApp, tmp_path: Path) -> None:
    with client(device) as http:
        answer = http.post("/acme/device", json={"folder": str(tmp_path), "fails": 1})
        assert answer.status_code == 200, answer.text
        processes = {int(path.name) for path in tmp_path.iterdir()}
        assert len(processes) == 2 and answer.json() in processes
        (retried,) = [e for e in events_of(http, answer.headers["x-fal-request-id"]) if e["kind"] == "retried"]
        assert not retried["strike"] and "CUDA out of memory" in retried["reason"]


def test_a_device_that_fails_twice_is_500_with_the_frameworks_words(device: ServedApp, tmp_path: Path) -> None:
    with client(device) as http:
        answer = http.post("/acme/device", json={"folder": str(tmp_path), "fails": 9})
        assert (answer.status_code, answer.headers["x-fal-error-type"]) == (500, "runner_server_error")
        assert answer.json()["detail"] == "CUDA out of memory. Tried to allocate 2.00 GiB"
        assert len(list(tmp_path.iterdir())) == 2, "two processes have tried"


def test_a_stream_that_was_seen_is_not_repeated(device: ServedApp, tmp_path: Path) -> None:
    with client(device) as http:
        text = http.post("/acme/device/stream", json={"folder": str(tmp_path), "fails": 1}).text
        assert '"first"' in text and "runner_server_error" in text
        assert len(list(tmp_path.iterdir())) == 1


def test_what_an_app_answers_on_purpose_is_its_answer(device: ServedApp) -> None:
    with client(device) as http:
        answer = http.post("/acme/device/busy", json={})
        assert answer.status_code == 500 and "x-fal-error-type" not in answer.headers


BROKEN = "import pondage\nclass Bad(pondage.App, name='acme/bad'{more}):\n    def setup(self):\n        {setup}\n" + (
    "    @pondage.endpoint('/')\n    def run(self) -> str:\n        return 'mended'\n"
)


def test_a_direct_call_to_an_app_that_cannot_run_is_answered_with_the_reason(tmp_path: Path) -> None:
    app = tmp_path / "bad.py"
    app.write_text(BROKEN.format(more="", setup="raise RuntimeError('no weights')"))
    with serve(str(app), wait=False, fault_patience=0.3, crash_backoff=0.2) as served, client(served) as http:
        queued = http.post("/queue/acme/bad", json={}).json()["request_id"]
        fails = http.post("/queue/acme/bad", json={}, headers={"pondage-on-fault": "fail"}).json()["request_id"]
        answer = http.post("/acme/bad", json={})
        assert (answer.status_code, answer.json()["error_type"]) == (500, "runner_scheduling_failure")
        assert "acme/bad cannot run: setup() failed: RuntimeError: no weights" in answer.json()["detail"]
        failed = http.get(f"/queue/acme/bad/requests/{fails}", headers={"prefer": "wait=20"})
        assert failed.status_code == 500 and "no weights" in failed.text
        with pondage.SyncClient(base_url=served.url) as ours, pytest.raises(pondage.client.HTTPError) as caught:
            ours.submit("acme/bad", {}, on_fault="fail").get(timeout=30)
        assert caught.value.error_type == "runner_scheduling_failure" and "no weights" in str(caught.value)
        status = http.get(f"/queue/acme/bad/requests/{queued}/status").json()
        assert status["status"] == "IN_QUEUE" and "no weights" in status["fault"]
        assert http.post("/queue/acme/bad", json={}, headers={"pondage-on-fault": "x"}).status_code == 422


def test_where_an_app_says_so_its_queued_requests_fail_too(tmp_path: Path) -> None:
    app = tmp_path / "bad.py"
    app.write_text(BROKEN.format(more=", on_fault='fail'", setup="raise StopIteration"))
    with serve(str(app), wait=False, fault_patience=0.3, crash_backoff=0.2) as served, client(served) as http:
        queued = http.post("/queue/acme/bad", json={}).json()["request_id"]
        failed = http.get(f"/queue/acme/bad/requests/{queued}", headers={"prefer": "wait=20"})
        assert failed.status_code == 500 and "StopIteration" in failed.text


def test_a_class_that_declares_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    app = tmp_path / "bad.py"
    app.write_text(BROKEN.format(more=", keep_alive='long'", setup="pass"))
    with serve(str(app), wait=False, fault_patience=0.1, crash_backoff=0.2) as served, client(served) as http:
        answer = http.post("/acme/bad", json={})
        assert answer.status_code == 500 and "keep_alive" in answer.json()["detail"], answer.text
