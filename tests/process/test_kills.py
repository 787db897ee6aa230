"""`kill -9` of the gateway, of runners, of everything: what was acknowledged ends with exactly one outcome."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.testing import GatewayProcess

from ..apps.gates import Gate

QUEUE = "/queue/acme/echo"

Start = Callable[..., GatewayProcess]


def client(process: GatewayProcess) -> httpx2.Client:
    return httpx2.Client(base_url=process.url, timeout=60)


def submit(http: httpx2.Client, path: str = "", body: Any = None) -> str:
    answer = http.post(QUEUE + path, json={"x": 1} if body is None else body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["request_id"])


def result(http: httpx2.Client, request_id: str) -> httpx2.Response:
    return http.get(f"{QUEUE}/requests/{request_id}", headers={"prefer": "wait=40"})


def kinds(http: httpx2.Client, request_id: str) -> list[str]:
    return [e["kind"] for e in http.get(f"/api/v1/requests/{request_id}/events").json()["items"]]


def until_started(http: httpx2.Client, request_id: str) -> None:
    until_started_at(http, QUEUE, request_id)


def until_started_at(http: httpx2.Client, queue: str, request_id: str) -> None:
    with http.stream("GET", f"{queue}/requests/{request_id}/status/stream") as stream:
        next(text for text in stream.iter_text() if "IN_PROGRESS" in text or "COMPLETED" in text)


def test_a_killed_gateway_loses_nothing_and_its_runners_hand_in_what_they_finished(gateway: Start) -> None:
    process = gateway("basic.py")
    process.start()
    with client(process) as http:
        running = submit(http, "/slow", {"seconds": 1.0})
        until_started(http, running)
        pid = http.post("/acme/echo/who", json={}).json()["pid"]
        ids = [submit(http, "", {"x": n}) for n in range(100)]
        process.kill()
    time.sleep(1.2)  # the running request ends while there is no gateway
    process.start()
    with client(process) as http:
        assert result(http, running).status_code == 200
        assert http.get(f"/api/v1/requests/{running}").json()["attempt"] == 1, "it was not run again"
        assert [result(http, request_id).json() for request_id in ids] == [{"y": n + 1} for n in range(100)]
        assert all(kinds(http, request_id).count("completed") == 1 for request_id in ids)
        assert http.post("/acme/echo/who", json={}).json()["pid"] == pid, "the runner was adopted"


def test_killed_runners_are_replaced_and_their_requests_run_again(gateway: Start, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    process = gateway("basic.py")
    process.start()
    with client(process) as http:
        ids = [submit(http, "/gated", {"gate": str(gate)}) for _ in range(10)]
        until_started(http, ids[-1])
        process.kill_runners()
        gate.open()
        answers = [result(http, request_id) for request_id in ids]
        assert [answer.status_code for answer in answers] == [200] * 10
        views = [http.get(f"/api/v1/requests/{request_id}").json() for request_id in ids]
        assert {view["strikes"] for view in views} == {0}, "nobody knows which of them it was"
        assert max(view["attempt"] for view in views) == 2


def test_kill_of_everything(gateway: Start) -> None:
    process = gateway("basic.py")
    process.start()
    with client(process) as http:
        ids = [submit(http, "/slow", {"seconds": 0.2}) for _ in range(80)]
        until_started(http, ids[0])
        process.kill_everything()
    process.start()
    with client(process) as http:
        assert [result(http, request_id).status_code for request_id in ids] == [200] * 80
        assert all(kinds(http, request_id).count("completed") == 1 for request_id in ids)
        assert {http.get(f"/api/v1/requests/{i}").json()["strikes"] for i in ids} == {0}


def test_one_idempotency_key_is_one_request_over_a_kill(gateway: Start) -> None:
    process = gateway("basic.py")
    process.start()
    key = {"idempotency-key": "the-same"}

    def call(_: int) -> tuple[str, Any]:
        with client(process) as http:
            answer = http.post(QUEUE, json={"x": 1}, headers=key)
            return answer.json()["request_id"], answer.status_code

    with ThreadPoolExecutor(25) as pool:
        before = set(pool.map(call, range(25)))
    process.kill()
    process.start()
    with ThreadPoolExecutor(25) as pool:
        after = set(pool.map(call, range(25)))
    assert len(before | after) == 1


def test_a_stop_lets_running_requests_finish_and_keeps_the_queued_ones(gateway: Start) -> None:
    process = gateway("single.py", grace=20.0)
    process.start()
    with client(process) as http:
        first = str(http.post("/queue/acme/single/slow", json={"seconds": 1.0}).json()["request_id"])
        until_started_at(http, "/queue/acme/single", first)
        second = str(http.post("/queue/acme/single/slow", json={"seconds": 0.1}).json()["request_id"])
    assert process.stop() == 0
    assert process.runner_pids() == []
    process.start()
    with client(process) as http:
        view = http.get(f"/api/v1/requests/{first}").json()
        assert (view["outcome"], view["attempt"]) == ("ok", 1)
        assert result(http, second).json() == {"seconds": 0.1}


def test_a_stop_after_its_grace_puts_running_requests_back(gateway: Start) -> None:
    process = gateway("basic.py", grace=0.3)
    process.start()
    with client(process) as http:
        request_id = submit(http, "/slow", {"seconds": 8})
        until_started(http, request_id)
    assert process.stop() == 0
    process.start()
    with client(process) as http:
        until_started(http, request_id)
        view = http.get(f"/api/v1/requests/{request_id}").json()
        assert (view["attempt"], view["strikes"]) == (2, 0)
        http.put(f"{QUEUE}/requests/{request_id}/cancel")


def test_a_function_that_never_yields_is_stopped_by_replacing_its_process(gateway: Start) -> None:
    process = gateway("basic.py", cancel_grace=0.5)
    process.start()
    with client(process) as http:
        request_id = submit(http, "/hang", {})
        until_started(http, request_id)
        (pid,) = process.runner_pids()
        assert http.put(f"{QUEUE}/requests/{request_id}/cancel").status_code == 202
        assert http.get(f"{QUEUE}/requests/{request_id}").status_code == 499
        assert http.post("/acme/echo", json={"x": 1}).json() == {"y": 2}
        wait_gone(pid)


def wait_gone(pid: int, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} still lives")


def test_a_stopped_runner_loses_its_lease_and_its_requests(gateway: Start, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    process = gateway("basic.py", lease=1.0, heartbeat=0.2)
    process.start()
    with client(process) as http:
        request_id = submit(http, "/gated", {"gate": str(gate)})
        until_started(http, request_id)
        (pid,) = process.runner_pids()
        os.kill(pid, 19)
        gate.open()
        assert result(http, request_id).status_code == 200
        assert http.get(f"/api/v1/requests/{request_id}").json()["attempt"] == 2
        wait_gone(pid)


def test_a_run_limit_is_kept(gateway: Start) -> None:
    process = gateway("basic.py", run_timeout=0.5, cancel_grace=0.5)
    process.start()
    with client(process) as http:
        answer = http.post("/acme/echo/slow", json={"seconds": 30})
        assert (answer.status_code, answer.headers["x-fal-request-timeout-type"]) == (504, "user")
        hung = http.post("/acme/echo/hang", json={})
        assert (hung.status_code, hung.headers["x-fal-request-timeout-type"]) == (504, "user")


def test_an_app_that_does_not_import_leaves_the_others_alone(gateway: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import pondage\nclass Bad(pondage.App, name='acme/bad'):\n    pass\nimport no_such_module\n")
    process = gateway("basic.py", str(broken), crash_backoff=0.2, crash_backoff_max=0.2)
    process.start(ready=False)
    with client(process) as http:
        assert http.post("/acme/echo", json={"x": 1}).json() == {"y": 2}
        request_id = str(http.post("/queue/acme/bad", json={}).json()["request_id"])
        with http.stream("GET", f"/queue/acme/bad/requests/{request_id}/status/stream") as stream:
            told = next(text for text in stream.iter_text() if "fault" in text)
        assert "no_such_module" in told and "broken.py:4" in told
        broken.write_text(
            "import pondage\nclass Bad(pondage.App, name='acme/bad'):\n"
            "    @pondage.endpoint('/')\n    async def run(self) -> dict[str, int]:\n        return {'ok': 1}\n"
        )
        answer = http.get(f"/queue/acme/bad/requests/{request_id}", headers={"prefer": "wait=30"})
        assert answer.json() == {"ok": 1}, "tried again by itself"


def test_a_data_folder_and_a_port_serve_one_gateway(gateway: Start) -> None:
    first = gateway("basic.py")
    first.start()
    port = int(first.url.rsplit(":", 1)[1])
    second = GatewayProcess(*first._targets, data=first.data)
    note = (first.data / "gateway.json").read_bytes()
    with pytest.raises(Exception, match="in use"):
        second.start(timeout=10)
    (first.data / "gateway.json").write_bytes(note)
    third = GatewayProcess(*first._targets, data=first.data.parent / "other", port=port)
    with pytest.raises(Exception, match=f"port {port} is in use"):
        third.start(timeout=10)


def test_a_survivor_with_yesterdays_code_makes_way_for_todays(gateway: Start, tmp_path: Path) -> None:
    source = (
        "import pondage\nclass A(pondage.App, name='acme/a'):\n"
        "    @pondage.endpoint('/')\n    async def run(self) -> int:\n        return 1\n"
    )
    file = tmp_path / "a.py"
    file.write_text(source)
    process = gateway(str(file))
    process.start()
    (pid,) = process.runner_pids()
    with client(process) as http:
        assert http.post("/acme/a", json={}).json() == 1
    process.kill()
    file.write_text(source.replace("return 1", "return 2"))
    process.start()
    wait_gone(pid)
    with client(process) as http:
        assert http.post("/acme/a", json={}).json() == 2


def test_runners_whose_notes_cannot_be_removed_are_replaced_like_others(gateway: Start) -> None:
    process = gateway("basic.py")
    process.start()
    with client(process) as http:
        running = submit(http, "/slow", {"seconds": 30.0})
        until_started(http, running)
        pids = process.runner_pids()
        for note in (process.data / "runners").glob("*.json"):
            note.unlink()
            note.mkdir()  # what an unlink cannot remove, as a disk that became read-only cannot
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        while "retried" not in kinds(http, running):
            time.sleep(0.05)
        assert http.put(f"{QUEUE}/requests/{running}/cancel").is_success
        assert http.post("/acme/echo", json={"x": 1}).json() == {"y": 2}
    assert process.stop() == 0
