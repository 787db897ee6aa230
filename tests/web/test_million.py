"""A million finished requests: a page of them is as small as ever, and the oldest is reached."""

from __future__ import annotations

import datetime
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx2
import pytest
from playwright.sync_api import expect

from pondage.testing import ServedApp, serve

from .conftest import ROOT, Tab

COUNT = 1_000_000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def seeding() -> ModuleType:
    spec = importlib.util.spec_from_file_location("seed", ROOT / "scripts" / "seed.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    data: Path = tmp_path_factory.mktemp("seeded") / "data"
    seed = seeding()
    seed.run_some(data)
    seed.copy_rows(data, COUNT)
    gallery = str(ROOT / "examples" / "gallery.py")
    with serve(gallery, data=str(data), wait=False, retention=60 * 86_400.0, retention_bytes=10**13) as served:
        yield served


def heap(tab: Tab) -> int:
    session = tab.context.new_cdp_session(tab.page)
    session.send("HeapProfiler.collectGarbage")
    used: int = session.send("Runtime.getHeapUsage")["usedSize"]
    return used


def test_two_thousand_rows_of_scrolling_keep_few(million: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{million.url}/ui/requests", "Requests")
    expect(page.get_by_role("row").first).to_be_visible()
    window = page.locator(".window")
    while not page.locator("[aria-rowindex='2000']").count():
        window.evaluate("(box) => box.scrollBy(0, 500)")
        page.wait_for_timeout(10)
    assert page.get_by_role("row").count() <= 60
    assert heap(tab) <= 120 * 1024 * 1024
    lists = [one for one in tab.requests if "/api/v1/requests" in one.url]
    assert len(lists) <= 2000 // 50 + 20


def test_errors_of_one_app_and_a_time_far_back(million: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{million.url}/ui/requests?app=gallery/states&outcome=error", "Requests")
    expect(page.get_by_role("row").nth(9)).to_contain_text("error")
    then = datetime.datetime.now() - datetime.timedelta(days=14)
    page = tab.goto(f"{million.url}/ui/requests?until={then:%Y-%m-%dT%H:%M}", "Requests")
    expect(page.get_by_role("row").first).to_contain_text(re.compile("14 d ago"))


def test_the_oldest_row_is_reached(million: ServedApp, tab: Tab) -> None:
    newest = httpx2.get(f"{million.url}/api/v1/requests?limit=1").json()["items"][0]
    then = datetime.datetime.fromisoformat(newest["submitted_at"]).astimezone() - datetime.timedelta(days=29.99)
    page = tab.goto(f"{million.url}/ui/requests?until={then:%Y-%m-%dT%H:%M}", "Requests")
    window = page.locator(".window")
    expect(page.get_by_role("row").first).to_be_visible()
    while "+" in (page.locator(".list-bar [role=status]").text_content() or "+"):
        window.evaluate("(box) => box.scrollTo(0, box.scrollHeight)")
        page.wait_for_timeout(20)
    window.evaluate("(box) => box.scrollTo(0, box.scrollHeight)")
    last = page.get_by_role("row").last
    last.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Request "))
    assert page.url.rsplit("/", 1)[1].endswith("000000000000")
