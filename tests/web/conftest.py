"""A real Chromium on real servers, with our content security policy on. A page whose console speaks fails its test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from pondage.testing import ServedApp, serve

ROOT = Path(__file__).parents[2]
APPS = ROOT / "tests" / "apps"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
LIMIT_MS = 20_000
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has the browser: its loop must end before tests with loops of their own begin."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.xdist_group("web"))


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Not watched here: Playwright runs these tests within a loop of its own, which they block all the time."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    expect.set_options(timeout=LIMIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def echo() -> Iterator[ServedApp]:
    """An open server with `acme/echo`."""
    with serve(str(APPS / "basic.py")) as served:
        yield served


class Tab:
    """A page, what it asked for, and what its console said."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.page.set_default_timeout(LIMIT_MS)
        self.requests: list[Request] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))

    def goto(self, url: str, title: str | None = None) -> Page:
        """Open an address and wait for its title on the page."""
        self.page.goto(url)
        heading = self.page.get_by_role("heading", level=1)
        expect(heading).to_be_visible()
        if title is not None:
            expect(heading).to_have_text(title)
        return self.page

    def violations(self) -> list[str]:
        """What axe-core finds on the page as it is: rule and element."""
        self.page.evaluate(AXE.read_text("utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate("axe.run().then((ran) => ran.violations)")
        return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]

    def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return found


@pytest.fixture
def open_tab(chromium: Browser) -> Iterator[Callable[..., Tab]]:
    """Makes tabs; each must stay silent to its end, unless the test empties `said`."""
    contexts: list[BrowserContext] = []
    tabs: list[Tab] = []

    def make(**options: Any) -> Tab:
        context = chromium.new_context(**options)
        contexts.append(context)
        tabs.append(Tab(context))
        return tabs[-1]

    yield make
    for context in contexts:
        context.close()
    assert [line for tab in tabs for line in tab.said] == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    """One tab in a window of its own."""
    return open_tab(viewport={"width": 1280, "height": 800})
