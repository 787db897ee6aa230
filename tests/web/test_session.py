"""Signing in: a link that works once, keys, the cookie and when it counts, foreign pages, scopes, a session's end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from pondage.clock import ManualClock
from pondage.database.page_sessions import LINK_SECONDS, SESSION_SECONDS
from pondage.testing import ServedApp, serve

from .conftest import APPS, Tab


@pytest.fixture(scope="module")
def keyed() -> Iterator[ServedApp]:
    """A server that asks for keys."""
    with serve(str(APPS / "basic.py")) as served:
        served.call(served.server.keys.create("first", scopes=["admin"]))
        yield served


def key(served: ServedApp, *scopes: str, apps: list[str] | None = None) -> str:
    return ":".join(served.call(served.server.keys.create("a key", scopes=scopes, apps=apps)))


def link(served: ServedApp, key_id: str = "") -> str:
    return served.call(served.server.page_sessions.link(key_id))


class Browser:
    """What a browser sends, by hand: cookies, our header, an origin."""

    def __init__(self, served: ServedApp) -> None:
        self.http = httpx2.Client(base_url=served.url, timeout=30)
        self.own = {"pondage-ui": "1", "origin": served.url}

    def sign_in(self, **by: str) -> httpx2.Response:
        return self.http.post("/api/v1/session", json=by, headers=self.own)


@pytest.fixture
def browser(keyed: ServedApp) -> Iterator[Browser]:
    made = Browser(keyed)
    yield made
    made.http.close()


def test_a_link_signs_in_once(keyed: ServedApp, browser: Browser) -> None:
    token = link(keyed)
    answer = browser.sign_in(token=token)
    assert (answer.status_code, answer.json()["signed_in"], answer.json()["key"]) == (200, True, None)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"pondage_{keyed.server.port}=")
    for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie
    assert browser.http.get("/api/v1/apps", headers=browser.own).status_code == 200
    again = Browser(keyed).sign_in(token=token)
    assert (again.status_code, "pondage open" in again.json()["detail"]) == (401, True)


@pytest.mark.parametrize("token", ["", "x", "x" * 4000, "é"])
def test_a_wrong_token_opens_nothing(keyed: ServedApp, browser: Browser, token: str) -> None:
    assert browser.sign_in(token=token).status_code == 401


def test_a_link_grows_old_and_so_does_a_session() -> None:
    clock = ManualClock(wall=time.time())
    with serve(str(APPS / "basic.py"), wait=False, clock=clock) as served:
        served.call(served.server.keys.create("first"))
        stale = link(served)
        clock.advance(LINK_SECONDS + 1)
        assert Browser(served).sign_in(token=stale).status_code == 401
        browser = Browser(served)
        browser.sign_in(token=link(served))
        for _ in range(3):  # used, it lives on
            clock.advance(SESSION_SECONDS * 0.9)
            assert browser.http.get("/api/v1/apps", headers=browser.own).status_code == 200
        clock.advance(SESSION_SECONDS + 1)
        assert browser.http.get("/api/v1/apps", headers=browser.own).status_code == 401


def test_a_session_outlives_a_restart_and_lies_hashed(tmp_path: Any) -> None:
    settings: dict[str, Any] = {"data": str(tmp_path), "wait": False}
    with serve(str(APPS / "basic.py"), **settings) as served:
        served.call(served.server.keys.create("first"))
        port = served.server.port
        browser = Browser(served)
        cookie = browser.sign_in(token=link(served)).headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert not any(cookie.encode() in path.read_bytes() for path in tmp_path.glob("*.db*"))
    with serve(str(APPS / "basic.py"), port=port, **settings):
        assert browser.http.get("/api/v1/apps", headers=browser.own).status_code == 200


def test_a_key_signs_in_with_what_it_may(keyed: ServedApp, browser: Browser) -> None:
    made = key(keyed, "read", apps=["acme/echo"])
    shown = browser.sign_in(key=made).json()
    assert (shown["key"], shown["scopes"], shown["apps"]) == (made.partition(":")[0], ["read"], ["acme/echo"])
    assert browser.http.get("/api/v1/requests", headers=browser.own).status_code == 200
    refused = browser.http.post("/queue/acme/echo", json={"x": 1}, headers=browser.own)
    assert (refused.status_code, "submit" in refused.json()["detail"]) == (403, True)
    keyed.call(keyed.server.keys.revoke(made.partition(":")[0]))
    assert browser.http.get("/api/v1/requests", headers=browser.own).status_code == 401


def test_a_session_has_no_higher_priority_than_its_key(keyed: ServedApp, browser: Browser) -> None:
    low = ":".join(keyed.call(keyed.server.keys.create("low", scopes=("submit", "read"), priority=1)))
    assert browser.sign_in(key=low).status_code == 200
    for headers in (browser.own, {"authorization": f"Key {low}"}):
        refused = browser.http.post("/queue/acme/echo", json={}, headers={**headers, "x-fal-queue-priority": "normal"})
        assert refused.status_code == 403 and "'low'" in refused.json()["detail"]
        made = browser.http.post("/queue/acme/echo", json={"x": 1}, headers=headers).json()
        shown = browser.http.get(f"/api/v1/requests/{made['request_id']}", headers=headers).json()
        assert shown["priority"] == 1


@pytest.mark.parametrize("given", ["", "abc", "id:secret", ":"])
def test_a_wrong_key_opens_nothing(browser: Browser, given: str) -> None:
    assert browser.sign_in(key=given).status_code in {400, 401}


FOREIGN = ["http://localhost:3000", "http://127.0.0.1:1", "https://evil.example", "null", ""]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_has_no_use_of_the_cookie(keyed: ServedApp, browser: Browser, origin: str) -> None:
    """A page on another port makes the browser send the cookie, and might send any header that a preflight allows."""
    browser.sign_in(token=link(keyed))
    headers = {"pondage-ui": "1", "origin": origin}
    for method, path in (("POST", "/queue/acme/echo"), ("GET", "/api/v1/requests"), ("DELETE", "/api/v1/session")):
        answer = browser.http.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)
        assert answer.status_code in {401, 403}, (method, path)
    assert browser.http.get("/api/v1/apps", headers=browser.own).status_code == 200, "and nobody was signed out"


def test_without_our_header_or_an_origin_the_cookie_is_nothing(keyed: ServedApp, browser: Browser) -> None:
    browser.sign_in(token=link(keyed))
    assert browser.http.get("/api/v1/requests").status_code == 401, "an image, a link, a form"
    assert browser.http.get("/acme/echo?x=1").status_code == 401, "a submit by GET"
    assert browser.http.post("/queue/acme/echo", json={"x": 1}, headers={"pondage-ui": "1"}).status_code == 401
    cross = {"pondage-ui": "1", "sec-fetch-site": "same-site"}
    assert browser.http.get("/api/v1/requests", headers=cross).status_code == 401


def test_the_preflight_allows_no_other_origin_our_header(keyed: ServedApp) -> None:
    asked = {"origin": "http://localhost:3000", "access-control-request-headers": "pondage-ui"}
    answer = httpx2.options(f"{keyed.url}/queue/acme/echo", headers=asked)
    assert "pondage-ui" not in answer.headers.get("access-control-allow-headers", "")


@pytest.mark.parametrize("path", ["/api/v1/live", "/acme/echo/realtime"])
@pytest.mark.parametrize("origin", ["own", None, "http://localhost:3000", "https://evil.example"])
def test_a_socket_opens_for_our_own_pages_alone(
    keyed: ServedApp, browser: Browser, path: str, origin: str | None
) -> None:
    cookie = browser.sign_in(token=link(keyed)).headers["set-cookie"].partition(";")[0]
    url = keyed.url.replace("http", "ws", 1) + path
    given = {"cookie": cookie} | ({} if origin is None else {"origin": keyed.url if origin == "own" else origin})
    if origin == "own":
        with connect(url, additional_headers=given, proxy=None) as socket:
            assert socket.protocol.state.name == "OPEN"
        return
    with pytest.raises(Exception, match=r"401|403"):
        connect(url, additional_headers=given, proxy=None)


def test_authorization_goes_before_the_cookie(keyed: ServedApp, browser: Browser) -> None:
    browser.sign_in(token=link(keyed))
    blind = {"authorization": f"Key {key(keyed, 'submit')}", **browser.own}
    assert browser.http.get("/api/v1/requests", headers=blind).status_code == 403


def test_signing_out_ends_the_session(keyed: ServedApp, browser: Browser) -> None:
    browser.sign_in(token=link(keyed))
    old = dict(browser.http.cookies)
    answer = browser.http.delete("/api/v1/session", headers=browser.own)
    assert "Max-Age=0" in answer.headers["set-cookie"]
    stolen = "; ".join(f"{name}={value}" for name, value in old.items())
    assert httpx2.get(f"{keyed.url}/api/v1/apps", headers={**browser.own, "cookie": stolen}).status_code == 401


def test_behind_tls_the_cookie_is_held_to_the_host(keyed: ServedApp) -> None:
    """As a proxy on this machine that ends TLS says it."""
    outside = {"x-forwarded-proto": "https", "x-forwarded-host": "models.example"}
    own = {"pondage-ui": "1", "origin": "https://models.example", **outside}
    answer = httpx2.post(f"{keyed.url}/api/v1/session", json={"token": link(keyed)}, headers=own)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-pondage_443=") and "; Secure" in cookie and "Domain" not in cookie
    wrong = {**own, "origin": "https://other.example"}
    refused = httpx2.post(f"{keyed.url}/api/v1/session", json={"token": "x"}, headers=wrong)
    assert (refused.status_code, "public_url" in refused.json()["detail"]) == (403, True)


def test_nobody_need_sign_in_on_an_open_server(echo: ServedApp) -> None:
    shown = httpx2.get(f"{echo.url}/api/v1/session").json()
    assert (shown["open"], shown["signed_in"]) == (True, True)


# ---- keys by the pages


def test_keys_are_made_and_revoked_by_an_admin(keyed: ServedApp, browser: Browser) -> None:
    browser.sign_in(token=link(keyed))
    wanted = {"name": "team", "scopes": ["submit", "read"], "apps": ["acme/echo"], "expires_in": 3600}
    made = browser.http.post("/api/v1/keys", json=wanted, headers=browser.own).json()
    authorization = {"authorization": f"Key {made['key']}"}
    assert httpx2.post(f"{keyed.url}/acme/echo", json={"x": 1}, headers=authorization).json() == {"y": 2}
    listed = browser.http.get("/api/v1/keys", headers=browser.own).text
    assert made["id"] in listed and made["secret"] not in listed
    other = Browser(keyed)
    other.sign_in(key=made["key"])
    assert browser.http.delete(f"/api/v1/keys/{made['id']}", headers=browser.own).json() == {"revoked": made["id"]}
    assert httpx2.post(f"{keyed.url}/acme/echo", json={"x": 1}, headers=authorization).status_code == 401
    assert other.http.get("/api/v1/apps", headers=other.own).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 101}, "name"), ({"name": "a\nb"}, "name"),
        ({"name": "x", "scopes": []}, "scopes"), ({"name": "x", "scopes": ["root"]}, "scopes"),
        ({"name": "x", "apps": ["acme/echo/slow"]}, "apps"), ({"name": "x", "expires_in": 1}, "expires_in"),
    ],
)  # fmt: skip
def test_a_key_that_makes_no_sense_is_refused(browser: Browser, keyed: ServedApp, wanted: Any, field: str) -> None:
    browser.sign_in(token=link(keyed))
    answer = browser.http.post("/api/v1/keys", json=wanted, headers=browser.own)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", field])


def test_the_key_in_use_does_not_end_itself(keyed: ServedApp, browser: Browser) -> None:
    made = key(keyed, "admin")
    browser.sign_in(key=made)
    answer = browser.http.delete(f"/api/v1/keys/{made.partition(':')[0]}", headers=browser.own)
    assert (answer.status_code, "another" in answer.json()["detail"]) == (400, True)


def test_settings_say_where_they_come_from_and_hide_secrets() -> None:
    with serve(str(APPS / "basic.py"), wait=False, retention=60.0) as served:
        items = {one["name"]: one for one in httpx2.get(f"{served.url}/api/v1/settings").json()["items"]}
    assert items["retention"]["value"] == 60.0 and items["retention"]["source"] != "default"
    assert items["lease"]["source"] == "default"


# ---- in the browser


def test_the_link_of_the_terminal_leads_in(keyed: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{keyed.url}/ui/", "Home")
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    assert tab.violations() == []
    made = subprocess.run(
        [sys.executable, "-m", "pondage.cli", "open", "--data", keyed.data], capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stderr
    page.goto("about:blank")
    page.goto(made.stdout.strip())
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    expect(page.get_by_role("rowheader", name="acme/echo")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert "#" not in page.url
    page.goto(f"{keyed.url}/ui/apps/acme/echo")
    page.get_by_role("textbox", name="X", exact=True).fill("4")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".result .tree")).to_contain_text("5")
    tab.said[:] = [line for line in tab.said if "401" not in line and "WebSocket" not in line]


def test_a_session_that_ends_leaves_the_page_as_it_is(keyed: ServedApp, tab: Tab) -> None:
    made = key(keyed, "admin")
    tab.page.goto(f"{keyed.url}/ui/sign-in#{link(keyed, made.partition(':')[0])}")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Home")
    page = tab.goto(f"{keyed.url}/ui/apps/acme/echo", "acme/echo")
    page.get_by_role("textbox", name="X", exact=True).fill("41")
    keyed.call(keyed.server.page_sessions.end_all())
    page.get_by_role("button", name="Run").click()
    dialog = page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("Or a key").fill("wrong:key")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_role("alert")).to_contain_text("no such key")
    assert tab.violations() == []
    dialog.get_by_label("Or a key").fill(made)
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("textbox", name="X", exact=True)).to_have_value("41")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".result .tree")).to_contain_text("42")
    assert made.partition(":")[2] not in json.dumps(page.evaluate("({...localStorage, ...sessionStorage})"))
    tab.said[:] = [line for line in tab.said if "401" not in line and "WebSocket" not in line]


TRIES = """async (url) => {
    const tried = {};
    const attempt = async (name, make) => {
        try { tried[name] = await make(); } catch (error) { tried[name] = "refused"; }
    };
    const send = async (path, more) => (await fetch(url + path, {credentials: "include", ...more})).status;
    await attempt("read", () => send("/api/v1/requests"));
    await attempt("write", () => send("/queue/acme/echo", {method: "POST", body: '{"x": 1}'}));
    await attempt("header", () => send("/api/v1/requests", {headers: {"pondage-ui": "1"}}));
    await attempt("socket", () => new Promise((done) => {
        const socket = new WebSocket(url.replace("http", "ws") + "/api/v1/live");
        socket.onopen = () => done("open");
        socket.onerror = () => done("refused");
    }));
    return tried;
}"""


def test_a_page_of_another_port_reaches_nothing(keyed: ServedApp, tab: Tab) -> None:
    """In a real browser, with the cookie that it holds for our host."""
    import http.server
    import threading

    tab.page.goto(f"{keyed.url}/ui/sign-in#{link(keyed)}")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Home")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    page = tab.context.new_page()
    page.route("**/foreign", lambda route: route.fulfill(body="<h1>foreign</h1>", content_type="text/html"))
    page.goto(f"http://127.0.0.1:{server.server_address[1]}/foreign")
    tries = page.evaluate(TRIES, keyed.url)
    server.shutdown()
    assert tries == {"read": "refused", "write": "refused", "header": "refused", "socket": "refused"}
    tab.said.clear()
