"""Who used what: by key, app and day, for those who may see it, as JSON, CSV and a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.cli import exits, main
from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture(scope="module")
def house() -> Iterator[ServedApp]:
    with serve(str(APPS / "basic.py"), str(APPS / "shapes.py")) as served:
        served.call(served.server.keys.create("operator", scopes=("admin",)))
        yield served


class Holder:
    def __init__(self, served: ServedApp, name: str, *scopes: str, apps: list[str] | None = None) -> None:
        self.id, secret = served.call(served.server.keys.create(name, scopes=scopes, apps=apps))
        self.key = f"{self.id}:{secret}"
        self.http = httpx2.Client(base_url=served.url, timeout=30, headers={"authorization": f"Key {self.key}"})

    def usage(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.http.get("/api/v1/usage", params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


@pytest.fixture(scope="module")
def ann(house: ServedApp) -> Holder:
    """Two runs, one of which fails, and one that reports 2.5 units with its refusal."""
    ann = Holder(house, "=ann", "submit", "read")
    assert ann.http.post("/acme/echo", json={"x": 1}).status_code == 200
    assert ann.http.post("/acme/echo/fail", json={}).status_code == 500
    assert ann.http.post("/acme/shapes/field", json={"units": 2.5}).headers["x-fal-billable-units"] == "2.50000000"
    return ann


@pytest.fixture(scope="module")
def bob(house: ServedApp) -> Holder:
    bob = Holder(house, "bob", "submit", "read")
    assert bob.http.post("/acme/echo", json={"x": 1}).status_code == 200
    return bob


def test_a_key_sees_its_own_by_app_and_day(ann: Holder, bob: Holder) -> None:
    echo, shapes = ann.usage()
    assert (echo["key"], echo["key_name"], echo["app"]) == (ann.id, "=ann", "acme/echo")
    assert echo["day"] == datetime.now(UTC).strftime("%Y-%m-%d") or ann.usage()[0]["day"] == echo["day"]
    assert (echo["submitted"], echo["ok"], echo["error"], echo["cancelled"], echo["lost"]) == (2, 1, 1, 0, 0)
    assert echo["runner"] > 0 and echo["devices"] == 0 and echo["waited"] >= 0
    assert echo["input_bytes"] == len(b'{"x":1}') + 2 and echo["output_bytes"] > 0
    assert (shapes["app"], shapes["error"], shapes["units"]) == ("acme/shapes", 1, 2.5)
    assert [item["key"] for item in bob.usage()] == [bob.id]
    refused = bob.http.get("/api/v1/usage", params={"key": ann.id})
    assert refused.status_code == 403 and "read-all" in refused.json()["detail"]


def test_who_may_read_all_adds_up_as_asked(house: ServedApp, ann: Holder, bob: Holder) -> None:
    everybody = Holder(house, "boss", "read-all")
    by_app = everybody.usage(by="app", bucket="all")
    assert [(i["app"], i["key"], i["day"], i["ok"]) for i in by_app] == [
        ("acme/echo", None, None, 2),
        ("acme/shapes", None, None, 0),
    ]
    assert {i["key"]: i["submitted"] for i in everybody.usage(by="key", bucket="month")} == {ann.id: 3, bob.id: 1}
    (total,) = everybody.usage(by="none", bucket="all")
    assert (total["submitted"], total["ok"], total["error"], total["units"]) == (4, 2, 2, 2.5)
    assert {i["key"] for i in everybody.usage(key=bob.id)} == {bob.id}
    assert [i["app"] for i in everybody.usage(app="acme/shapes")] == ["acme/shapes"]
    assert everybody.usage(until=1.0) == []
    limited = Holder(house, "limited", "read-all", apps=["acme/shapes"])
    assert [i["app"] for i in limited.usage()] == ["acme/shapes"]


def test_a_spreadsheet_takes_no_name_for_a_formula(house: ServedApp, ann: Holder) -> None:
    for more in ({"params": {"format": "csv"}}, {"headers": {"accept": "text/csv"}}):
        answer = ann.http.get("/api/v1/usage", **more)  # type: ignore[arg-type]
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [(row["key_name"], row["app"], row["ok"]) for row in rows] == [
            ("'=ann", "acme/echo", "1"),
            ("'=ann", "acme/shapes", "0"),
        ]
    (row,) = csv.DictReader(io.StringIO(ann.http.get("/api/v1/usage?by=none&bucket=all&format=csv").text))
    assert "key" not in row and "day" not in row and row["submitted"] == "3"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"by": "colour"}, "key,app"),
        ({"bucket": "hour"}, "month"),
        ({"format": "xml"}, "csv"),
        ({"since": "yesterday"}, "since"),
        ({"since": "200", "until": "100"}, "later than until"),
    ],
)
def test_what_cannot_be_asked(ann: Holder, query: dict[str, str], said: str) -> None:
    answer = ann.http.get("/api/v1/usage", params=query)
    assert answer.status_code == 422 and said in answer.text


def test_a_token_sees_none(ann: Holder) -> None:
    token = ann.http.post("/tokens/", json={"allowed_apps": ["acme/echo"]}).json()
    answer = ann.http.get("/api/v1/usage", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403


def test_the_command(house: ServedApp, ann: Holder, capsys: pytest.CaptureFixture[str]) -> None:
    server = ("--server", house.url, "--key", ann.key)
    assert main(["usage", "--by", "key", "--bucket", "all", *server]) == exits.OK
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["key", "submitted", "ok", "error"] and row.split()[:4] == ["=ann", "3", "1", "2"]
    assert main(["usage", "--csv", "--since", "2d", *server]) == exits.OK
    assert len(list(csv.DictReader(io.StringIO(capsys.readouterr().out)))) == 2
    assert main(["usage", "--until", "2001-01-01", *server]) == exits.OK
    assert "nothing was used" in capsys.readouterr().err
    assert main(["usage", "--since", "soon", *server]) == exits.BAD_INPUT
    assert main(["usage", "--since", "999999999999w", *server]) == exits.BAD_INPUT


BILLED = """
import pondage

class Pixels:
    def declaration(self):
        return {"version": 1, "schema_id": "p", "app": {"type": "object", "properties": {"megapixels": {}}}}

class Billed(pondage.App, name="acme/billed"):
    @pondage.endpoint("/", billing=Pixels())
    def run(self) -> str:
        return "ok"
"""


def test_what_an_endpoint_bills_by_is_shown_with_its_app(tmp_path: Path) -> None:
    (tmp_path / "billed.py").write_text(BILLED)
    with serve(str(tmp_path / "billed.py")) as served:
        app = httpx2.get(f"{served.url}/api/v1/apps/acme/billed", timeout=30).json()
    assert app["info"]["endpoints"][0]["billing"]["app"]["properties"] == {"megapixels": {}}
