"""The list of requests, the flight recorder, comparing: what they show, and that they stay so while things happen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect

from pondage.clock import ManualClock
from pondage.testing import ServedApp, serve

from ..webhook_receiver import receiving
from .conftest import ROOT, Tab

GALLERY = str(ROOT / "examples" / "gallery.py")


@pytest.fixture(scope="module")
def gallery() -> Iterator[ServedApp]:
    with serve(GALLERY) as served:
        yield served


def run(served: ServedApp, endpoint: str, **given: Any) -> str:
    """Run to the end; the request's id."""
    answer = httpx2.post(f"{served.url}/{endpoint}", json=given, timeout=60)
    return str(answer.headers["x-fal-request-id"])


def submit(served: ServedApp, endpoint: str, query: str = "", **given: Any) -> str:
    return str(httpx2.post(f"{served.url}/queue/{endpoint}{query}", json=given).json()["request_id"])


def test_a_list_is_filtered_by_its_address(gallery: ServedApp, tab: Tab) -> None:
    good, bad = run(gallery, "gallery/states/logs", lines=1), run(gallery, "gallery/states/fail")
    page = tab.goto(f"{gallery.url}/ui/requests?outcome=error", "Requests")
    table = page.get_by_role("table", name="Requests")
    expect(table).to_contain_text(f"…{bad[-8:]}")
    expect(table).not_to_contain_text(f"…{good[-8:]}")
    expect(table).to_contain_text("no such checkpoint")
    page.get_by_role("button", name="Without outcome: error").click()
    expect(table).to_contain_text(f"…{good[-8:]}")
    page.get_by_role("combobox", name="Outcome").select_option("ok")
    expect(table).not_to_contain_text(f"…{bad[-8:]}")
    assert "outcome=ok" in page.url
    page.get_by_label("An id, or filters like outcome:error").fill("outcome:error error_type:nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No request fits")).to_be_visible()
    assert tab.violations() == []


def test_an_id_or_its_end_opens_the_request(gallery: ServedApp, tab: Tab) -> None:
    request_id = run(gallery, "gallery/states/logs", lines=1)
    page = tab.goto(f"{gallery.url}/ui/requests", "Requests")
    page.keyboard.press("/")
    page.keyboard.type(request_id[-8:])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Request …{request_id[-8:]}")
    assert page.url.endswith(f"/ui/requests/{request_id}")


def test_new_rows_wait_and_known_ones_change_in_place(gallery: ServedApp, tab: Tab) -> None:
    running = submit(gallery, "gallery/states", seconds=60)
    page = tab.goto(f"{gallery.url}/ui/requests?app=gallery/states", "Requests")
    row = page.get_by_role("row").filter(has_text=f"…{running[-8:]}")
    expect(row).to_contain_text("running")
    httpx2.put(f"{gallery.url}/api/v1/requests/{running}/cancel")
    expect(row).to_contain_text("cancelled")
    newest = run(gallery, "gallery/states/logs", lines=1)
    expect(page.get_by_role("table")).not_to_contain_text(f"…{newest[-8:]}")
    page.get_by_role("button", name="1 newer").click()
    expect(page.get_by_role("table")).to_contain_text(f"…{newest[-8:]}")


def test_the_list_by_keyboard(gallery: ServedApp, tab: Tab) -> None:
    ids = [run(gallery, "gallery/states/logs", lines=0) for _ in range(3)]
    page = tab.goto(f"{gallery.url}/ui/requests", "Requests")
    expect(page.get_by_role("table")).to_contain_text(f"…{ids[0][-8:]}")
    for key in "jxjx":
        page.keyboard.press(key)
    expect(page.get_by_role("link", name="Compare 2")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Request …{ids[1][-8:]}")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Requests")


def test_two_thousand_rows_are_few_in_the_page(gallery: ServedApp, tab: Tab) -> None:
    for _ in range(300):
        run(gallery, "gallery/states/numbers", count=0)
    page = tab.goto(f"{gallery.url}/ui/requests", "Requests")
    expect(page.get_by_role("row").first).to_be_visible()
    window = page.locator(".window")
    for _ in range(60):
        window.evaluate("(box) => box.scrollBy(0, 400)")
        page.wait_for_timeout(20)
    expect(page.locator("[aria-rowindex='300']")).to_be_visible()
    assert page.get_by_role("row").count() <= 60
    window.evaluate("(box) => box.scrollTo(0, 0)")
    expect(page.locator("[aria-rowindex='1']")).to_contain_text("ok")


def test_columns_are_chosen_and_kept(gallery: ServedApp, tab: Tab) -> None:
    run(gallery, "gallery/states/logs", lines=0)
    page = tab.goto(f"{gallery.url}/ui/requests", "Requests")
    page.get_by_text("Columns").click()
    page.get_by_label("Runner").check()
    expect(page.locator(".c-runner").first).to_be_visible()
    page.reload()
    expect(page.locator(".c-runner").first).to_be_visible()


def test_the_gallery_shows_what_was_made(gallery: ServedApp, tab: Tab) -> None:
    run(gallery, "gallery/media", steps=1, pause=0, count=2)
    page = tab.goto(f"{gallery.url}/ui/requests?app=gallery/media&view=gallery", "Requests")
    expect(page.locator(".gallery img").first).to_be_visible()
    assert tab.violations() == []


# ---- the flight recorder


def test_a_lost_attempt_and_a_failing_webhook_in_one_picture(gallery: ServedApp, tab: Tab) -> None:
    with receiving() as receiver:
        receiver.behave = lambda came, n: (503 if n == 1 else 200, {})
        request_id = submit(gallery, "gallery/states/die", f"?fal_webhook={receiver.url}", until=2)
        page = tab.goto(f"{gallery.url}/ui/requests/{request_id}", f"Request …{request_id[-8:]}")
        spans = page.get_by_role("region", name="Spans").get_by_role("row")
        expect(spans.filter(has_text="attempt 1")).to_contain_text("lost")
        expect(spans.filter(has_text="attempt 1")).to_contain_text("exited with code 7")
        expect(spans.filter(has_text="attempt 2")).to_contain_text("ok")
        expect(spans.filter(has_text="webhook")).to_have_count(2)
        expect(spans.filter(has_text="webhook").first).to_contain_text("503")
    assert tab.violations() == []
    shown = subprocess.run(
        [sys.executable, "-m", "pondage.cli", "requests", "show", request_id, "--json", "--server", gallery.url],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    found = json.loads(shown.stdout)["spans"]
    assert [span["lane"] for span in found] == ["queue", "queue", "attempt", "attempt", "webhook", "webhook"]
    page.get_by_role("tab", name="Webhook").click()
    expect(page.get_by_role("region", name=re.compile("Tries of"))).to_contain_text("503")
    assert tab.violations() == []


def test_a_running_request_goes_on_before_the_eyes(gallery: ServedApp, tab: Tab) -> None:
    request_id = submit(gallery, "gallery/states", seconds=1.5, steps=5)
    page = tab.goto(f"{gallery.url}/ui/requests/{request_id}", f"Request …{request_id[-8:]}")
    expect(page.locator(".head .state")).to_have_text("ok")
    numbers = page.locator(".events li > a").all_text_contents()
    assert numbers == [f"#{n}" for n in range(1, len(numbers) + 1)]
    page.get_by_role("combobox", name="Kind").select_option("progress")
    expect(page.locator(".events li")).to_have_count(5)
    assert "kind=progress" in page.url


def test_an_event_has_an_address(gallery: ServedApp, tab: Tab) -> None:
    request_id = run(gallery, "gallery/states/logs", lines=2000)
    page = tab.goto(f"{gallery.url}/ui/requests/{request_id}#e1000", f"Request …{request_id[-8:]}")
    expect(page.locator("#e1000")).to_be_in_viewport()
    assert page.locator(".events li").count() <= 400


def test_replay_links_both_and_compares(gallery: ServedApp, tab: Tab) -> None:
    first = run(gallery, "gallery/media", steps=1, pause=0, count=1, seed=3)
    page = tab.goto(f"{gallery.url}/ui/requests/{first}", f"Request …{first[-8:]}")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("link", name=f"…{first[-8:]}")).to_be_visible()
    expect(page.locator(".head .state")).to_have_text("ok")
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_text("The inputs are the same.")).to_be_visible()
    assert tab.violations() == []


def test_edit_and_replay_opens_the_form_with_its_input(gallery: ServedApp, tab: Tab) -> None:
    request_id = run(gallery, "gallery/media", steps=1, pause=0, count=1, prompt="of old")
    page = tab.goto(f"{gallery.url}/ui/requests/{request_id}", f"Request …{request_id[-8:]}")
    page.get_by_role("link", name="Edit and replay").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value("of old")


def test_an_export_is_read_without_its_server(gallery: ServedApp, tab: Tab, tmp_path: Path) -> None:
    request_id = run(gallery, "gallery/states/fail", message="<b>of old</b>")
    page = tab.goto(f"{gallery.url}/ui/requests/{request_id}", f"Request …{request_id[-8:]}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    path = tmp_path / "request.json"
    download.value.save_as(path)
    exported = json.loads(path.read_text())
    assert (exported["pondage"], exported["request"]["id"]) == (1, request_id)
    exported["request"]["id"] = "0" * 36
    path.write_text(json.dumps(exported))
    page = tab.goto(f"{gallery.url}/ui/requests", "Requests")
    page.get_by_label("Open a file with an exported request").set_input_files(path)
    expect(page.get_by_text("from a file")).to_be_visible()
    expect(page.locator("main")).to_contain_text("<b>of old</b>")
    page.get_by_role("tab", name="Input").click()
    expect(page.get_by_label("input", exact=True)).to_contain_text("of old")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"pondage": 1, "request": {}}')
    page = tab.goto(f"{gallery.url}/ui/requests", "Requests")
    page.get_by_label("Open a file with an exported request").set_input_files(wrong)
    expect(page.get_by_role("alert")).to_contain_text("the request has no id")


def test_payloads_that_are_not_kept_say_so(tab: Tab) -> None:
    clock = ManualClock(wall=time.time())
    with serve(GALLERY, clock=clock) as served:
        answer = httpx2.post(f"{served.url}/gallery/states/logs", json={"lines": 0}, headers={"x-fal-store-io": "0"})
        request_id = answer.headers["x-fal-request-id"]
        while httpx2.get(f"{served.url}/api/v1/requests/{request_id}/input").status_code != 404:
            clock.advance(100)
            served.call(served.server.queue.sweep())
        page = tab.goto(f"{served.url}/ui/requests/{request_id}?tab=input", f"Request …{request_id[-8:]}")
        expect(page.get_by_role("heading", name="The input is not kept")).to_be_visible()
        page.get_by_role("tab", name="Output").click()
        expect(page.get_by_role("heading", name="The output is not kept")).to_be_visible()
        tab.said[:] = [line for line in tab.said if "404" not in line]


def test_an_unknown_request_is_said(gallery: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{gallery.url}/ui/requests/01a21e74-0000-7a9a-b5f4-779f158b36a9")
    expect(page.get_by_role("alert")).to_contain_text("not found")
    tab.said.clear()


# ---- comparing


def test_results_beside_each_other(gallery: ServedApp, tab: Tab) -> None:
    ids = [run(gallery, "gallery/media", steps=1, pause=0, count=1, seed=seed) for seed in (1, 2)]
    page = tab.goto(f"{gallery.url}/ui/compare?ids={','.join(ids)}", "Compare 2")
    expect(page.get_by_role("region", name="Inputs that differ")).to_contain_text("seed")
    for view in ("Side by side", "Slider", "Blink"):
        page.get_by_role("tab", name=view).click()
        expect(page.locator("main img").first).to_be_visible()
        assert tab.violations() == []
    source = page.locator("figure img").get_attribute("src")
    page.keyboard.press("b")
    expect(page.locator("figure img")).not_to_have_attribute("src", source or "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1440])
def test_pages_of_requests_fit_and_are_accessible(
    open_tab: Callable[..., Tab], gallery: ServedApp, scheme: str, width: int
) -> None:
    ids = [run(gallery, "gallery/media", steps=1, pause=0, count=1, seed=seed) for seed in (1, 2)]
    tab = open_tab(color_scheme=scheme, viewport={"width": width, "height": 800})
    for path in ("requests", f"requests/{ids[0]}", f"requests/{ids[0]}?tab=output", f"compare?ids={','.join(ids)}"):
        page = tab.goto(f"{gallery.url}/ui/{path}")
        expect(page.locator("main")).to_contain_text(f"…{ids[0][-8:]}")
        assert (path, tab.sideways()) == (path, 0)
        assert (path, tab.violations()) == (path, [])
