"""`kill -9` of the gateway while it delivers: what is owed is owed still."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx2

from pondage.testing import GatewayProcess

from ..webhook_receiver import receiving

QUEUE = "/queue/acme/echo"

Start = Callable[..., GatewayProcess]


def submit(http: httpx2.Client, webhook: str, path: str = "", body: Any = None) -> str:
    answer = http.post(QUEUE + path, params={"fal_webhook": webhook}, json={"x": 1} if body is None else body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["request_id"])


def test_owed_deliveries_survive_the_gateway(gateway: Start) -> None:
    process = gateway("basic.py")
    process.start()
    with receiving() as receiver:
        url = receiver.url
    # Nobody listens there now: every try fails, and all is owed.
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        ids = [submit(http, f"{url}/hook", "", {"x": n}) for n in range(20)]
        for request in ids:
            assert http.get(f"{QUEUE}/requests/{request}", headers={"prefer": "wait=20"}).status_code == 200
    process.kill()
    with receiving(int(url.rsplit(":", 1)[1])) as receiver:
        process.start()
        receiver.until(lambda came: {one.json["request_id"] for one in came} == set(ids))


def test_kills_while_delivering_lose_nothing(gateway: Start) -> None:
    process = gateway("basic.py", webhook_schedule=[0, 0.2, 0.4, 0.8, 1.6], webhook_breaker_pause=0.3)
    ids: set[str] = set()
    with receiving() as receiver:
        # The first try of every third one fails, so that there is always something owed.
        receiver.behave = lambda came, n: (500 if n == 1 and came.json["payload"]["y"] % 3 == 0 else 204, {})
        for round_ in range(4):
            process.start()
            with httpx2.Client(base_url=process.url, timeout=60) as http:
                batch = [submit(http, receiver.url, "", {"x": n}) for n in range(40)]
            ids |= set(batch)
            wanted = 40 * round_ + 10
            receiver.until(lambda came, wanted=wanted: len(came) >= wanted)  # type: ignore[misc]
            process.kill()
        process.start()

        def all_done(came: list[Any]) -> bool:
            with httpx2.Client(base_url=process.url, timeout=60) as http:
                return not http.get("/api/v1/webhooks/deliveries", params={"state": "owed"}).json()["items"]

        receiver.until(lambda came: {one.headers["webhook-id"] for one in came} == ids)
        deadline = time.monotonic() + 60
        while not all_done(receiver.came) and time.monotonic() < deadline:
            time.sleep(0.05)
        with httpx2.Client(base_url=process.url, timeout=60) as http:
            found = http.get("/api/v1/webhooks/deliveries", params={"limit": 1000}).json()["items"]
        assert {item["id"] for item in found} == ids
        assert {item["state"] for item in found} == {"done"}


def test_a_listener_is_held_what_it_misses_while_the_gateway_restarts(gateway: Start) -> None:
    process = gateway("basic.py")
    process.start()
    listening = subprocess.Popen(
        [sys.executable, "-m", "pondage.cli", "webhooks", "listen", "--count", "2", "--server", process.url],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert listening.stdout is not None and listening.stderr is not None
        assert "connected" in listening.stderr.readline()
        with httpx2.Client(base_url=process.url, timeout=60) as http:
            first = http.post("/acme/echo", json={"x": 1}).headers["x-fal-request-id"]
            assert first[-8:] in listening.stdout.readline()
        process.kill()
        process.start()
        with httpx2.Client(base_url=process.url, timeout=60) as http:
            second = http.post("/acme/echo", json={"x": 1}).headers["x-fal-request-id"]
        out, err = listening.communicate(timeout=60)
    finally:
        listening.kill()
        listening.wait()
    assert listening.returncode == 0 and second[-8:] in out, err
