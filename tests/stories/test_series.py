"""How apps fare: charts, the summary of the last hour and groups of errors, over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.cli import exits, main
from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture(scope="module")
def house() -> Iterator[ServedApp]:
    """Three runs that end well, two that fail alike, one that fails otherwise."""
    with serve(str(APPS / "basic.py"), str(APPS / "desk.py")) as served, httpx2.Client(base_url=served.url) as http:
        for path, count in (("/acme/echo", 3), ("/acme/echo/fail", 2), ("/acme/echo/raise_http", 1)):
            for n in range(count):
                http.post(path, json={"message": f"tensor {n} is bad"} if "fail" in path else {"x": 1}, timeout=30)
        yield served


@pytest.fixture(scope="module")
def http(house: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=house.url, timeout=30) as http:
        yield http


def got(http: httpx2.Client, path: str, **query: Any) -> Any:
    answer = http.get("/api/v1" + path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_chart_has_every_minute_of_the_last_hour(http: httpx2.Client) -> None:
    series = got(http, "/apps/acme/echo/series")
    assert (series["app"], series["step"], series["submitted"], series["ok"]) == ("acme/echo", 60, 6, 3)
    assert len(series["points"]) in (60, 61) and series["points"][0]["at"] == series["since"]
    assert sum(point["error"] for point in series["points"]) == series["error"] == 3
    busy = [point for point in series["points"] if point["run"] is not None]
    assert busy and all(0 < point["run"]["p50"] <= point["run"]["p90"] <= point["run"]["p99"] for point in busy)
    assert series["whole"]["p99"] >= series["run"]["p50"] and series["wait"]["mean"] >= 0
    week = got(http, "/apps/acme/echo/series", since=series_start(series) - 7 * 86_400)
    assert (week["step"], week["submitted"]) == (3600, 6) and len(week["points"]) <= 300
    assert len(got(http, "/apps/acme/echo/series", points=10)["points"]) <= 10


def series_start(series: Any) -> float:
    return datetime.fromisoformat(series["since"]).timestamp()


def test_the_summary_has_every_app(http: httpx2.Client) -> None:
    summary = got(http, "/summary")
    desk, echo = summary["items"]
    assert (desk["app"], desk["submitted"], desk["run"]) == ("acme/desk", 0, None)
    assert (echo["app"], echo["ok"], echo["error"]) == ("acme/echo", 3, 3)
    assert (sum(echo["ends"]), sum(echo["errors"])) == (6, 3)
    assert summary["step"] == 60 and len(echo["ends"]) == len(desk["ends"]) in (60, 61)
    assert len(got(http, "/summary", since=0)["items"]) == 2


def test_errors_are_grouped_by_what_they_have_in_common(http: httpx2.Client) -> None:
    errors = got(http, "/errors")
    assert (errors["count"], errors["groups"]) == (3, 2)
    most, other = errors["items"]
    assert (most["app"], most["count"], most["share"]) == ("acme/echo", 2, pytest.approx(2 / 3))
    assert "tensor # is bad" in most["message"] and most["first"] <= most["last"]
    assert got(http, f"/requests/{most['sample']}")["outcome"] == "error"
    assert other["count"] == 1
    one_kind = got(http, "/errors", error_type=most["error_type"], limit=1)
    assert len(one_kind["items"]) == 1 and one_kind["count"] == 3
    assert got(http, "/errors", app="acme/desk")["items"] == []
    assert got(http, "/errors", until=1)["items"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/apps/acme/nothing/series", 404),
        ("/apps/acme/echo/series?points=301", 422),
        ("/apps/acme/echo/series?since=-1", 422),
        ("/apps/acme/echo/series?since=1e300", 422),
        ("/apps/acme/echo/series?since=nan", 422),
        ("/summary?since=9&until=8", 422),
        ("/errors?limit=none", 422),
    ],
)
def test_what_cannot_be_asked(http: httpx2.Client, path: str, status: int) -> None:
    answer = http.get("/api/v1" + path)
    assert answer.status_code == status and "detail" in answer.json()


def test_whole_centuries_are_answered(http: httpx2.Client) -> None:
    series = got(http, "/apps/acme/echo/series", since=0, until=253_402_300_799)
    assert len(series["points"]) <= 300 and series["submitted"] == 6


def test_the_command_shows_the_last_hour(house: ServedApp, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "--server", house.url]) == exits.OK
    head, _, echo = capsys.readouterr().out.splitlines()
    assert "ended" in head and "p50, p90" in head
    assert echo.split()[0] == "acme/echo" and "  6      3 " in echo
