"""The built pages as the server hands them out: headers, packing, what leads to them, what they are made of."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import expect

from pondage.dashboard.assets import built
from pondage.dashboard.pages import policy
from pondage.testing import ServedApp, serve

from .conftest import APPS, ROOT, Tab

BUILD = ROOT / "scripts" / "build_web.py"
STATIC = ROOT / "src" / "pondage" / "dashboard" / "static"
NODE = Path(sys.executable).parent / "node"
needs_node = pytest.mark.skipif(not NODE.exists(), reason="Node is not here: pip install --group web")


def packed(*names: str) -> int:
    """The bytes of files on the wire, packed as every browser can read them."""
    return sum(len(gzip.compress(built().assets[name].plain, 9, mtime=0)) for name in names)


@needs_node
def test_what_is_committed_is_what_the_sources_build_to() -> None:
    ran = subprocess.run([sys.executable, str(BUILD), "--check"], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_node
def test_the_logic_of_the_pages_by_itself() -> None:
    ran = subprocess.run(
        [str(NODE), "--test", "test/*.test.ts"], cwd=ROOT / "web", capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_types_of_the_pages_are_those_of_the_api() -> None:
    script = ROOT / "scripts" / "generate_web_types.py"
    ran = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_lock_file_names_no_registry() -> None:
    text = (ROOT / "web" / "package-lock.json").read_text("utf-8")
    assert "resolved" not in text
    assert "http" not in re.sub(r'"(url|funding|homepage)": "[^"]*"', "", text)


def test_the_notices_name_what_the_bundle_holds() -> None:
    notices = (STATIC / "THIRD_PARTY_NOTICES.txt").read_text("utf-8")
    for name in ("preact\n", "@preact/signals\n", "@preact/signals-core\n", "Permission is hereby granted"):
        assert name in notices


def test_budgets() -> None:
    scripts = [name for name in built().assets if name.endswith(".js")]
    assert packed("shell.js") <= 45_000, "frame and Home"
    assert packed("app.css") <= 12_000
    assert packed(*scripts, "app.css") <= 140_000, "everything"


def test_security_headers(echo: ServedApp) -> None:
    answer = httpx2.get(f"{echo.url}/ui/requests")
    assert answer.status_code == 200
    assert (
        answer.headers["content-security-policy"]
        == policy()
        == (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
            "media-src 'self' blob:; worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types pondage"
        )
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
def test_files_are_packed_and_never_change(echo: ServedApp, coding: str) -> None:
    address = f"{echo.url}/ui/static/{built().id}/shell.js"
    answer = httpx2.get(address, headers={"accept-encoding": coding})
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers.get("content-encoding", "identity") == coding
    if coding != "br":
        assert answer.content == built().assets["shell.js"].plain
    else:
        assert int(answer.headers["content-length"]) == len(built().assets["shell.js"].brotli)


@pytest.mark.parametrize("path", ["/ui/static/0000000000000000/shell.js", "/ui/static/{id}/nothing.js"])
def test_a_file_of_another_build_is_not_there(echo: ServedApp, path: str) -> None:
    answer = httpx2.get(echo.url + path.format(id=built().id))
    assert (answer.status_code, "reload" in answer.json()["detail"]) == (404, True)


HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/", "/ui/"),
        ("/acme/echo", "/ui/apps/acme/echo"),
        ("/acme/echo/slow", "/ui/apps/acme/echo/slow"),
        ("/no/such", "/ui/apps/no/such"),
    ],
)
def test_an_address_in_a_browser_leads_to_its_page(echo: ServedApp, path: str, leads_to: str) -> None:
    answer = httpx2.get(echo.url + path, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (302, leads_to)


@pytest.mark.parametrize(
    "headers", [{}, {"accept": "application/json"}, {"accept": "*/*"}, {**HTML, "authorization": "Key a:b"}]
)
def test_a_program_gets_what_it_asked_for(echo: ServedApp, headers: dict[str, str]) -> None:
    assert httpx2.get(f"{echo.url}/acme/echo?x=1", headers=headers).status_code != 302


def test_the_pages_open_without_a_key_and_show_nothing() -> None:
    with serve(str(APPS / "basic.py"), wait=False) as served:
        served.call(served.server.keys.create("someone", scopes=["submit"]))
        assert httpx2.get(f"{served.url}/ui/").status_code == 200
        assert httpx2.get(f"{served.url}/api/v1/apps").status_code == 401
        assert httpx2.get(f"{served.url}/acme/echo", headers=HTML).headers["location"] == "/ui/apps/acme/echo"


def test_a_first_visit_is_small_and_stays_here(echo: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{echo.url}/", "Home")
    expect(page.get_by_role("rowheader", name="acme/echo")).to_be_visible()
    assert page.url == f"{echo.url}/ui/"
    asked = [request for request in tab.requests if not request.url.startswith("data:")]
    assert {request.url.startswith(echo.url) for request in asked} == {True}
    assert len([request for request in asked if request.redirected_to is None]) <= 6


def test_html_from_text_is_refused_by_the_browser(echo: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{echo.url}/ui/")
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } }"
    )
    assert refused
    assert any("TrustedHTML" in line for line in tab.said)
    tab.said.clear()
