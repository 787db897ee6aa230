"""What is hostile, large, or odd: names and outputs that are code, foreign hosts, a path prefix, a browser that keeps
nothing, a server that is stopped under an open page, pictures and clocks beyond reason."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import expect

from pondage.testing import ServedApp, serve

from .conftest import ROOT, Tab

GALLERY = str(ROOT / "examples" / "gallery.py")
CODE = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>'
HTML = (
    "<!doctype html><script>window.ran = 1; fetch('/api/v1/requests').then((a) => document.title = a.status)</script>"
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>window.ran=1</script></svg>'


@pytest.fixture(scope="module")
def gallery() -> Iterator[ServedApp]:
    with serve(GALLERY) as served:
        yield served


def run(served: ServedApp, endpoint: str, **given: Any) -> str:
    answer = httpx2.post(f"{served.url}/{endpoint}", json=given, timeout=60)
    return str(answer.headers["x-fal-request-id"])


# ---- hostile


def test_an_output_that_is_code_is_text(gallery: ServedApp, tab: Tab) -> None:
    ids = [
        run(gallery, "gallery/states/fail", message=CODE),
        run(gallery, "gallery/media/file", text=HTML, name=f"{CODE}.html", content_type="text/html"),
        run(
            gallery,
            "gallery/controls/anything",
            **{CODE: CODE, "url": "javascript:window.ran=1", "__proto__": {"x": 1}},
        ),
    ]
    for request_id in ids:
        for path in (f"requests/{request_id}", f"requests/{request_id}?tab=output", f"requests/{request_id}?tab=raw"):
            page = tab.goto(f"{gallery.url}/ui/{path}")
            expect(page.locator("main")).to_contain_text(request_id)
    for path in ("", "requests", "errors"):
        tab.goto(f"{gallery.url}/ui/{path}")
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/controls/anything?request={ids[2]}")
    expect(page.locator(".result .tree")).to_contain_text("onerror")
    assert page.locator("a[href^='javascript']").count() == 0
    assert page.evaluate("[window.ran, ({}).x]") == [None, None]


@pytest.mark.parametrize(
    ("text", "kind"), [(HTML, "text/html"), (SVG, "image/svg+xml"), (HTML, "application/xhtml+xml")]
)
def test_a_stored_page_never_runs_beside_ours(gallery: ServedApp, tab: Tab, text: str, kind: str) -> None:
    stored = httpx2.post(f"{gallery.url}/files/upload", content=text, headers={"content-type": kind}).json()[
        "access_url"
    ]
    answer = httpx2.get(stored)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    with tab.page.expect_download():
        tab.page.evaluate("(url) => { location.href = url }", stored)


def test_an_outputs_own_page_has_another_origin(gallery: ServedApp, tab: Tab) -> None:
    request_id = run(gallery, "gallery/controls/anything", x=HTML)
    for which in ("input", "output"):
        headers = httpx2.get(f"{gallery.url}/api/v1/requests/{request_id}/{which}").headers
        assert "sandbox" in headers["content-security-policy"] and headers["content-disposition"] == "attachment"


@pytest.mark.parametrize("host", ["evil.example", "gpu-box.lan:8000", "localhost.evil.example", "169.254.169.254"])
def test_a_foreign_host_gets_no_page_of_an_open_server(gallery: ServedApp, host: str) -> None:
    for path in ("/", "/ui/", "/ui/requests", "/api/v1/requests"):
        answer = httpx2.get(gallery.url + path, headers={"host": host})
        assert (path, answer.status_code) == (path, 421)


def test_a_foreign_page_can_neither_read_nor_frame_an_open_server(gallery: ServedApp) -> None:
    foreign = {"origin": "https://evil.example"}
    assert httpx2.get(f"{gallery.url}/api/v1/requests", headers=foreign).status_code == 403
    assert httpx2.post(f"{gallery.url}/gallery/states", json={}, headers=foreign).status_code == 403
    assert "frame-ancestors 'none'" in httpx2.get(f"{gallery.url}/ui/").headers["content-security-policy"]


def test_a_stolen_read_key_changes_nothing() -> None:
    with serve(GALLERY) as served:
        create = served.server.keys.create
        owner = {"authorization": f"Key {':'.join(served.call(create('owner', scopes=['submit', 'read'])))}"}
        thief = {"authorization": f"Key {':'.join(served.call(create('thief', scopes=['read-all'])))}"}
        begun = httpx2.post(f"{served.url}/queue/gallery/states", json={"seconds": 60}, headers=owner).json()
        at = f"{served.url}/api/v1/requests/{begun['request_id']}"
        assert httpx2.get(at, headers=thief).status_code == 200
        for method, path in (("PUT", f"{at}/cancel"), ("POST", f"{at}/retry"), ("POST", f"{served.url}/api/v1/keys")):
            assert httpx2.request(method, path, headers=thief).status_code in {403, 404}
        assert httpx2.get(at, headers=owner).json()["state"] != "COMPLETED"
        httpx2.put(f"{at}/cancel", headers=owner)


# ---- under a path


class Proxy(http.server.BaseHTTPRequestHandler):
    """Takes `/models` off and passes the rest on, as a proxy in front does; no WebSockets."""

    target: ClassVar[str] = ""

    def pass_on(self) -> None:
        parts = urlsplit(self.target)
        if not self.path.startswith("/models/"):
            self.send_error(404)
            return
        size = int(self.headers.get("content-length") or 0)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
        connection.request(self.command, self.path.removeprefix("/models"), self.rfile.read(size), headers)
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = pass_on

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def prefixed() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    url = f"http://127.0.0.1:{server.server_address[1]}/models"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    with serve(GALLERY, public_url=url) as served:
        Proxy.target = served.url
        yield url
    server.shutdown()
    server.server_close()


def test_everything_works_under_a_path(prefixed: str, tab: Tab) -> None:
    answer = httpx2.get(f"{prefixed}/ui/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = tab.goto(f"{prefixed}/", "Home")
    assert page.url == f"{prefixed}/ui/"
    expect(page.get_by_text("Every 5 s")).to_be_visible()
    page.get_by_role("link", name="gallery/media", exact=True).click()
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".result img.picture")).to_have_count(2)
    assert page.url.startswith(f"{prefixed}/ui/apps/gallery/media?request=")
    page.reload()
    expect(page.locator(".result img.picture")).to_have_count(2)
    assert {urlsplit(one.url).path.startswith("/models/") for one in tab.requests if one.url.startswith("http")} == {
        True
    }
    tab.said[:] = [line for line in tab.said if "WebSocket" not in line]


# ---- a server that goes, a browser that is odd


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`pondage serve` as a process of its own, which can be stopped."""
    command = [sys.executable, "-m", "pondage.cli", "serve", GALLERY, "--port", "0", "--json", "--data", str(tmp_path)]
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert serving.stdout is not None
    yield serving, json.loads(serving.stdout.readline())["url"]
    serving.send_signal(signal.SIGCONT)
    serving.terminate()
    serving.wait(60)
    serving.stdout.close()


def test_a_page_of_a_server_that_sleeps_goes_on_when_it_wakes(
    process: tuple[subprocess.Popen[str], str], tab: Tab
) -> None:
    serving, url = process
    page = tab.goto(f"{url}/ui/apps/gallery/states", "gallery/states")
    page.get_by_role("textbox", name="Seconds", exact=True).fill("3")
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".result .state")).to_have_text("running")
    os.kill(serving.pid, signal.SIGSTOP)
    page.wait_for_timeout(1500)
    expect(page.get_by_role("textbox", name="Seconds", exact=True)).to_have_value("3")
    os.kill(serving.pid, signal.SIGCONT)
    expect(page.locator(".result .state")).to_have_text("ok")
    page.get_by_role("tab", name="Events").click()
    numbers = [int(text.split()[0][1:]) for text in page.locator(".events li").all_text_contents()]
    assert numbers == sorted(set(numbers))


def test_a_killed_server_that_comes_back_loses_no_event(tmp_path: Path, tab: Tab) -> None:
    command = [sys.executable, "-m", "pondage.cli", "serve", GALLERY, "--json", "--data", str(tmp_path), "--port"]
    first = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert first.stdout is not None
    url = json.loads(first.stdout.readline())["url"]
    page = tab.goto(f"{url}/ui/apps/gallery/states/words", "gallery/states/words")
    page.get_by_role("textbox", name="Count", exact=True).fill("80")
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".text-output")).to_contain_text("word5 ")
    first.kill()
    first.wait()
    first.stdout.close()
    expect(page.get_by_text("Reconnecting")).to_be_visible()
    port = str(urlsplit(url).port)
    second = subprocess.Popen([*command, port], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        expect(page.locator(".result .state")).to_have_text("ok", timeout=60_000)
        assert page.locator(".text-output").text_content() == "".join(f"word{n} " for n in range(80))
        expect(page.get_by_role("textbox", name="Count", exact=True)).to_have_value("80")
    finally:
        second.terminate()
        second.wait(60)
        assert second.stdout is not None
        second.stdout.close()
    tab.said.clear()


def test_a_browser_that_keeps_nothing_can_do_everything(gallery: ServedApp, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    deny = "{ get() { throw new DOMException('denied', 'SecurityError') } }"
    for name in ("localStorage", "sessionStorage", "indexedDB"):
        tab.context.add_init_script(f"Object.defineProperty(window, '{name}', {deny})")
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/controls/choices")
    page.get_by_role("group", name="Undecided").get_by_label("Yes").click()
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".result .state")).to_have_text("ok")


def test_plain_http_from_elsewhere_has_a_way_to_copy_and_capture(
    gallery: ServedApp, open_tab: Callable[..., Tab]
) -> None:
    tab = open_tab()
    tab.context.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/controls/files")
    expect(page.get_by_text("ssh -L 8000:localhost:8000")).to_be_visible()
    assert page.get_by_label("Capture Sound").get_attribute("capture") == "user"
    page.get_by_role("tab", name="Code").click()
    page.get_by_role("button", name="Copy").last.click()
    field = page.get_by_label("Copy: select and copy")
    expect(field).to_be_focused()
    assert "pip install" in field.input_value() or "pondage" in field.input_value()
    assert tab.violations() == []


def test_a_clock_that_is_wrong_does_not_matter(gallery: ServedApp, open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    tab.context.add_init_script(
        "{ const now = Date.now.bind(Date); Date.now = () => now() - 3600_000; }"  # an hour behind the server
    )
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/states", "gallery/states")
    page.get_by_role("textbox", name="Seconds", exact=True).fill("2")
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".result .state")).to_have_text("running")
    text = page.locator(".run-head").text_content() or ""
    assert " h " not in text and "-" not in text.replace("…", ""), text


def flat_png(side: int) -> bytes:
    """A picture of so many pixels a side that fits into a few kilobytes."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = bytes(1 + (side + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", packed) + part(b"IEND", b"")


def test_a_picture_of_twenty_thousand_pixels_a_side_leaves_the_page_alive(gallery: ServedApp, tab: Tab) -> None:
    picture = flat_png(20_000)
    headers = {"content-type": "image/png"}
    url = httpx2.post(f"{gallery.url}/files/upload", content=picture, headers=headers).json()["access_url"]
    request_id = run(gallery, "gallery/controls/anything", url=url, content_type="image/png", file_name="large.png")
    page = tab.goto(f"{gallery.url}/ui/requests/{request_id}?tab=output")
    expect(page.get_by_text("large.png").first).to_be_visible()
    began = time.monotonic()
    page.get_by_role("tab", name="Events").click()
    expect(page.locator(".events li").first).to_be_visible()
    assert time.monotonic() - began < 60


def test_a_schema_that_no_form_can_draw_runs_as_json(gallery: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{gallery.url}/ui/apps/gallery/controls/lists", "gallery/controls/lists")
    expect(page.get_by_text("As JSON:")).to_be_visible()
    page.get_by_role("textbox", name="Anything").fill('{"free": [1, {"x": nul')
    expect(page.get_by_text(re.compile("line 1, column"))).to_be_visible()
    page.get_by_role("textbox", name="Anything").fill('{"free": [1, {"x": null}]}')
    page.get_by_role("button", name=re.compile("^Run")).click()
    expect(page.locator(".result .tree")).to_contain_text("free")
