"""How long: what callers are told of when a request starts and ends, before and after they submit it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.testing import ServedApp, serve

from ..apps.gates import Gate

APP = str(Path(__file__).parents[1] / "apps" / "priced.py")
QUOTE = "/api/v1/apps/acme/priced/quote"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    with serve(APP, data=str(tmp_path_factory.mktemp("data"))) as served:
        yield served


@pytest.fixture
def http(served: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, timeout=30) as client:
        yield client


def learn(http: httpx2.Client, times: int = 6) -> None:
    for n in range(times):
        assert http.post("/acme/priced", json={"steps": n + 1}).status_code == 200


def span(told: dict[str, Any]) -> tuple[float, float]:
    return told["p50"], told["p90"]


def test_nobody_can_tell_without_history(tmp_path: Path) -> None:
    with serve(APP, data=str(tmp_path / "data")) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        asked = http.get(QUOTE).json()
        assert asked["expected"] is None and "too few requests" in asked["why"]
        assert http.get("/api/v1/apps/acme/priced").json()["calibrated"] is None


def test_a_quote_tells_before_anything_is_submitted(http: httpx2.Client) -> None:
    learn(http)
    answer = http.post(QUOTE, json={"path": "/", "input": {"steps": 50, "images": 2}})
    asked = answer.json()
    assert (asked["app"], asked["path"], asked["cost"], asked["queued"]) == ("acme/priced", "/", 100.0, 0)
    assert asked["why"] is None and 0 <= span(asked["expected"]["end"])[0] <= span(asked["expected"]["end"])[1]
    assert answer.headers["pondage-expected"].startswith("start-p50=0")
    assert http.get(QUOTE, params={"path": "/"}).json()["cost"] == 4.0, "what is left out counts as its default"
    assert http.get(QUOTE, params={"path": "free"}).json()["cost"] == 1.0
    assert http.get("/api/v1/requests").json()["items"][0]["path"] == "/", "nothing was submitted"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"input": {"steps": "many"}}, ["body", "input", "steps"]),
        ({"input": {"steps": True}}, ["body", "input", "steps"]),
        ({"input": {"images": [1]}}, ["body", "input", "images"]),
        ({"priority": "high"}, ["body"]),
    ],
)
def test_a_quote_names_what_does_not_fit(http: httpx2.Client, body: Any, place: list[str]) -> None:
    answer = http.post(QUOTE, json=body)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, place)


def test_a_quote_of_what_is_not_there_is_not_found(http: httpx2.Client) -> None:
    assert http.get(QUOTE, params={"path": "/other"}).status_code == 404
    assert http.get("/api/v1/apps/acme/none/quote").status_code == 404


def test_who_waits_and_who_runs_is_told_when_it_ends(http: httpx2.Client, tmp_path: Path) -> None:
    learn(http)
    gate = Gate(tmp_path / "gate")
    first = http.post("/queue/acme/priced", json={"gate": str(gate)}).json()
    second = http.post("/queue/acme/priced", json={"gate": str(gate)}).json()
    while (runs := http.get(first["status_url"])).json()["status"] != "IN_PROGRESS":
        pass
    told = runs.json()["expected"]
    assert told["start"] is None and 0 <= span(told["end"])[0] <= span(told["end"])[1]
    assert runs.headers["pondage-expected"].startswith("end-p50=")
    waits = http.get(second["status_url"])
    told = waits.json()["expected"]
    assert span(told["start"]) <= span(told["end"])
    assert "start-p90=" in waits.headers["pondage-expected"]
    shown = http.get(f"/api/v1/requests/{second['request_id']}").json()
    assert (shown["cost"], shown["expected"] is not None) == (4.0, True)
    with http.stream("GET", second["status_url"] + "/stream") as stream:
        lines = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: "))
        assert "expected" in json.loads(next(lines))
        gate.open()
        last = json.loads(list(lines)[-1])
    assert last["status"] == "COMPLETED" and "expected" not in last
    assert "pondage-expected" not in http.get(second["status_url"]).headers


def test_how_often_it_came_true_is_told_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with serve(APP, data=data) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        while (before := http.get("/api/v1/apps/acme/priced").json()["calibrated"]) is None:
            learn(http)
        assert before["requests"] >= 1
        assert 0 <= before["before_p50"] <= before["before_p90"] <= 1
        learn(http)
        before = http.get("/api/v1/apps/acme/priced").json()["calibrated"]
    with serve(APP, data=data) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        while (after := http.get("/api/v1/apps/acme/priced").json()["calibrated"]) is None:
            pass
        assert after["requests"] == before["requests"]
        assert http.get(QUOTE).json()["expected"] is not None
