"""Errors, runners, webhooks, keys, settings: what they show, what one can do there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import expect

from pondage.testing import ServedApp, serve

from ..webhook_receiver import receiving
from .conftest import ROOT, Tab

GALLERY = str(ROOT / "examples" / "gallery.py")


@pytest.fixture(scope="module")
def gallery() -> Iterator[ServedApp]:
    with serve(GALLERY) as served:
        yield served


def fail(served: ServedApp, message: str) -> str:
    answer = httpx2.post(f"{served.url}/gallery/states/fail", json={"message": message})
    return str(answer.headers["x-fal-request-id"])


def test_errors_come_in_groups(gallery: ServedApp, tab: Tab) -> None:
    ids = [fail(gallery, f"no room for {n} <b>bytes</b>") for n in range(3)]
    address = f"{gallery.url}/ui/errors"
    page = tab.goto(address, "Errors")
    row = page.get_by_role("row").filter(has_text="<b>bytes</b>")
    for _ in range(100):  # what is counted is folded a moment later
        if row.count():
            break
        time.sleep(0.1)
        page.get_by_role("button", name="Look again").click()
    expect(row).to_have_count(1)
    expect(row.get_by_role("cell").nth(1)).to_have_text("3")
    assert tab.violations() == []
    row.get_by_role("link", name="list").click()
    expect(page.get_by_role("table", name="Requests")).to_contain_text(f"…{ids[0][-8:]}")


def test_runners_show_what_they_do_and_said(gallery: ServedApp, tab: Tab) -> None:
    running = httpx2.post(f"{gallery.url}/queue/gallery/states", json={"seconds": 60}).json()["request_id"]
    page = tab.goto(f"{gallery.url}/ui/runners", "Runners")
    states = page.get_by_role("region", name="Runners of gallery/states")
    expect(states.get_by_role("row").nth(1)).to_contain_text("ready")
    expect(states.get_by_role("link", name=f"…{running[-8:]}")).to_be_visible()
    httpx2.put(f"{gallery.url}/api/v1/requests/{running}/cancel")
    expect(states).to_contain_text("nothing")
    httpx2.post(f"{gallery.url}/gallery/states/die", json={"until": 2}, timeout=60)
    states.get_by_role("button", name="Log").click()
    expect(page.get_by_role("log")).to_contain_text("exited with code 7")
    assert tab.violations() == []


def test_an_app_is_held_with_a_reason(gallery: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{gallery.url}/ui/runners", "Runners")
    panel = page.get_by_role("region", name="Runners of gallery/media")
    panel.get_by_role("button", name="Pause gallery/media").click()
    page.get_by_label("Why, for who waits").fill("new <weights>")
    assert tab.violations() == []
    page.get_by_role("button", name="Pause it").click()
    expect(panel).to_contain_text("paused")
    other = tab.goto(f"{gallery.url}/ui/apps/gallery/media", "gallery/media")
    expect(other.get_by_text("This app is paused: new <weights>.")).to_be_visible()
    page = tab.goto(f"{gallery.url}/ui/runners", "Runners")
    panel.get_by_role("button", name="Let it go on").click()
    expect(panel).not_to_contain_text("paused")


def test_all_that_failed_are_run_again_by_the_server(gallery: ServedApp, tab: Tab) -> None:
    for _ in range(40):
        httpx2.post(f"{gallery.url}/gallery/states/refuse", json={"message": "for now"})
    page = tab.goto(f"{gallery.url}/ui/requests?app=gallery/states&outcome=error", "Requests")
    page.get_by_role("button", name="Retry all…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("requests fit")
    assert tab.violations() == []
    dialog.get_by_role("button", name=re.compile("^Retry [0-9]+")).click()
    operations = page.get_by_role("region", name="Operations")
    expect(operations).to_contain_text("done")
    newest = httpx2.get(f"{gallery.url}/api/v1/requests?app=gallery/states&limit=1").json()["items"][0]
    assert newest["retried_from"]
    assert tab.violations() == []


def test_chosen_rows_are_cancelled(gallery: ServedApp, tab: Tab) -> None:
    url = f"{gallery.url}/queue/gallery/states"
    ids = [httpx2.post(url, json={"seconds": 60}).json()["request_id"] for _ in range(2)]
    page = tab.goto(f"{gallery.url}/ui/requests?app=gallery/states", "Requests")
    for one in ids:
        page.get_by_label(f"Choose …{one[-8:]}").check()
    page.get_by_role("button", name="Cancel 2").click()
    for one in ids:
        expect(page.get_by_role("row").filter(has_text=f"…{one[-8:]}")).to_contain_text("cancelled")


def test_deliveries_are_shown_and_replayed(gallery: ServedApp, tab: Tab) -> None:
    with receiving() as receiver:
        receiver.behave = lambda came, n: (503 if n == 1 else 204, {})
        url = f"{gallery.url}/queue/gallery/states/logs?fal_webhook={receiver.url}"
        request_id = httpx2.post(url, json={"lines": 0}).json()["request_id"]
        page = tab.goto(f"{gallery.url}/ui/deliveries", "Webhooks")
        row = page.get_by_role("row").filter(has_text=f"…{request_id[-8:]}")
        expect(row).to_contain_text("delivered")
        assert tab.violations() == []
        page.get_by_role("button", name=f"Tries of …{request_id[-8:]}").click()
        expect(page.get_by_role("dialog", name="Tries")).to_contain_text("503")
        page.keyboard.press("Escape")
        page.get_by_role("button", name=f"Replay …{request_id[-8:]}").click()
        came = receiver.count(3)[-1]
        page.get_by_role("button", name="Check a signature").click()
        headers = "\n".join(f"{name}: {value}" for name, value in came.headers.items())
        page.get_by_label("Headers").fill(headers)
        page.get_by_label("Body").fill(came.body.decode())
        page.get_by_role("button", name="Check", exact=True).click()
        status = page.get_by_role("dialog").get_by_role("status")
        expect(status).to_contain_text("The signature is right")
        secret = httpx2.get(f"{gallery.url}/api/v1/webhooks/secrets", params={"url": receiver.url}).json()["secrets"][0]
        page.get_by_label(re.compile("^Secret")).fill(secret)
        page.get_by_role("button", name="Check", exact=True).click()
        expect(status).to_contain_text("The signature is right")
        page.get_by_label("Body").fill(came.body.decode() + " ")
        page.get_by_role("button", name="Check", exact=True).click()
        expect(status).to_contain_text("No signature fits")
        assert tab.violations() == []


def test_settings_are_found_by_name(gallery: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{gallery.url}/ui/settings", "Settings")
    page.get_by_label("Settings whose name contains").fill("retention")
    expect(page.get_by_role("rowheader", name="file_retention")).to_be_visible()
    expect(page.get_by_role("rowheader", name="lease")).to_have_count(0)
    page.get_by_label("only what is set").check()
    expect(page.get_by_role("rowheader", name="file_retention")).to_have_count(0)


def test_the_first_key_closes_an_open_server_and_signs_in(tab: Tab) -> None:
    with serve(GALLERY, wait=False) as served:
        page = tab.goto(f"{served.url}/ui/keys", "Keys")
        expect(page.get_by_text("This server is open")).to_be_visible()
        page.get_by_role("button", name="Make a key").first.click()
        page.get_by_label("Name, for people").fill("me")
        page.get_by_label("admin").check()
        assert tab.violations() == []
        page.get_by_role("button", name="Make it").click()
        made = page.get_by_role("dialog", name="The new key")
        key = re.search(r"PONDAGE_KEY=(\S+)", made.text_content() or "")
        assert key is not None
        made.get_by_role("button", name="I have it").click()
        sign_in = page.get_by_role("dialog", name="Sign in")
        sign_in.get_by_label("Or a key").fill(key[1])
        sign_in.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("rowheader", name="me")).to_be_visible()
        page.get_by_role("button", name="Revoke me").click()
        page.get_by_role("button", name="Revoke it").click()
        expect(page.get_by_role("alert")).to_contain_text("revoke it with another")
        assert tab.violations() == []
        tab.said[:] = [line for line in tab.said if "401" not in line and "400" not in line and "WebSocket" not in line]


def test_a_read_only_key_is_told_which_scope_it_lacks(tab: Tab) -> None:
    with serve(GALLERY, wait=False) as served:
        made = ":".join(served.call(served.server.keys.create("reader", scopes=["read"])))
        tab.page.goto(f"{served.url}/ui/sign-in")
        tab.page.get_by_label("Or a key").fill(made)
        tab.page.get_by_role("button", name="Sign in").click()
        expect(tab.page.get_by_role("heading", level=1)).to_have_text("Home")
        page = tab.goto(f"{served.url}/ui/keys", "Keys")
        expect(page.get_by_role("alert").first).to_contain_text("admin")
        tab.said[:] = [line for line in tab.said if "403" not in line]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1440])
def test_every_page_fits_and_is_accessible(
    open_tab: Callable[..., Tab], gallery: ServedApp, scheme: str, width: int
) -> None:
    tab = open_tab(color_scheme=scheme, viewport={"width": width, "height": 800})
    for path in ("errors", "runners", "deliveries", "keys", "settings", "sign-in", "nowhere", "apps"):
        page = tab.goto(f"{gallery.url}/ui/{path}")
        expect(page.locator("main [aria-busy]")).to_have_count(0)
        assert (path, tab.sideways()) == (path, 0)
        assert (path, tab.violations()) == (path, [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_and_large_text_cut_nothing(
    open_tab: Callable[..., Tab], gallery: ServedApp, scheme: str
) -> None:
    tab = open_tab(
        color_scheme=scheme, forced_colors="active", reduced_motion="reduce", viewport={"width": 640, "height": 800}
    )
    for path in ("", "apps/gallery/controls", "requests", "runners", "keys"):
        page = tab.goto(f"{gallery.url}/ui/{path}")
        page.evaluate("document.documentElement.style.setProperty('font-size', '30px')")
        assert (path, tab.sideways()) == (path, 0)
