"""A caller gives a URL and goes away: the receiver gets the result, knows whose it is, and can see what happened."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import pondage
from pondage.errors import WebhookForged

from ..apps.gates import Gate
from ..webhook_receiver import WebhookReceiver, receiving

QUEUE = "/queue/acme/echo"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as made:
        yield made


def submit(http: httpx2.Client, webhook: str, path: str = "", body: Any = None, **headers: str) -> str:
    answer = http.post(
        QUEUE + path, params={"fal_webhook": webhook}, json={"x": 1} if body is None else body, headers=headers
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["request_id"])


def cli(server: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pondage.cli", "webhooks", *arguments, "--server", server],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_result_comes_signed_both_ways(http: httpx2.Client, receiver: WebhookReceiver) -> None:
    request = submit(http, f"{receiver.url}/hook?from=story")
    [came] = receiver.count(1)
    assert came.path == "/hook?from=story" and came.headers["content-type"] == "application/json"
    assert came.json == {
        "request_id": request, "gateway_request_id": request, "status": "OK", "payload": {"y": 2},
    }  # fmt: skip
    jwks_url = f"{http.base_url}/.well-known/jwks.json".replace("//.well", "/.well")
    [secret] = http.get("/api/v1/webhooks/secrets").json()["secrets"]
    assert pondage.verify_webhook(came.headers, came.body, jwks_url=jwks_url).payload == {"y": 2}
    assert pondage.verify_webhook(came.headers, came.body, secret=secret).id == request
    with pytest.raises(WebhookForged):
        pondage.verify_webhook(came.headers, came.body + b" ", secret=secret)


def test_errors_of_the_app_and_of_the_input_come_too(http: httpx2.Client, receiver: WebhookReceiver) -> None:
    failed = submit(http, receiver.url, "/fail")
    [first] = receiver.count(1)
    assert first.json["request_id"] == failed and first.json["status"] == "ERROR" and first.json["error"]
    bad = submit(http, receiver.url, "", {"x": "no number"})
    second = receiver.count(2)[1].json
    assert second["request_id"] == bad and second["payload"]["detail"][0]["loc"] == ["body", "x"]


@pytest.mark.parametrize("target", ["hook", "ftp://example.org/", "http://", "http://user:pw@example.org/"])
def test_a_url_that_is_none_is_refused_at_once(http: httpx2.Client, target: str) -> None:
    answer = http.post(QUEUE, params={"fal_webhook": target}, json={"x": 1})
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["query", "fal_webhook"]


def test_an_address_that_is_not_allowed_is_dead_and_says_why(http: httpx2.Client) -> None:
    request = submit(http, "http://10.255.255.1/hook")
    delivery = until_state(http, request, "dead")
    assert "not public" in delivery["last_reason"]


def until_state(http: httpx2.Client, delivery_id: str, state: str) -> dict[str, Any]:
    for _ in range(2000):
        answer = http.get(f"/api/v1/webhooks/deliveries/{delivery_id}")
        if answer.status_code == 200 and answer.json()["state"] == state:
            return dict(answer.json())
    raise AssertionError(answer.text)


def test_a_receiver_that_fails_at_first_gets_it_again_under_the_same_id(
    http: httpx2.Client, receiver: WebhookReceiver
) -> None:
    receiver.behave = lambda came, n: (503, {}) if n == 1 else (200, {})
    request = submit(http, receiver.url)
    first, second = receiver.count(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == request and first.body == second.body
    assert 1.9 < second.at - first.at
    log = until_state(http, request, "done")["log"]
    assert [(entry["n"], entry["status"], entry["reason"]) for entry in log] == [(1, 503, "answered 503"), (2, 200, "")]


def test_a_redirect_is_not_followed(http: httpx2.Client, receiver: WebhookReceiver) -> None:
    receiver.behave = lambda came, n: (302, {"location": "/elsewhere"}) if n == 1 else (200, {})
    request = submit(http, f"{receiver.url}/hook")
    assert [came.path for came in receiver.count(2)] == ["/hook", "/hook"]
    assert "redirect" in until_state(http, request, "done")["log"][0]["reason"]


def test_what_happens_before_the_end_comes_in_order(
    http: httpx2.Client, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    body = {"gate": str(gate), "steps": 3}
    request = submit(http, receiver.url, "/gated", body, **{"pondage-webhook-events": "started,log,progress"})
    receiver.until(lambda all: any(one.json.get("type") == "progress" for one in all))
    gate.open(3)
    came = receiver.until(lambda all: any("payload" in one.json for one in all))
    kinds = [one.json.get("type", "completed") for one in came]
    assert kinds[0] == "started" and kinds[-1] == "completed" and "progress" in kinds
    lines = [line["message"] for one in came if one.json.get("type") == "log" for line in one.json["logs"]]
    assert [line for line in lines if line.startswith("step")] == ["step 0", "step 1", "step 2"]
    numbers = [one.json["event"] for one in came[:-1]]
    assert numbers == sorted(numbers) and {one.json["request_id"] for one in came} == {request}


def test_what_was_missed_can_be_fetched_since_a_cursor(http: httpx2.Client) -> None:
    with receiving() as receiver:
        target = f"{receiver.url}/hook"
    # The receiver is down now.
    ids = [submit(http, target, "", {"x": n}) for n in range(3)]
    for request in ids:
        assert http.get(f"{QUEUE}/requests/{request}", headers={"prefer": "wait=20"}).status_code == 200
    [secret] = http.get("/api/v1/webhooks/secrets").json()["secrets"]
    found, cursor = [], "0"
    while True:
        page = http.get("/api/v1/webhooks/missed", params={"cursor": cursor, "url": target, "limit": 2}).json()
        cursor = page["next_cursor"]
        if not page["items"]:
            break
        found += [pondage.verify_webhook(i["headers"], i["body"], secret=secret).request_id for i in page["items"]]
    assert sorted(found) == sorted(ids)


def test_the_command_lists_shows_and_replays(http: httpx2.Client, receiver: WebhookReceiver) -> None:
    server = str(http.base_url)
    request = submit(http, receiver.url)
    receiver.count(1)
    until_state(http, request, "done")
    listed = cli(server, "list", "--request", request[-8:], "--json")
    assert listed.returncode == 0, listed.stderr
    assert [item["state"] for item in json.loads(listed.stdout)["items"]] == ["done"]
    shown = cli(server, "show", request[-8:])
    assert "try 1" in shown.stdout and "204" in shown.stdout, shown.stderr
    replayed = cli(server, "replay", request[-8:])
    assert replayed.returncode == 0 and request in replayed.stdout, replayed.stderr
    first, second = receiver.count(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert cli(server, "show", "0000ffff0000").returncode == 2
    assert cli(server, "replay").returncode == 2
    assert cli(server, "secret").stdout.startswith("whsec_")


def test_listening_on_a_laptop(http: httpx2.Client, receiver: WebhookReceiver) -> None:
    arguments = ["listen", "--forward-to", receiver.url.removeprefix("http://") + "/dev", "--count", "2"]
    listening = subprocess.Popen(
        [sys.executable, "-m", "pondage.cli", "webhooks", *arguments, "--server", str(http.base_url)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert listening.stderr is not None
        assert "jwks.json" in listening.stderr.readline()
        ok = http.post("/acme/echo", json={"x": 41}).headers["x-fal-request-id"]
        [came] = receiver.count(1)
        assert came.path == "/dev" and came.json["request_id"] == ok and came.json["payload"] == {"y": 42}
        http.post("/acme/echo/fail", json={})
        out, err = listening.communicate(timeout=30)
    finally:
        listening.kill()
        listening.wait()
    assert listening.returncode == 0, err
    assert f"…{ok[-8:]} OK" in out and "ERROR" in out and "<-- 204 in" in out
