"""What a gateway does while its disk is full, after it stood still, and when it dies while a runner stores a file."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from pondage.testing import GatewayProcess
from pondage.testing.faults import FaultPlan
from pondage.torture import app, journals
from pondage.torture.gateway import NOTES, PLAN
from pondage.torture.words import JOURNALS, RUNNERS, SLOTS

QUEUE = "/queue/torture/app"


@pytest.fixture
def tortured(tmp_path: Path) -> Iterator[GatewayProcess]:
    plan = tmp_path / "plan.json"
    FaultPlan().write(plan)
    environ = {PLAN: str(plan), NOTES: str(tmp_path / "notes"), JOURNALS: str(tmp_path / "journals")}
    with GatewayProcess(
        f"{app.__file__}:Tortured",
        data=tmp_path / "data",
        module="pondage.torture.gateway",
        environ=environ,
        lease=1.0,
        heartbeat=0.2,
        write_patience=0.5,
    ) as process:
        yield process


def eventually(what: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def runs(process: GatewayProcess) -> int:
    folder = process.data.parent / "journals"
    return sum(line["k"] == "begin" for path in folder.glob("runner-*") for line in journals.read(path))


def test_a_full_disk_does_not_run_requests_over_and_over(tortured: GatewayProcess) -> None:
    plan = tortured.data.parent / "plan.json"
    with httpx2.Client(base_url=tortured.url, timeout=60) as http:
        ids = [http.post(QUEUE, json={"n": n, "seconds": 0.05}).json()["request_id"] for n in range(60)]
        FaultPlan(disk_full=True).write(plan)

        def refused() -> bool:
            answer = http.post(QUEUE, json={"n": 0})
            if answer.status_code == 200:  # the fault was not there yet, and this one is to be run as well
                ids.append(answer.json()["request_id"])
            return answer.status_code == 507

        eventually(refused)
        before = runs(tortured)
        time.sleep(1.5)
        during = runs(tortured) - before
        FaultPlan().write(plan)
        answers = [http.get(f"{QUEUE}/requests/{i}", headers={"prefer": "wait=40"}).status_code for i in ids]
    assert answers == [200] * len(ids)
    assert during <= SLOTS * RUNNERS, "what was handed out is not handed out again"
    assert runs(tortured) <= len(ids) + SLOTS * RUNNERS


@pytest.mark.parametrize("path", ["/torture/app", "/torture/app/pieces/stream"])
def test_who_waits_for_an_outcome_that_cannot_be_written_hears_so_and_loses_nothing(
    tortured: GatewayProcess, path: str
) -> None:
    plan = tortured.data.parent / "plan.json"
    with httpx2.Client(base_url=tortured.url, timeout=60) as http, ThreadPoolExecutor() as pool:
        called = pool.submit(http.post, path, json={"n": 1, "seconds": 1.0})
        eventually(lambda: runs(tortured) == 1 and bool(http.get("/api/v1/requests").json()["items"]))
        FaultPlan(disk_full=True).write(plan)
        answer = called.result()
        if path.endswith("/stream"):
            assert answer.text.count("event: error") == 1
            error = json.loads(answer.text.rpartition("data: ")[2])
        else:
            error = {**answer.json(), "status": answer.status_code}
        assert (error["status"], error["error_type"]) == (507, "outcome_delayed"), answer.text
        request_id = answer.headers["x-fal-request-id"]
        assert request_id in error["detail"]
        waiting = http.get("/readyz").json()["waiting"]
        assert "disk is full" in waiting["disk"]
        FaultPlan().write(plan)
        result = http.get(f"{QUEUE}/requests/{request_id}", headers={"prefer": "wait=40"})
        assert result.status_code == 200
        eventually(lambda: http.get("/readyz").status_code == 200)
    assert runs(tortured) == 1, "it is not run again"


def test_a_gateway_that_stood_still_keeps_its_runners(tortured: GatewayProcess) -> None:
    eventually(lambda: len(tortured.runner_pids()) == RUNNERS)
    pids = sorted(tortured.runner_pids())
    with httpx2.Client(base_url=tortured.url, timeout=60) as http:
        request_id = http.post(QUEUE, json={"n": 1, "seconds": 2.5}).json()["request_id"]
        eventually(lambda: runs(tortured) == 1)
        os.kill(tortured.pid, signal.SIGSTOP)
        time.sleep(1.6)
        os.kill(tortured.pid, signal.SIGCONT)
        assert http.get(f"{QUEUE}/requests/{request_id}", headers={"prefer": "wait=30"}).status_code == 200
        assert http.get(f"/api/v1/requests/{request_id}").json()["attempt"] == 1
    assert sorted(tortured.runner_pids()) == pids


def test_a_file_is_stored_with_the_next_gateway(tortured: GatewayProcess) -> None:
    with httpx2.Client(base_url=tortured.url, timeout=60) as http:
        body = {"n": 1, "seconds": 0.5, "file": "data:application/octet-stream;base64,YWJj"}
        request_id = http.post(f"{QUEUE}/file", json=body).json()["request_id"]
        eventually(lambda: runs(tortured) == 1)
        tortured.kill()
    time.sleep(0.8)  # the function wants to store its file, and there is no gateway
    tortured.start()
    with httpx2.Client(base_url=tortured.url, timeout=60) as http:
        answer = http.get(f"{QUEUE}/requests/{request_id}", headers={"prefer": "wait=30"})
        assert answer.status_code == 200, answer.text
        assert http.get(answer.json()["file"]["url"]).content == b"cba"
        assert http.get(f"/api/v1/requests/{request_id}").json()["attempt"] == 1
