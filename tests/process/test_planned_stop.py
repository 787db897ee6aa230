"""A planned stop: who waits is held until grace ends, and nobody is told that a request failed which goes on."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.testing import GatewayProcess

from ..apps.gates import Gate

Start = Callable[..., GatewayProcess]


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


class Waiting(threading.Thread):
    """A call that waits in a thread; what came of it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.came: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.came = self._call()
        except httpx2.HTTPError as error:
            self.came = error

    def result(self) -> Any:
        self.join(60)
        assert not self.is_alive()
        return self.came


def started(http: httpx2.Client, request_id: str) -> None:
    with http.stream("GET", f"/queue/acme/narrow/requests/{request_id}/status/stream") as stream:
        next(text for text in stream.iter_text() if "IN_PROGRESS" in text)


def read_stream(process: GatewayProcess, path: str, open: threading.Event) -> str:
    with httpx2.Client(base_url=process.url, timeout=60) as http, http.stream("GET", path) as stream:
        open.set()
        return "".join(stream.iter_text())


def stop(process: GatewayProcess) -> None:
    assert process.stop() == 0
    log = process.log.read_text(errors="replace")
    assert "Traceback" not in log and "ASGI" not in log, log


def test_who_waits_is_held_and_gets_what_ends_within_grace(gateway: Start, gate: Gate, tmp_path: Path) -> None:
    process = gateway("counted.py", grace=30.0)
    process.start()
    body = {"journal": str(tmp_path / "journal"), "gate": str(gate), "word": "x"}
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        request_id = str(http.post("/queue/acme/narrow", json=body).json()["request_id"])
        started(http, request_id)
        read = Waiting(lambda: http.get(f"/queue/acme/narrow/requests/{request_id}", headers={"prefer": "wait=50"}))
        ran = Waiting(lambda: http.post("/acme/counted", json=body))
        behind = Waiting(lambda: http.post("/acme/narrow", json=body | {"word": "behind"}))
        while len(http.get("/api/v1/requests", params={"app": "acme/narrow"}).json()["items"]) < 2:
            pass
        while "begun x" not in (tmp_path / "journal").read_text().splitlines()[1:]:
            pass
        process._signal(signal.SIGTERM)
        stopping = Waiting(process.wait)
        # It stops taking connections at once; whoever is connected is still served.
        assert http.get("/healthz").status_code == 200
        assert http.post("/queue/acme/counted", json=body | {"word": "late"}).status_code == 200
        assert read.is_alive() and ran.is_alive() and behind.is_alive()
        gate.open()
        assert read.result().json() == ran.result().json() == {"word": "x"}
        answer = behind.result()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/json" and answer.headers["x-fal-request-id"]
    assert stopping.result() == 0
    process.start()
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        views = http.get("/api/v1/requests", params={"app": "acme/narrow"}).json()["items"]
        assert [(view["outcome"], view["attempt"]) for view in views] == [("cancelled", 0), ("ok", 1)]
        (late,) = [v for v in http.get("/api/v1/requests", params={"app": "acme/counted"}).json()["items"]][:1]
        kept = http.get(f"/queue/acme/counted/requests/{late['id']}", headers={"prefer": "wait=50"})
        assert kept.json() == {"word": "late"}, "what was acknowledged stays"


def test_when_grace_ends(gateway: Start, gate: Gate, tmp_path: Path) -> None:
    process = gateway("counted.py", grace=0.3)
    process.start()
    body = {"journal": str(tmp_path / "journal"), "gate": str(gate), "word": "x"}
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        request_id = str(http.post("/queue/acme/narrow", json=body).json()["request_id"])
        path = f"/queue/acme/narrow/requests/{request_id}"
        started(http, request_id)
        keyed = {"idempotency-key": "k", "prefer": "respond-async"}
        read = Waiting(lambda: http.get(path, headers={"prefer": "wait=50"}))
        submitted = Waiting(lambda: http.post("/queue/acme/narrow", json=body, headers={"prefer": "wait=50"}))
        first, second = threading.Event(), threading.Event()
        statuses = Waiting(lambda: read_stream(process, path + "/status/stream", first))
        chunks = Waiting(lambda: read_stream(process, path + "/stream", second))
        ours = Waiting(lambda: http.post("/acme/counted", json=body, headers=keyed))
        others = Waiting(lambda: http.post("/acme/counted", json=body))
        while len(http.get("/api/v1/requests").json()["items"]) < 4:
            pass
        while (tmp_path / "journal").read_text().count("begun") < 3:
            pass
        assert first.wait(30) and second.wait(30)
        stop(process)
        assert isinstance(others.result(), httpx2.RemoteProtocolError), "no answer, and no error that looks like one"
        assert isinstance(statuses.result(), httpx2.RemoteProtocolError), "it breaks off, so that its reader comes back"
        assert isinstance(chunks.result(), httpx2.RemoteProtocolError)
        answer = read.result()
        assert (answer.status_code, answer.json()["request_id"]) == (202, request_id)
        receipt = submitted.result()
        assert (receipt.status_code, receipt.json()["status"]) == (200, "IN_QUEUE")
        resumed = ours.result()
        assert (resumed.status_code, resumed.headers["preference-applied"]) == (202, "respond-async")
    gate.open()
    process.start()
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        assert http.get(path, headers={"prefer": "wait=50"}).json() == {"word": "x"}
        url = str(resumed.json()["response_url"])
        assert http.get(url, headers={"prefer": "wait=50"}).json() == {"word": "x"}
        again = http.post("/acme/counted", content=json.dumps(body, indent=2))
        assert again.json() == {"word": "x"}
        assert http.get(f"/api/v1/requests/{again.headers['x-fal-request-id']}").json()["attempt"] == 2
        fresh = http.post("/acme/counted", json=body)
        assert fresh.headers["x-fal-request-id"] != again.headers["x-fal-request-id"], "one repeat, not two"


def test_the_gateway_is_killed_under_a_run_that_waits(gateway: Start, gate: Gate, tmp_path: Path) -> None:
    process = gateway("counted.py")
    process.start()
    body = {"journal": str(tmp_path / "journal"), "gate": str(gate), "word": "x"}
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        request_id = str(http.post("/queue/acme/narrow", json=body).json()["request_id"])
        started(http, request_id)
        waits = Waiting(lambda: http.post("/acme/narrow", json=body | {"word": "waits"}))
        keyed = Waiting(lambda: http.post("/acme/narrow", json=body | {"word": "k"}, headers={"idempotency-key": "k"}))
        while len(http.get("/api/v1/requests").json()["items"]) < 3:
            pass
        process.kill()
        assert isinstance(waits.result(), httpx2.HTTPError) and isinstance(keyed.result(), httpx2.HTTPError)
    gate.open()
    process.start()
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        named = http.post("/acme/narrow", json=body | {"word": "k"}, headers={"idempotency-key": "k"})
        assert named.json() == {"word": "k"}
        outcomes = sorted(view["outcome"] for view in http.get("/api/v1/requests").json()["items"])
        assert outcomes == ["cancelled", "ok", "ok"]
    assert "begun waits" not in (tmp_path / "journal").read_text(), "nobody can come back for it"
