"""Keys, scopes and tokens, over the wire: what each may do, and that nobody sees another's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pondage.clock import SystemClock
from pondage.testing import ServedApp, serve
from pondage.wire.scopes import SCOPES, opened_by

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture(scope="module")
def guarded() -> Iterator[ServedApp]:
    """`acme/echo` and `acme/desk`; `a` and `b` are two people, `boss` an admin."""
    with serve(str(APPS / "basic.py"), str(APPS / "desk.py")) as served:
        make(served, "boss", "admin")
        yield served


def make(served: ServedApp, name: str, *scopes: str, **more: Any) -> str:
    key = ":".join(served.call(served.server.keys.create(name, scopes=scopes, **more)))
    return f"Key {key}"


@pytest.fixture
def http(guarded: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=guarded.url, timeout=30) as client:
        yield client


def token(http: httpx2.Client, key: str, *apps: str, seconds: float = 60) -> str:
    body = {"allowed_apps": list(apps), "token_expiration": seconds}
    answer = http.post("/tokens/", json=body, headers={"authorization": key})
    assert answer.status_code == 200, answer.text
    made: str = answer.json()
    return made


CALLS: list[tuple[str, str, str]] = [
    ("POST", "/acme/echo", "submit"),
    ("GET", "/acme/echo?x=1", "submit"),
    ("POST", "/acme/desk/stream", "submit"),
    ("POST", "/queue/acme/echo", "submit"),
    ("PUT", "/queue/acme/echo/requests/{id}/cancel", "submit or operate"),
    ("POST", "/api/v1/requests/{id}/retry", "submit"),
    ("POST", "/tokens/", "submit"),
    ("GET", "/queue/acme/echo/requests/{id}", "read"),
    ("GET", "/queue/acme/echo/requests/{id}/status", "read"),
    ("GET", "/queue/acme/echo/requests/{id}/status/stream", "read"),
    ("GET", "/queue/acme/echo/requests/{id}/stream", "read"),
    ("GET", "/api/v1/requests", "read"),
    ("GET", "/api/v1/requests/{id}", "read"),
    ("GET", "/api/v1/requests/{id}/events", "read"),
    ("GET", "/api/v1/apps", "read"),
    ("GET", "/api/v1/runners", "read"),
    ("GET", "/api/v1/runners/logs", "operate"),
    ("POST", "/storage/upload/initiate", "files"),
    ("POST", "/storage/upload/initiate-multipart", "files"),
    ("POST", "/storage/auth/token", "files"),
    ("POST", "/files/upload", "files"),
    ("POST", "/files/upload/multipart", "files"),
    ("GET", "/api/v1/files", "files"),
    ("GET", "/metrics", "metrics"),
]


@pytest.mark.parametrize("held", SCOPES)
def test_each_scope_opens_its_routes_and_no_others(guarded: ServedApp, http: httpx2.Client, held: str) -> None:
    authorization = {"authorization": make(guarded, held, held)}
    for method, path, needed in CALLS:
        url = path.format(id="00000000-0000-7000-8000-000000000000")
        bodies = {"/tokens/": {"allowed_apps": ["echo"]}, "/acme/echo": {"x": 1}, "/queue/acme/echo": {"x": 1}}
        answer = http.request(method, url, json=bodies.get(path, {}), headers=authorization)
        if held in opened_by(needed):
            assert answer.status_code in {200, 404, 405, 422}, (method, path, answer.text)
        else:
            assert answer.status_code == 403, (method, path, answer.text)
            assert needed.replace(" or ", "' or '") in answer.json()["detail"]


@pytest.mark.parametrize("header", [None, "Key any:thing", "Key x", "Bearer x", "Basic eDp5", "x", ""])
def test_without_a_good_key_nothing_but_health_answers(http: httpx2.Client, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    for method, path, _ in CALLS:
        answer = http.request(method, path.format(id="x"), json={}, headers=headers)
        assert answer.status_code == 401, (method, path, answer.text)
        assert isinstance(answer.json()["detail"], str) and answer.headers["x-fal-request-id"]
    assert http.post("/no/such", json={}, headers=headers).status_code == 401
    for path in ("/healthz", "/readyz"):
        assert http.get(path, headers=headers).status_code == 200


class Later(SystemClock):
    """The machine's clock, moved on by hand."""

    moved = 0.0

    def wall(self) -> float:
        return super().wall() + self.moved


def test_wrong_revoked_and_expired_keys_are_401_in_fals_words() -> None:
    clock = Later()
    with serve(str(APPS / "basic.py"), clock=clock) as served, httpx2.Client(base_url=served.url) as http:
        mine = make(served, "mine", "submit", "read")
        ending = make(served, "ending", "read", expires_at=clock.wall() + 60)

        def asked(key: str) -> httpx2.Response:
            return http.get("/api/v1/apps", headers={"authorization": key})

        assert [asked(key).status_code for key in (mine, ending)] == [200, 200]
        clock.moved = 61.0
        served.call(served.server.keys.revoke(mine.removeprefix("Key ").partition(":")[0]))
        for key in (mine, ending, mine[:-1], "Key nobody:secret"):
            answer = asked(key)
            assert answer.status_code == 401
            assert answer.json() == {"detail": "No user found for Key ID and Secret"}


def test_nothing_of_one_keys_requests_is_visible_to_another(guarded: ServedApp, http: httpx2.Client) -> None:
    a, b = (make(guarded, name, "submit", "read") for name in "ab")
    boss = make(guarded, "boss", "admin")
    ran = http.post("/acme/echo", json={"x": 1}, headers={"authorization": a})
    request_id = ran.headers["x-fal-request-id"]
    paths = [path.format(id=request_id) for method, path, _ in CALLS if "{id}" in path and method == "GET"]
    for path in paths:
        assert http.get(path, headers={"authorization": a}).status_code == 200, path
        assert http.get(path, headers={"authorization": boss}).status_code == 200, path
        hidden = http.get(path, headers={"authorization": b})
        unknown = http.get(path.replace(request_id, "nowhere"), headers={"authorization": b})
        assert hidden.status_code == 404, path
        assert hidden.json() == {**unknown.json(), "detail": unknown.json()["detail"].replace("nowhere", request_id)}
    for method, path in (("PUT", "/queue/acme/echo/requests/{id}/cancel"), ("POST", "/api/v1/requests/{id}/retry")):
        assert http.request(method, path.format(id=request_id), headers={"authorization": b}).status_code == 404

    def listed(key: str, **query: str) -> set[str]:
        answer = http.get("/api/v1/requests", params=query, headers={"authorization": key}).json()
        return {item["id"] for item in answer["items"]}

    own = a.removeprefix("Key ").partition(":")[0]
    assert request_id in listed(a) and request_id in listed(boss) and request_id not in listed(b)
    assert listed(b, caller=own) == set()


def test_one_idempotency_key_of_two_callers_is_two_requests(guarded: ServedApp, http: httpx2.Client) -> None:
    ids = []
    for name in ("a", "b"):
        headers = {"authorization": make(guarded, name, "submit"), "idempotency-key": "the same"}
        twice = [http.post("/queue/acme/echo", json={"x": 1}, headers=headers).json()["request_id"] for _ in range(2)]
        assert twice[0] == twice[1]
        ids.append(twice[0])
    assert ids[0] != ids[1]


def test_a_key_for_one_app(guarded: ServedApp, http: httpx2.Client) -> None:
    headers = {"authorization": make(guarded, "limited", "submit", "read", apps=["acme/echo"])}
    assert http.post("/acme/echo", json={"x": 1}, headers=headers).json() == {"y": 2}
    for path in ("/acme/desk", "/queue/acme/desk", "/acme/desk/stream"):
        refused = http.post(path, json={"prompt": "p"}, headers=headers)
        assert refused.status_code == 404 and refused.json()["near"] == []
        unknown = http.post(path.replace("desk", "nowhere"), json={"prompt": "p"}, headers=headers).json()
        assert refused.json() == {**unknown, "detail": unknown["detail"].replace("nowhere", "desk")}
    assert [app["name"] for app in http.get("/api/v1/apps", headers=headers).json()["items"]] == ["acme/echo"]
    runners = http.get("/api/v1/runners", headers=headers).json()["items"]
    assert {runner["app"] for runner in runners} == {"acme/echo"}


def test_a_token_is_for_its_app_alone(guarded: ServedApp, http: httpx2.Client) -> None:
    key = make(guarded, "a", "admin")
    for app in ("echo", "acme/echo", "acme/echo/realtime"):
        query = {"fal_jwt_token": token(http, key, app)}
        assert http.post("/acme/echo", json={"x": 1}, params=query).json() == {"y": 2}
        assert http.post("/acme/desk", json={"prompt": "p"}, params=query).status_code == 404
        for path in ("/storage/upload/initiate", "/files/upload", "/tokens/", "/storage/auth/token"):
            assert http.post(path, json={"allowed_apps": ["echo"]}, params=query).status_code == 403, path
        assert http.get("/metrics", params=query).status_code == 403


def test_a_token_sees_its_keys_requests_of_its_app_and_no_others(guarded: ServedApp, http: httpx2.Client) -> None:
    key = make(guarded, "a", "submit", "read")
    ids = {}
    for app, body in (("echo", {"x": 1}), ("desk", {"prompt": "p"})):
        ran = http.post(f"/acme/{app}", json=body, headers={"authorization": key})
        ids[app] = ran.headers["x-fal-request-id"]
    query = {"fal_jwt_token": token(http, key, "echo")}
    assert http.get(f"/queue/acme/echo/requests/{ids['echo']}", params=query).status_code == 200
    assert http.get(f"/queue/acme/echo/requests/{ids['desk']}", params=query).status_code == 404
    listed = http.get("/api/v1/requests", params=query)
    assert listed.status_code == 403 and "lists nothing" in listed.json()["detail"]


def test_a_token_ends_with_its_key(guarded: ServedApp, http: httpx2.Client) -> None:
    key = make(guarded, "a", "submit", "read")
    query = {"fal_jwt_token": token(http, key, "echo")}
    assert http.post("/acme/echo", json={"x": 1}, params=query).status_code == 200
    guarded.call(guarded.server.keys.revoke(key.removeprefix("Key ").partition(":")[0]))
    assert http.post("/acme/echo", json={"x": 1}, params=query).status_code == 401


@pytest.mark.parametrize(
    "body",
    ["[]", "{}", '{"allowed_apps": []}', '{"allowed_apps": "echo"}', '{"allowed_apps": ["a/b/c", "//"]}',
     '{"allowed_apps": ["echo"], "token_expiration": 0}', '{"allowed_apps": ["echo"], "token_expiration": 1e300}',
     '{"allowed_apps": ["echo"], "token_expiration": "soon"}', '{"allowed_apps": ["../x"]}', "nonsense"],
)  # fmt: skip
def test_a_token_request_that_does_not_fit(guarded: ServedApp, http: httpx2.Client, body: str) -> None:
    answer = http.post("/tokens/", content=body, headers={"authorization": make(guarded, "a", "submit")})
    assert answer.status_code == 422, answer.text


def test_who_may_open_a_session(guarded: ServedApp, http: httpx2.Client) -> None:
    key = make(guarded, "a", "submit")
    reader = make(guarded, "r", "read")
    base = guarded.url.replace("http", "ws") + "/acme/desk/realtime"
    good = token(http, key, "desk")

    def opened(query: str = "", origin: str | None = None, offered: str = "", **headers: str) -> int:
        offers: Any = [offered, "pondage"] if offered else None
        more: dict[str, Any] = {"origin": origin, "subprotocols": offers, "additional_headers": headers, "proxy": None}
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(connect(base + query, **more))
            except InvalidStatus as refused:
                return refused.response.status_code
            return 101

    assert opened(Authorization=key) == 101
    assert opened(f"?fal_jwt_token={good}") == 101
    assert opened(f"?fal_jwt_token={good}", origin="https://example.com") == 101  # the token is the page's own
    assert opened(Authorization=f"Bearer {good}", origin="https://example.com") == 101
    assert opened(offered=f"pondage.token.{good}", origin="https://example.com") == 101
    assert opened(offered="pondage.token.nonsense", origin="https://example.com") == 401
    assert opened(offered=f"pondage.token.{token(http, key, 'echo')}", origin="https://example.com") == 404
    assert opened() == 401
    assert opened(Authorization="Key any:thing") == 401
    assert opened("?fal_jwt_token=nonsense") == 401
    assert opened(Authorization=reader) == 403
    assert opened(f"?fal_jwt_token={token(http, key, 'echo')}") == 404
    assert opened(Authorization=key, origin="https://example.com") == 403
    assert opened("?fal_jwt_token=nonsense", Authorization=key, origin="https://example.com") == 403
    assert opened(Authorization=key, origin="http://localhost:3000") == 101


def test_cors_of_a_guarded_server(guarded: ServedApp, http: httpx2.Client) -> None:
    key = make(guarded, "a", "submit")
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for origin, welcome in (("http://localhost:3000", True), ("http://[::1]", True), ("https://example.com", False)):
        preflight = http.options("/acme/echo", headers={"origin": origin, **asked})
        ran = http.post("/acme/echo", json={"x": 1}, headers={"origin": origin, "authorization": key})
        assert preflight.status_code == (204 if welcome else 403)
        for answer in (preflight, ran):
            assert answer.headers.get("access-control-allow-origin") == (origin if welcome else None)
        refused = http.post("/acme/echo", json={"x": 1}, headers={"origin": origin})
        assert refused.status_code == 401
        assert ("access-control-allow-origin" in refused.headers) is welcome
        if welcome:
            assert "authorization" in preflight.headers["access-control-allow-headers"]
            assert "x-fal-request-id" in ran.headers["access-control-expose-headers"]


def test_an_upload_url_and_a_file_need_no_key_and_a_stray_one_does_no_harm(
    guarded: ServedApp, http: httpx2.Client
) -> None:
    key = make(guarded, "a", "files")
    granted = http.post("/storage/upload/initiate", json={}, headers={"authorization": key}).json()
    stray = {"authorization": "Bearer of another service"}
    assert http.put(granted["upload_url"], content=b"x", headers=stray).status_code == 200
    assert http.get(granted["file_url"], headers=stray).content == b"x"
    other = {"authorization": make(guarded, "b", "files")}
    assert http.delete(granted["file_url"], headers=other).status_code in {403, 404}
    listed = http.get("/api/v1/files", headers=other).json()["files"]
    assert granted["file_url"] not in str(listed)


def test_a_private_file_is_read_for_its_owner_alone(guarded: ServedApp, http: httpx2.Client) -> None:
    """Also an app reads it only for a caller who may: else anybody with an app that reads files could."""
    a, b = (make(guarded, name, "files", "submit") for name in "ab")
    private = {"authorization": a, "x-fal-object-lifecycle": '{"initial_acl": {"default": "hide"}}'}
    url = http.post("/files/upload", content=b"mine", headers=private).json()["access_url"]
    signed = http.post(f"{url}/sign", json={}, headers={"authorization": a}).json()["url"]

    def weighed(key: str, url: str) -> int:
        return http.post("/acme/desk/weigh", json={"file": url}, headers={"authorization": key}).status_code

    assert (weighed(a, url), weighed(b, url), weighed(b, signed), weighed(b, url + "?token=x")) == (200, 422, 200, 422)
    assert http.get(url).status_code == 403 and http.get(signed).content == b"mine"
    assert http.get(url, headers={"authorization": b}).status_code == 403
    assert http.get(url, headers={"authorization": a}).content == b"mine"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/acme/echo?x=1", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ("/api/v1/requests", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
        ("/acme/echo?x=1", {"sec-fetch-site": "same-origin"}, 403),
        ("/acme/echo?x=1", {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, 403),
        ("/acme/echo?x=1", {"sec-fetch-site": "cross-site", "origin": "http://localhost:3000"}, 403),
        ("/acme/echo?x=1", {"referer": "http://evil.example/"}, 403),
        ("/queue/acme/echo?x=1", {"accept": "image/*"}, 403),
        ("/queue/acme/echo?x=1&fal_jwt_token=a", {"content-type": "text/plain", "accept-language": "x-fal-a"}, 403),
        ("/acme/echo?x=1", {"authorization": "Key any:thing"}, 200),
        ("/acme/echo?x=1", {"x-fal-queue-priority": "low"}, 200),
        ("/queue/acme/echo?x=1", {"pondage-on-disconnect": "keep"}, 200),
        ("/api/fal/proxy", {"x-fal-target-url": "https://fal.run/acme/echo?x=1"}, 200),
        ("/api/v1/requests", {"sec-fetch-site": "cross-site", "origin": "http://localhost:3000"}, 200),
        ("/healthz", {"sec-fetch-site": "cross-site"}, 200),
    ],
)
def test_what_a_foreign_page_embeds_reaches_nothing_of_an_open_server(
    echo: ServedApp, path: str, headers: dict[str, str], status: int
) -> None:
    assert httpx2.get(echo.url + path, headers=headers, timeout=30).status_code == status


def test_a_token_is_for_a_thousand_apps_at_most(guarded: ServedApp, http: httpx2.Client) -> None:
    asked = {"headers": {"authorization": make(guarded, "many", "submit")}}
    made, refused = (http.post("/tokens/", json={"allowed_apps": ["acme/echo"] * n}, **asked) for n in (1000, 1001))
    assert made.status_code == 200
    assert refused.status_code == 422 and refused.json()["detail"][0]["loc"] == ["body", "allowed_apps"]
