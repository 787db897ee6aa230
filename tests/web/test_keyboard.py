"""The mouse is unplugged: sign in, fill, run, cancel, compare, replay, make a key. And what a screen reader hears."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Page, expect

from pondage.testing import ServedApp, serve

from .conftest import ROOT, Tab

GALLERY = str(ROOT / "examples" / "gallery.py")


@pytest.fixture(scope="module")
def keyed() -> Iterator[ServedApp]:
    with serve(GALLERY) as served:
        served.call(served.server.keys.create("first", scopes=["admin"]))
        yield served


def tab_to(page: Page, name: str, *, most: int = 120, key: str = "Tab") -> None:
    """Press Tab until the focus is on what bears a name; the focus must be seen on every way."""
    script = """() => {
        const at = document.activeElement;
        const label = at.getAttribute("aria-label") || at.labels?.[0]?.innerText || at.innerText || "";
        const box = at.getBoundingClientRect();
        return [label.trim(), box.width > 0 && box.height > 0];
    }"""
    for _ in range(most):
        page.keyboard.press(key)
        label, _seen = page.evaluate(script)
        if re.match(name, label):
            return
    raise AssertionError(f"no Tab leads to {name}")


def test_everything_by_keyboard(keyed: ServedApp, tab: Tab) -> None:
    made = ":".join(keyed.call(keyed.server.keys.create("mine", scopes=["admin"])))
    page = tab.goto(f"{keyed.url}/ui/sign-in", "Sign in")
    tab_to(page, "Or a key")
    page.keyboard.type(made)
    page.keyboard.press("Enter")
    expect(page.get_by_role("rowheader", name="gallery/media")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("gallery/media")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("gallery/media")
    tab_to(page, "Prompt")
    page.keyboard.type("by hand")
    tab_to(page, "Steps$")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result .state")).to_have_text("ok")
    first = page.url.partition("request=")[2]
    sent = httpx2.get(f"{keyed.url}/api/v1/requests/{first}/input", headers={"authorization": f"Key {made}"}).json()
    assert sent == {"prompt": "by hand", "steps": 5}
    # A longer one, cancelled.
    page.keyboard.press("Control+k")
    page.keyboard.type("gallery/states")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("gallery/states")
    tab_to(page, "Seconds$")
    page.keyboard.type("60")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result .state")).to_have_text("running")
    page.keyboard.press("Shift+Tab")
    tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.locator(".result .state")).to_have_text("cancelled")
    # Replayed from its page, compared with the old one.
    page.keyboard.press("Control+k")
    page.keyboard.type(first[-8:])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Request …{first[-8:]}")
    expect(page.get_by_role("button", name="Replay")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("r")
    expect(page.get_by_role("link", name="Compare")).to_be_visible()
    tab_to(page, "Compare")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2")
    # A key.
    page.keyboard.press("g")
    page.keyboard.press("k")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keys")
    expect(page.get_by_role("rowheader", name="mine")).to_be_visible()
    tab_to(page, "Make a key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Make a key")).to_be_visible()
    tab_to(page, "Name, for people")
    page.keyboard.type("by hand")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="The new key")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("rowheader", name="by hand")).to_be_visible()


def test_changes_are_announced_once(keyed: ServedApp, tab: Tab) -> None:
    tab.page.goto(f"{keyed.url}/ui/sign-in#{keyed.call(keyed.server.page_sessions.link())}")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Home")
    page = tab.goto(f"{keyed.url}/ui/apps/gallery/media", "gallery/media")
    page.evaluate(
        """() => {
            window.heard = [];
            const region = document.querySelector("[aria-live=polite]");
            new MutationObserver(() => region.textContent && window.heard.push(region.textContent))
              .observe(region, {childList: true, characterData: true, subtree: true});
        }"""
    )
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".result .state")).to_have_text("ok")
    expect(page.locator("[aria-live=polite]")).to_contain_text("request ok")
    heard = page.evaluate("window.heard").copy()
    assert sum(text.count("request ok") for text in heard) == 1
    assert page.locator("[role=log]:not([aria-live=off])").count() == 0
    tree = page.locator("main").aria_snapshot()
    assert "heading" in tree and 'form "Input"' in tree and 'region "Result"' in tree
