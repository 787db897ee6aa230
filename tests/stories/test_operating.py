"""An operator pauses an app, cancels and repeats by filter, moves somebody to the front; and who waits is told why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.testing import ServedApp, serve

from ..apps.gates import Gate

APP = str(Path(__file__).parents[1] / "apps" / "basic.py")
QUEUE, API = "/queue/acme/echo", "/api/v1"


@pytest.fixture(scope="module")
def served() -> Iterator[ServedApp]:
    with serve(APP, operation_step=2) as served:
        yield served


class Key(httpx2.Client):
    """A caller with a key."""

    id: str


@pytest.fixture(scope="module")
def key(served: ServedApp) -> Iterator[Callable[..., Key]]:
    made: list[Key] = []

    def make(name: str, *scopes: str) -> Key:
        key_id, secret = served.call(served.server.keys.create(name, scopes=scopes))
        client = Key(base_url=served.url, timeout=30, headers={"authorization": f"Key {key_id}:{secret}"})
        client.id = key_id
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="module")
def boss(key: Callable[..., Key]) -> Key:
    return key("boss", "admin")


@pytest.fixture(scope="module")
def ann(key: Callable[..., Key]) -> Key:
    return key("ann", "submit", "read")


def paused(boss: Key, reason: str = "") -> None:
    assert boss.post(f"{API}/apps/acme/echo/pause", json={"reason": reason}).status_code == 200


def resumed(boss: Key) -> None:
    assert boss.post(f"{API}/apps/acme/echo/resume").json() == {"app": "acme/echo", "held": None}


def submit(who: Key, times: int = 1, path: str = "", **body: Any) -> list[dict[str, Any]]:
    return [who.post(QUEUE + path, json=body or {"x": n}).json() for n in range(times)]


def ended(who: Key, operation: dict[str, Any]) -> dict[str, Any]:
    while operation["phase"] == "running":
        operation = who.get(f"{API}/operations/{operation['id']}").json()
    return operation


def state(who: Key, request: dict[str, Any]) -> str:
    return str(who.get(request["status_url"]).json()["status"])


def test_who_waits_for_a_paused_app_is_told_why(boss: Key, ann: Key) -> None:
    paused(boss, "the card is hot")
    (request,) = submit(ann)
    told = ann.get(request["status_url"]).json()
    assert (told["status"], told["fault"]) == ("IN_QUEUE", f"acme/echo is paused by key {boss.id}: the card is hot")
    app = ann.get(f"{API}/apps/acme/echo").json()
    assert (app["held"]["drained"], app["held"]["by"], app["fault"]) == (False, boss.id, None)
    (line,) = ann.get(f"{API}/queue").json()["items"]
    assert (line["queued"], line["why"]) == (1, told["fault"]) and line["oldest"] >= 0
    assert line["keys"] == [{"caller": ann.id, "queued": 1, "running": 0}]
    assert boss.get("/readyz").status_code == 200
    resumed(boss)
    assert ann.get(request["response_url"], headers={"prefer": "wait=20"}).json() == {"y": 1}


def test_a_drained_app_has_no_runners_and_comes_back(boss: Key, ann: Key) -> None:
    assert boss.post(f"{API}/apps/acme/echo/drain", json={}).json()["held"]["drained"]
    while boss.get(f"{API}/apps/acme/echo").json()["runners"]:
        pass
    (request,) = submit(ann)
    assert state(ann, request) == "IN_QUEUE"
    resumed(boss)
    assert ann.get(request["response_url"], headers={"prefer": "wait=20"}).status_code == 200


def test_a_cancel_by_filter_is_one_operation_with_a_name(boss: Key, ann: Key, key: Callable[..., Key]) -> None:
    bob = key("bob", "submit", "read")
    paused(boss)
    mine, other = submit(ann, 5), submit(bob)
    asked = {"kind": "cancel", "filter": {"caller": ann.id}, "name": "friday", "reason": "by mistake"}
    assert boss.post(f"{API}/operations", json={**asked, "dry_run": True}).json() == {"matched": 5}
    begun = boss.post(f"{API}/operations", json=asked)
    assert begun.status_code == 202
    done = ended(boss, begun.json())
    assert (done["name"], done["matched"], done["changed"], done["phase"]) == ("friday", 5, 5, "done")
    assert {state(ann, request) for request in mine} == {"COMPLETED"} and state(bob, other[0]) == "IN_QUEUE"
    assert ann.get(mine[0]["response_url"]).json()["detail"] == "the request was cancelled: by mistake"
    log = ann.get(f"{API}/requests/{mine[0]['request_id']}/events").json()["items"]
    assert [(event["kind"], event.get("by")) for event in log][1] == ("operated", boss.id)
    assert boss.get(f"{API}/operations").json()["items"][0]["id"] == done["id"]
    assert ann.get(f"{API}/operations/{done['id']}").status_code == 404
    resumed(boss)


def test_a_running_request_is_stopped_by_it(boss: Key, ann: Key, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    (request,) = submit(ann, path="/gated", gate=str(gate))
    while state(ann, request) != "IN_PROGRESS":
        pass
    done = ended(ann, ann.post(f"{API}/operations", json={"kind": "cancel", "filter": {"state": "running"}}).json())
    assert (done["changed"], state(ann, request)) == (1, "COMPLETED")
    assert ann.post("/acme/echo", json={"x": 1}).json() == {"y": 2}, "its slot is free again"


def test_dead_letters_are_run_again(boss: Key, ann: Key) -> None:
    failed = submit(ann, 3, "/fail", message="no")
    for request in failed:
        assert ann.get(request["response_url"], headers={"prefer": "wait=20"}).status_code == 500
    done = ended(ann, ann.post(f"{API}/operations", json={"kind": "retry", "filter": {"path": "/fail"}}).json())
    assert (done["matched"], done["changed"], done["filter"]["outcome"]) == (3, 3, "error")
    again = [one for one in ann.get(f"{API}/requests").json()["items"] if one["retried_from"]]
    assert {one["retried_from"] for one in again} == {request["request_id"] for request in failed}


def test_a_request_is_moved_to_the_front(boss: Key, ann: Key) -> None:
    paused(boss)
    first, second = submit(ann, 2)
    refused = ann.put(f"{API}/requests/{second['request_id']}/priority", json={"priority": "front"})
    assert (refused.status_code, "operate" in refused.json()["detail"]) == (403, True)
    moved = boss.put(f"{API}/requests/{second['request_id']}/priority", json={"priority": "front"}).json()
    ended(boss, moved)
    places = [ann.get(request["status_url"]).json()["queue_position"] for request in (first, second)]
    assert places == [1, 0]
    resumed(boss)
    for request in (first, second):
        assert ann.get(request["response_url"], headers={"prefer": "wait=20"}).status_code == 200
    late = boss.put(f"{API}/requests/{second['request_id']}/priority", json={"priority": "low"})
    assert (late.status_code, "waits no longer" in late.text) == (422, True)


@pytest.mark.parametrize(
    ("body", "place", "said"),
    [
        ({"kind": "cancel"}, ["body", "count"], 'say "count": '),
        ({"kind": "retry", "count": -1, "filter": {"outcome": "ok"}}, ["body", "count"], "nothing is done"),
        ({"kind": "burn"}, ["body"], "burn"),
        ({"kind": "cancel", "filter": {"color": "red"}}, ["body"], "color"),
        ({"kind": "cancel", "filter": {"since": 9.0, "until": 3.0}}, ["body", "filter", "until"], "not after since"),
        ({"kind": "cancel", "filter": {"outcome": "ok"}}, ["body", "filter", "outcome"], "has ended"),
        ({"kind": "retry", "filter": {"state": "queued"}}, ["body", "filter", "state"], "outcome"),
        ({"kind": "priority", "filter": {"path": "/"}}, ["body", "priority"], "front, normal, low"),
        ({"kind": "cancel", "filter": {"path": "/"}, "reason": "x" * 501}, ["body", "reason"], "at most 500"),
    ],
)
def test_what_does_not_fit_is_named(boss: Key, body: dict[str, Any], place: list[str], said: str) -> None:
    answer = boss.post(f"{API}/operations", json=body)
    detail = answer.json()["detail"][0]
    assert (answer.status_code, detail["loc"]) == (422, place) and said in detail["msg"]


def test_a_key_touches_its_own_alone(boss: Key, ann: Key) -> None:
    refused = ann.post(f"{API}/operations", json={"kind": "cancel", "filter": {"caller": boss.id}})
    assert refused.status_code == 403
    assert ann.post(f"{API}/apps/acme/echo/pause", json={}).status_code == 403
    assert boss.post(f"{API}/apps/acme/none/pause", json={}).status_code == 404
    assert boss.post(f"{API}/operations/none/undo").status_code == 404
