"""What operators watch: metrics, alerts and board say of a real server what they name, by Prometheus itself."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from pondage.testing import ServedApp, serve

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "pondage.rules.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
BOARD = ROOT / "deploy" / "grafana" / "pondage.json"
PAGE = ROOT / "docs" / "metrics.md"
APPS = ROOT / "tests" / "apps"
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="needs promtool and prometheus: apt-get install prometheus",
)


@pytest.fixture(scope="module")
def house() -> Iterator[ServedApp]:
    with serve(str(APPS / "basic.py"), str(APPS / "desk.py")) as served:
        yield served


class Watched(NamedTuple):
    url: str
    http: httpx2.Client
    scrape: str


@pytest.fixture(scope="module")
def key(house: ServedApp) -> str:
    return ":".join(house.call(house.server.keys.create("prometheus", scopes=("metrics",))))


@pytest.fixture(scope="module")
def caller(house: ServedApp, key: str) -> Iterator[httpx2.Client]:
    admin = ":".join(house.call(house.server.keys.create("admin", scopes=("admin",))))
    with httpx2.Client(base_url=house.url, timeout=30, headers={"authorization": f"Key {admin}"}) as http:
        yield http


@pytest.fixture(scope="module")
def scrape(house: ServedApp, key: str, caller: httpx2.Client) -> str:
    """After three runs that went well, one that failed, and one that was cancelled."""
    for _ in range(3):
        assert caller.post("/acme/echo", json={"x": 1}).status_code == 200
    assert caller.post("/acme/echo/fail", json={}).status_code == 500
    waiting = caller.post("/queue/acme/echo/hang/async", json={}).json()["request_id"]
    assert caller.put(f"/queue/acme/echo/requests/{waiting}/cancel").status_code in (200, 202)
    caller.get(f"/queue/acme/echo/requests/{waiting}", headers={"prefer": "wait=20"})
    answer = caller.get("/metrics", headers={"authorization": f"Key {key}"})
    assert answer.status_code == 200
    return answer.text


def sample(scrape: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", scrape, re.MULTILINE)
    assert found, series
    return float(found[1])


# ---- what a scrape says


def test_requests_are_counted_by_outcome_and_duration(scrape: str) -> None:
    for outcome, count in (("ok", 3), ("error", 1), ("cancelled", 1)):
        assert sample(scrape, f'pondage_requests_total{{app="acme/echo",outcome="{outcome}"}}') == count
    assert sample(scrape, 'pondage_requests_submitted_total{app="acme/echo"}') == 5
    for name in ("wait", "run", "total"):
        assert sample(scrape, f'pondage_{name}_seconds_count{{app="acme/echo"}}') == 5
        assert sample(scrape, f'pondage_{name}_seconds_bucket{{app="acme/echo",le="+Inf"}}') == 5
        steps = [
            float(n) for n in re.findall(rf'pondage_{name}_seconds_bucket{{app="acme/echo",le="[^+"]+"}} (\S+)', scrape)
        ]
        assert steps == sorted(steps) and len(steps) == 24


def test_the_server_says_how_it_stands(scrape: str) -> None:
    assert sample(scrape, 'pondage_runners{app="acme/echo",state="ready"}') == 1
    assert sample(scrape, 'pondage_app_up{app="acme/desk"}') == 1
    assert 0 < sample(scrape, "pondage_disk_free_bytes") < sample(scrape, "pondage_disk_size_bytes")
    assert sample(scrape, "pondage_held_bytes") == 0  # nobody is slow
    assert sample(scrape, "pondage_database_bytes") > 0
    assert sample(scrape, 'pondage_part_wrong{part="disk"}') == 0
    assert 'pondage_build_info{version="' in scrape


def test_fals_names_say_the_same(scrape: str) -> None:
    assert sample(scrape, 'fal_app_runners{application="acme/echo",machine_type="local",state="running"}') == 1
    assert sample(scrape, 'fal_app_queue_size{application="acme/desk"}') == 0
    assert 'fal_app_request_latency{application="acme/echo",le="+Inf"}' in scrape
    assert 'fal_app_requests_completed{application="acme/echo",method="POST",status="200"}' in scrape


def test_a_key_for_some_apps_scrapes_these(house: ServedApp, scrape: str, caller: httpx2.Client) -> None:
    key = ":".join(house.call(house.server.keys.create("desk", scopes=("metrics",), apps=["acme/desk"])))
    limited = caller.get("/metrics", headers={"authorization": f"Key {key}"}).text
    assert "acme/desk" in limited and "acme/echo" not in limited
    assert (
        "pondage_http_responses" not in limited and "pondage_disk" not in limited and "pondage_webhook" not in limited
    )


def test_every_metric_is_documented(scrape: str) -> None:
    page = PAGE.read_text("utf-8")
    names = set(re.findall(r"^# TYPE (\S+)", scrape, re.MULTILINE))
    assert {name for name in names if name not in page} == set()


# ---- what Prometheus makes of it


def queries() -> list[str]:
    board = json.loads(BOARD.read_text("utf-8"))
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(found) > 20
    return [q.replace("$__rate_interval", "30s").replace("$app", ".*") for q in found]


def alerts(url: str) -> list[str]:
    """The expressions of the rules, without what they are compared with: an alert that fires at once is none."""
    (group,) = httpx2.get(f"{url}/api/v1/rules", timeout=10).json()["data"]["groups"]
    whole = [part for rule in group["rules"] for part in rule["query"].split(" and ")]
    return [re.sub(r"\s(==|>|<)\s[\d.]+\s*$", "", re.sub(r"\[\d+\w\]", "[30s]", part)) for part in whole]


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_prometheus
def test_promtool_takes_the_rules_and_the_metrics(scrape: str, tmp_path: Path, key: str) -> None:
    promtool("check", "rules", str(RULES))
    shutil.copy(RULES, tmp_path)
    (tmp_path / "pondage.key").write_text(key)
    (tmp_path / "prometheus.yml").write_text(CONFIG.read_text())
    promtool("check", "config", str(tmp_path / "prometheus.yml"))
    checked = subprocess.run(["promtool", "check", "metrics"], input=scrape, capture_output=True, text=True, timeout=30)
    complaints = [line for line in checked.stderr.splitlines() if not line.startswith("fal_app_request_latency ")]
    assert complaints == [], "of fal's names the one with `le` is a gauge, as there"


@pytest.fixture(scope="module")
def prometheus(house: ServedApp, key: str, scrape: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with our configuration that has scraped the server at least twice."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "pondage.key").write_text(key)
    shutil.copy(RULES, folder)
    config = CONFIG.read_text().replace("127.0.0.1:8000", house.url.partition("://")[2]).replace("15s", "500ms")
    (folder / "prometheus.yml").write_text(config)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            scraped = 0.0
            while scraped < 3:
                assert process.poll() is None, (folder / "log").read_text()[-3000:]
                time.sleep(0.2)
                try:
                    found = query(url, 'count_over_time(up{job="pondage"}[1m])')
                except (httpx2.HTTPError, KeyError):
                    continue
                scraped = float(found[0]["value"][1]) if found else 0.0
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def query(url: str, expression: str) -> list[Any]:
    answer = httpx2.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10).json()
    found: list[Any] = answer["data"]["result"]
    return found


@needs_prometheus
@pytest.mark.timeout(120)
def test_every_query_finds_something_in_a_real_scrape(prometheus: str) -> None:
    assert query(prometheus, 'up{job="pondage"}')[0]["value"][1] == "1", "the key was taken"
    for expression in [*queries(), *alerts(prometheus)]:
        found = json.loads(promtool("query", "instant", "--format=json", prometheus, expression))
        assert found, f"nothing is found by {expression}"


@needs_prometheus
def test_a_healthy_server_alerts_nobody(prometheus: str) -> None:
    rules = httpx2.get(f"{prometheus}/api/v1/rules", timeout=10).json()["data"]["groups"][0]["rules"]
    assert len(rules) == 10
    assert [rule["name"] for rule in rules if rule.get("lastError")] == []
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert firing == set()
