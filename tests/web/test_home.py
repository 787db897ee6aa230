"""Home and the frame: apps, states, palette, keys, themes, narrow windows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from pondage.testing import ServedApp, serve

from .conftest import APPS, Tab


def test_home_shows_apps_and_the_last_requests(echo: ServedApp, tab: Tab) -> None:
    import httpx2

    request_id = httpx2.post(f"{echo.url}/acme/echo", json={"x": 1}).headers["x-fal-request-id"]
    page = tab.goto(f"{echo.url}/ui/", "Home")
    row = page.get_by_role("row", name="acme/echo")
    expect(row).to_contain_text("ready")
    expect(page.get_by_text("Everything is fine")).to_be_visible()
    link = page.get_by_role("link", name=f"…{request_id[-8:]}")
    expect(link).to_have_attribute("href", f"/ui/requests/{request_id}")
    assert page.title() == "Home · Pondage"


def test_without_an_app_the_next_command_stands_there_and_the_page_changes_by_itself(
    tab: Tab, tmp_path: object
) -> None:
    with serve(str(APPS / "basic.py"), wait=False) as served:
        names = served.server.fleet.app_names
        served.server.fleet.app_names = lambda: []  # type: ignore[method-assign]
        page = tab.goto(f"{served.url}/ui/", "Home")
        expect(page.get_by_role("heading", name="No app yet")).to_be_visible()
        expect(page.get_by_text("pondage serve hello.py")).to_be_visible()
        assert tab.violations() == []
        served.server.fleet.app_names = names  # type: ignore[method-assign]
        expect(page.get_by_role("rowheader", name="acme/echo")).to_be_visible()


def test_an_app_that_cannot_run_needs_attention(tab: Tab, tmp_path: object) -> None:
    from pathlib import Path

    broken = Path(str(tmp_path)) / "broken.py"
    broken.write_text(
        "import pondage\n\n\nclass Broken(pondage.App, name='acme/broken'):\n    def setup(self):\n"
        "        raise RuntimeError('no <weights> here')\n\n    @pondage.endpoint('/')\n"
        "    def run(self, x: int) -> int:\n        return x\n"
    )
    with serve(str(broken), wait=False) as served:
        page = tab.goto(f"{served.url}/ui/", "Home")
        expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()
        expect(page.locator(".attention")).to_contain_text("no <weights> here")
        assert tab.violations() == []


def test_the_palette_goes_anywhere_by_keyboard(echo: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{echo.url}/ui/", "Home")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Go to")).to_be_visible()
    page.keyboard.type("keyboard sheet")
    page.keyboard.press("Enter")
    sheet = page.get_by_role("dialog", name="Keyboard")
    expect(sheet).to_contain_text("Ctrl+K")
    assert tab.violations() == []
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", level=1)).to_have_text("Playground")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_single_keys_can_be_turned_off(echo: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{echo.url}/ui/", "Home")
    page.keyboard.press("?")
    page.get_by_label("Single keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Single keys").check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "apps"])
def test_every_page_is_accessible(open_tab: Callable[..., Tab], echo: ServedApp, path: str, scheme: str) -> None:
    tab = open_tab(color_scheme=scheme, viewport={"width": 1440, "height": 900})
    page = tab.goto(f"{echo.url}/ui/{path}")
    expect(page.get_by_text("acme/echo").first).to_be_visible()
    assert tab.violations() == []


@pytest.mark.parametrize("width", [320, 768, 1440])
@pytest.mark.parametrize("path", ["", "apps"])
def test_no_page_scrolls_sideways(open_tab: Callable[..., Tab], echo: ServedApp, path: str, width: int) -> None:
    tab = open_tab(viewport={"width": width, "height": 700})
    page = tab.goto(f"{echo.url}/ui/{path}")
    expect(page.get_by_text("acme/echo").first).to_be_visible()
    assert tab.sideways() == 0


def test_the_theme_is_kept_and_works_where_nothing_can_be_kept(echo: ServedApp, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(color_scheme="light")
    page = tab.goto(f"{echo.url}/ui/", "Home")
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    denied = open_tab()
    denied.context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError') } })"
    )
    page = denied.goto(f"{echo.url}/ui/", "Home")
    page.get_by_role("button", name="Theme: system").click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
