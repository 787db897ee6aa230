"""Makes the pictures of the README from the real pages: the gallery app served, its pages open in Chromium."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import msgspec
from playwright.sync_api import Page, expect, sync_playwright

from pondage.testing import ServedApp, serve

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"
WINDOW = {"width": 1280, "height": 760}
LIMIT_MS = 30_000


def playground(page: Page, served: ServedApp) -> None:
    """A run of the media endpoint, done."""
    page.goto(f"{served.url}/ui/apps/gallery/media")
    page.get_by_role("textbox", name="Prompt").fill("rings of light, film still")
    page.get_by_role("textbox", name="Seed", exact=True).fill("8123")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".result img.picture")).to_have_count(2)
    expect(page.locator(".history li")).to_have_count(1)


def flight_recorder(page: Page, served: ServedApp) -> None:
    """A request whose first runner died, and whose receiver does not listen."""
    url = f"{served.url}/queue/gallery/states/die?fal_webhook=http://127.0.0.1:9/hook"
    asked = Request(url, b'{"until": 2}', {"content-type": "application/json"})  # noqa: S310 - our own server
    with urlopen(asked) as answer:  # noqa: S310
        request_id = msgspec.json.decode(answer.read())["request_id"]
    page.goto(f"{served.url}/ui/requests/{request_id}")
    spans = page.get_by_role("region", name="Spans").get_by_role("row")
    expect(spans.filter(has_text="webhook")).not_to_have_count(0)
    expect(spans.filter(has_text="attempt 2")).to_contain_text("ok")


PICTURES = {"playground.png": playground, "request.png": flight_recorder}


def make(folder: Path) -> None:
    """Write every picture into a folder.

    Raises:
        SystemExit: there is no Chromium.
    """
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise SystemExit("there is no Chromium: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=LIMIT_MS)
    with serve(str(ROOT / "examples" / "gallery.py")) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, arrange in PICTURES.items():
            page = browser.new_page(viewport=WINDOW, color_scheme="light")
            arrange(page, served)
            page.evaluate("document.activeElement?.blur()")
            page.screenshot(path=folder / name)
            page.close()
        browser.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
