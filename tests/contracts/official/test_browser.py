"""fal's JavaScript client in a real browser: a page of ours on one origin, the gateway on another."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pondage.queue.interface import Filter
from pondage.testing import serve

from .conftest import APPS, Guarded

browser_test = partial(pytest.mark.compat, client="js-browser")
every_way = pytest.mark.parametrize("way", ["middleware", "fetch", "proxy"])

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP pondage.test 127.0.0.1",
]  # fmt: skip
STEPS = ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
LIMIT_MS = 30_000


@pytest.fixture(scope="session")
def bundle(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """js/page.mjs with the published client, as a bundler makes it for a page."""
    out = tmp_path_factory.mktemp("bundle") / "page.js"
    ran = subprocess.run(
        ["node_modules/.bin/esbuild", "page.mjs", "--bundle", "--format=iife", f"--outfile={out}", "--log-level=error"],
        cwd=packages, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return out.read_text()


class Site:
    """A web server for one page on an origin of its own."""

    def __init__(self, script: str) -> None:
        self.settings: dict[str, str] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = f"""<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><input type=file>
                <script>window.SETTINGS = {json.dumps(site.settings)}</script><script>{script}</script>"""
                body = page.encode()
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture(scope="session")
def site(bundle: str) -> Iterator[Site]:
    made = Site(bundle)
    yield made
    made.close()


class Browser:
    """Chromium, driven by Playwright on a loop and thread of its own: tests beside it have loops too."""

    def __init__(self, portal: BlockingPortal, browser: Any) -> None:
        self.portal = portal
        self.browser = browser


@pytest.fixture(scope="session")
def browser(clients: Any) -> Iterator[Browser]:
    """Debian's Chromium, which takes `pondage.test` for a name of this machine."""
    try:
        executable = clients.chromium()
    except clients.Missing as missing:
        pytest.skip(str(missing))
    from playwright.async_api import async_playwright

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(async_playwright()) as playwright:
        launch = partial(playwright.chromium.launch, executable_path=executable, headless=True, args=FLAGS)
        launched = portal.call(launch)
        yield Browser(portal, launched)
        portal.call(launched.close)


class Page:
    """js/page.mjs, open in the browser. `run` calls one of its cases."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._portal = browser.portal
        self._context = self._portal.call(browser.browser.new_context)
        self._page = self._portal.call(self._context.new_page)
        self._page.set_default_timeout(LIMIT_MS)
        self._portal.call(self._page.goto, url)
        self._portal.call(self._page.wait_for_function, "document.title === 'ready'")

    def run(self, name: str, way: str = "middleware") -> Any:
        """What a case returns; the name of the error where it throws one."""
        script = "([name, way]) => window.run(name, way).catch((error) => ({threw: error.name, why: error.message}))"
        return self._portal.call(self._page.evaluate, script, [name, way])

    def pick(self, content: bytes) -> None:
        """Choose a file in the page's file input."""
        chosen = {"name": "picked.png", "mimeType": "image/png", "buffer": content}
        self._portal.call(self._page.set_input_files, "input", chosen)

    def close(self) -> None:
        self._portal.call(self._context.close)


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """`visit(gateway, key)` opens the page with these settings; `host` is the name it has for the browser."""
    opened: list[Page] = []

    def visit(gateway: str, key: str = "any:thing", host: str = "127.0.0.1") -> Page:
        site.settings = {"gateway": gateway, "key": key}
        opened.append(Page(browser, f"http://{host}:{site.port}/"))
        return opened[-1]

    yield visit
    for page in opened:
        page.close()


@pytest.fixture
def page(visit: Visit, guarded: Guarded) -> Page:
    return visit(guarded.url, guarded.key)


@browser_test("CORS", "POST /{owner}/{alias}", "access-control-expose-headers: x-fal-request-id", call="run")
@every_way
def test_run(page: Page, way: str) -> None:
    ran = page.run("run", way)
    assert ran["data"]["prompt"] == "a fox" and len(ran["requestId"]) == 36


@browser_test("CORS", "GET /queue/{owner}/{alias}/requests/{request_id}/status", call="subscribe")
@every_way
@pytest.mark.parametrize("mode", ["Polling", "Streaming"])
def test_subscribe(page: Page, mode: str, way: str) -> None:
    done = page.run(f"subscribe{mode}", way)
    assert done["data"]["prompt"] == "a cat" and done["logs"] == STEPS and done["requestId"]


@browser_test("CORS", "POST /{owner}/{alias}/stream", call="stream")
@every_way
def test_stream(page: Page, way: str) -> None:
    assert [event["word"] for event in page.run("stream", way)] == [f"wörd {n}" for n in range(4)]


@browser_test("fal_jwt_token in the query", "POST /tokens/", call='stream(connectionMode: "client")')
def test_stream_with_a_token(page: Page) -> None:
    assert [event["n"] for event in page.run("streamWithToken", "fetch")] == [0, 1, 2, 3]


@browser_test("CORS", "PUT /queue/{owner}/{alias}/requests/{request_id}/cancel", call="queue.cancel")
def test_cancel(page: Page) -> None:
    assert page.run("cancel")["error_type"] == "client_cancelled"


@browser_test("CORS", "PUT upload_url", "GET /files/{name}", call="storage.upload; Files of an input are uploaded")
@every_way
def test_upload(page: Page, way: str) -> None:
    page.pick(bytes(1000))
    assert page.run("upload", way) == {"text": "from a page", "size": 1000}


@browser_test("WebSocket /{owner}/{alias}/realtime", "POST /tokens/", call="realtime.connect")
@every_way
def test_realtime(page: Page, way: str) -> None:
    results = page.run("realtime", way)
    assert results == [{"prompt": f"p{n}", "image": [255, 1], "scale": 1.5} for n in range(3)]


@browser_test("422 detail: loc, msg, type", call="ValidationError")
@every_way
def test_error(page: Page, way: str) -> None:
    said = page.run("error", way)
    assert said["validation"] and said["status"] == 422 and said["fields"] == [["body", "steps"]]
    assert said["requestId"]


FOREIGN = "pondage.test"


@browser_test("CORS: only loopback origins and those of --cors", call="a foreign page")
def test_a_foreign_page_is_kept_out(visit: Visit, guarded: Guarded) -> None:
    assert visit(guarded.url, guarded.key).run("plainFetch")["status"] == 200
    foreign = visit(guarded.url, guarded.key, FOREIGN)
    assert foreign.run("plainFetch")["threw"] == "TypeError"
    assert foreign.run("plainSocket") == "refused"


@browser_test("--cors", call="a page of an origin that --cors names")
def test_a_named_origin_may_come_in(visit: Visit, site: Site) -> None:
    with serve(str(APPS / "desk.py"), cors=f"http://{FOREIGN}:{site.port}") as named:
        page = visit(named.url, host=FOREIGN)
        assert page.run("plainFetch")["status"] == 200
        assert page.run("plainSocket") == "open"


@browser_test("an open server refuses foreign pages", call="a foreign page")
def test_an_open_server_does_nothing_for_a_foreign_page(visit: Visit) -> None:
    with serve(str(APPS / "desk.py")) as unguarded:
        foreign = visit(unguarded.url, host=FOREIGN)
        assert foreign.run("plainFetch")["threw"] == "TypeError"
        assert foreign.run("simplePost") == "sent"
        assert foreign.run("plainSocket") == "refused"
        assert unguarded.call(unguarded.server.queue.page(Filter())).items == []
        assert visit(unguarded.url).run("plainSocket") == "open"
