"""The live socket: what it says, to whom, and what the page makes of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import WebSocketRoute, expect
from websockets.sync.client import ClientConnection, connect

from pondage.dashboard.assets import built
from pondage.dashboard.live import MOST_TOPICS
from pondage.testing import ServedApp, serve

from .conftest import APPS, Tab


@contextlib.contextmanager
def socket(served: ServedApp, **headers: str) -> Iterator[ClientConnection]:
    url = served.url.replace("http", "ws", 1) + "/api/v1/live"
    with connect(url, additional_headers=headers, proxy=None, open_timeout=20) as connection:
        yield connection


def hear(connection: ClientConnection) -> dict[str, Any]:
    heard: dict[str, Any] = json.loads(connection.recv(20))
    return heard


def ask(connection: ClientConnection, **members: Any) -> None:
    connection.send(json.dumps(members))


def test_the_greeting_names_the_build(echo: ServedApp) -> None:
    with socket(echo) as connection:
        assert hear(connection)["hello"]["build"] == built().id


def test_a_request_is_followed_from_any_event_on(echo: ServedApp) -> None:
    done = httpx2.post(f"{echo.url}/acme/echo/logs", json={"lines": 5})
    request_id = done.headers["x-fal-request-id"]
    log = httpx2.get(f"{echo.url}/api/v1/requests/{request_id}/events").json()["items"]
    with socket(echo) as connection:
        hear(connection)
        for after in (0, 3, len(log)):
            ask(connection, sub=f"request:{request_id}", after=after)
            heard = hear(connection)
            assert heard["events"] == log[after:]
            assert (heard["end"], heard["request"]["outcome"]) == (True, "ok")


def test_a_running_request_tells_everything_once(echo: ServedApp) -> None:
    begun = httpx2.post(f"{echo.url}/queue/acme/echo/slow", json={"seconds": 0.3, "steps": 6}).json()
    with socket(echo) as connection:
        hear(connection)
        ask(connection, sub=f"request:{begun['request_id']}")
        numbers: list[int] = []
        while not (heard := hear(connection))["end"]:
            numbers += [event["n"] for event in heard["events"]]
        numbers += [event["n"] for event in heard["events"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == 2 + 12 + 1


def test_a_list_comes_whole_and_then_in_changes(echo: ServedApp) -> None:
    with socket(echo) as connection:
        hear(connection)
        ask(connection, sub="requests?app=acme/echo&limit=3")
        first = hear(connection)
        assert len(first["rows"]) == len(first["keys"]) <= 3
        request_id = httpx2.post(f"{echo.url}/acme/echo", json={"x": 1}).headers["x-fal-request-id"]
        while request_id not in (heard := hear(connection))["keys"]:
            pass
        assert [row["id"] for row in heard["rows"]] == [request_id]
        ask(connection, unsub="requests?app=acme/echo&limit=3")


def test_counts_and_declarations_are_apart(echo: ServedApp) -> None:
    with socket(echo) as connection:
        hear(connection)
        ask(connection, sub="summary")
        assert set(hear(connection)["rows"][0]) == {"name", "queued", "running", "free"}
        ask(connection, sub="apps")
        assert {"info", "runners", "slots", "fault"} <= set(hear(connection)["rows"][0])


@pytest.mark.parametrize(
    ("topic", "status"),
    [("nothing", 404), ("request:none", 404), ("requests?state=wrong", 422), ("requests?cursor=x", 400), ("", 404)],
)
def test_what_cannot_be_followed_is_said(echo: ServedApp, topic: str, status: int) -> None:
    with socket(echo) as connection:
        hear(connection)
        ask(connection, sub=topic)
        heard = hear(connection)
        assert (heard["topic"], heard["error"]["status"]) == (topic, status)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"sub": 1}', '{"what": "else"}', '"' + "x" * 5000 + '"'])
def test_nonsense_is_answered_and_ends_nothing(echo: ServedApp, text: str) -> None:
    with socket(echo) as connection:
        hear(connection)
        connection.send(text)
        assert hear(connection)["error"]["status"] == 400
        ask(connection, sub="summary")
        assert hear(connection)["topic"] == "summary"


def test_a_socket_follows_a_limited_number_of_topics(echo: ServedApp) -> None:
    with socket(echo) as connection:
        hear(connection)
        for n in range(MOST_TOPICS + 1):
            ask(connection, sub=f"requests?limit={n + 1}")
        while "error" not in (heard := hear(connection)):
            pass
        assert str(MOST_TOPICS) in heard["error"]["detail"]


def test_a_list_is_read_once_for_all_and_not_at_all_for_nobody(echo: ServedApp) -> None:
    shares = echo.server.http.uvicorn.config.app._rooms.live  # type: ignore[union-attr]
    with socket(echo) as one, socket(echo) as other:
        for connection in (one, other):
            hear(connection)
            ask(connection, sub="requests?limit=7")
            hear(connection)
        assert len([key for key in shares if key[0] == "requests?limit=7"]) == 1
        ask(one, unsub="requests?limit=7")
        httpx2.post(f"{echo.url}/acme/echo", json={"x": 1})
        hear(other)
        ask(other, unsub="requests?limit=7")
        ask(other, sub="nothing")
        hear(other)
    assert not [key for key in shares if key[0] == "requests?limit=7"]


def test_a_key_sees_its_own_and_needs_the_scope() -> None:
    with serve(str(APPS / "basic.py")) as served:
        create = served.server.keys.create
        mine, blind = (
            ":".join(served.call(create(name, scopes=scopes)))
            for name, scopes in (("mine", ["submit", "read"]), ("blind", ["submit"]))
        )
        other = ":".join(served.call(create("other", scopes=["submit", "read"])))
        theirs = httpx2.post(f"{served.url}/acme/echo", json={"x": 1}, headers={"authorization": f"Key {other}"})
        request_id = theirs.headers["x-fal-request-id"]
        with socket(served, authorization=f"Key {mine}") as connection:
            hear(connection)
            ask(connection, sub="requests")
            assert hear(connection)["rows"] == []
            ask(connection, sub=f"request:{request_id}")
            assert hear(connection)["error"]["status"] == 404
        with pytest.raises(Exception, match="403"), socket(served, authorization=f"Key {blind}"):
            pass
        with pytest.raises(Exception, match="401"), socket(served):
            pass


def test_a_page_of_another_site_gets_no_socket(echo: ServedApp) -> None:
    with pytest.raises(Exception, match="403"), socket(echo, origin="https://evil.example"):
        pass


# ---- the page


def test_home_is_live(echo: ServedApp, tab: Tab) -> None:
    page = tab.goto(f"{echo.url}/ui/", "Home")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    request_id = httpx2.post(f"{echo.url}/acme/echo", json={"x": 1}).headers["x-fal-request-id"]
    expect(page.get_by_role("link", name=f"…{request_id[-8:]}")).to_be_visible()


def test_twelve_tabs_are_no_slower_than_one(echo: ServedApp, open_tab: Callable[..., Tab]) -> None:
    """Over HTTP/1.1 a browser has six connections a host; sockets are not among them."""
    tab = open_tab()
    pages = [tab.page, *(tab.context.new_page() for _ in range(11))]
    for page in pages:
        page.goto(f"{echo.url}/ui/")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
    answer = pages[-1].evaluate("fetch('/acme/echo', {method: 'POST', body: '{\"x\": 1}'}).then((a) => a.json())")
    assert answer == {"y": 2}


def test_without_websockets_the_page_asks(echo: ServedApp, tab: Tab) -> None:
    def refuse(route: WebSocketRoute) -> None:
        route.close()

    tab.page.route_web_socket("**/api/v1/live", refuse)
    page = tab.goto(f"{echo.url}/ui/", "Home")
    expect(page.get_by_text("Every 5 s")).to_be_visible()
    request_id = httpx2.post(f"{echo.url}/acme/echo", json={"x": 1}).headers["x-fal-request-id"]
    expect(page.get_by_role("link", name=f"…{request_id[-8:]}")).to_be_visible()


def test_a_server_that_comes_back_is_found_again(tab: Tab, tmp_path: object) -> None:
    settings: dict[str, Any] = {"data": str(tmp_path), "wait": False}
    with serve(str(APPS / "basic.py"), **settings) as served:
        port = served.server.port
        page = tab.goto(f"{served.url}/ui/", "Home")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text("Reconnecting")).to_be_visible()
    with serve(str(APPS / "basic.py"), port=port, **settings):
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.get_by_role("rowheader", name="acme/echo")).to_be_visible()
    tab.said[:] = [line for line in tab.said if "ERR_CONNECTION_REFUSED" not in line and "WebSocket" not in line]


def test_another_build_is_noticed(echo: ServedApp, tab: Tab) -> None:
    def newer(route: WebSocketRoute) -> None:
        route.send(json.dumps({"hello": {"build": "of-tomorrow", "version": "9", "now": 0}}))

    tab.page.route_web_socket("**/api/v1/live", newer)
    page = tab.goto(f"{echo.url}/ui/", "Home")
    expect(page.get_by_text("Pondage was updated.")).to_be_visible()
    expect(page.get_by_role("button", name="Reload")).to_be_visible()
