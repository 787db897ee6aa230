"""Every route of the description, with what no client would send: no 500, errors in shape, no way past the keys.

`test_described_routes.py` sends what the description allows or forbids; here is what no description speaks of: bodies
that are no JSON, numbers that are none, hosts, spellings of a path, keys of the wrong scope.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pondage.gateway.openapi import described, path_of
from pondage.gateway.routes import ROUTES
from pondage.testing import ServedApp, serve
from pondage.wire.scopes import SCOPES, opened_by

BASIC = str(Path(__file__).parents[1] / "apps" / "basic.py")
BOUNDED = settings(
    max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
PATHS: dict[str, Any] = described(ROUTES)
OPERATIONS = sorted((path, method) for path, operations in PATHS.items() for method in operations)
ENDPOINTS = [("/acme/echo", "post"), ("/queue/acme/echo", "post")]


class Opened(NamedTuple):
    """A server with things in it, and their names for the parameters of paths and queries."""

    http: httpx2.Client
    known: dict[str, list[str]]


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        request_id = http.post("/queue/acme/echo", json={"x": 1}, headers={"prefer": "wait=20"}).headers[
            "x-fal-request-id"
        ]
        file_url = http.post("/files/upload", content=b"some bytes").json()["access_url"]
        upload_url = http.post("/storage/upload/initiate-multipart", json={}).json()["upload_url"]
        listener = http.post("/api/v1/webhooks/listeners").json()["id"]
        upload = urlsplit(upload_url)
        known = {
            "request_id": [request_id],
            "owner": ["acme", "nobody"],
            "alias": ["echo"],
            "file_id": [urlsplit(file_url).path.split("/")[2]],
            "name": ["some.bin"],
            "upload_id": [upload.path.split("/")[3]],
            "n": ["1", "0", "9999999"],
            "id": [listener],
            "token": [upload.query.partition("=")[2]],
            "cursor": ["1", "9" * 18, "1.5_x", "nan_x", "1e999_"],
            "Last-Event-ID": ["1-1", "1", f"{2**63}-1", f"1-{2**64}"],
            "Range": ["bytes=0-", "bytes=-1", "bytes=0-1,3-4", f"bytes={10**40}-"],
            "limit": ["1", "0", "-1", "²", "9" * 30],
            "fal_max_queue_length": ["5", "²", "٣", "9" * 20],
            "since": ["0", "nan", "inf", "-1e308"],
            "wait": ["0", "-1", "nan", "x"],
            "state": ["COMPLETED", "owed", "dead"],
        }
        yield Opened(http, known)


def _texts(known: dict[str, list[str]], name: str) -> st.SearchStrategy[str]:
    drawn = st.sampled_from(known[name]) if name in known else st.nothing()
    if name == "wait":
        return drawn  # it waits
    return drawn | st.text(max_size=20) | st.integers().map(str) | st.floats().map(str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = [
    "x", "allowed_apps", "token_expiration", "duration", "content_type", "file_name", "parts", "expires_in",
    "request_id", "state", "since", "until", "app", "id", "status", "reason", "answer", "kind", "url", "at_once",
]  # fmt: skip
BODIES = st.one_of(
    st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=4).map(lambda body: json.dumps(body).encode()),
    JSON.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=60),
    st.sampled_from([b"", b"[" * 50_000, b'{"a":' * 50_000, b'{"x": "\xff"}', b'{"unknown": ' + b"[" * 5_000]),
)


def _header_text(text: str) -> str:
    raw = text.encode("latin-1", "replace").translate(None, bytes([*range(32), 127])).strip()
    return raw.decode("latin-1")


def _drawn(data: st.DataObject, known: dict[str, list[str]], path: str, method: str) -> tuple[str, Any, Any, bytes]:
    operation = PATHS.get(path, {}).get(method, {"parameters": []})
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    for parameter in operation["parameters"]:
        name = parameter["name"]
        if parameter["in"] == "path":
            text = data.draw(_texts(known, name), label=name)
            path = path.replace(f"{{{name}}}", quote(text, safe="") or "%20")
        elif data.draw(st.booleans()):
            text = data.draw(_texts(known, name), label=name)
            if parameter["in"] == "query":
                query[name] = text
            else:
                headers[name] = text
    return path, query, headers, data.draw(BODIES) if method in {"post", "put"} else b""


def in_shape(answer: httpx2.Response) -> None:
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert "x-fal-request-id" in answer.headers
        assert "detail" in answer.json(), answer.text


@BOUNDED
@given(st.data(), st.sampled_from(OPERATIONS))
def test_whatever_is_sent_is_answered_in_shape(opened: Opened, data: st.DataObject, operation: tuple[str, str]) -> None:
    path, query, headers, body = _drawn(data, opened.known, *operation)
    in_shape(opened.http.request(operation[1], path, params=query, headers=_raw(_latin(headers)), content=body))


SUBMIT_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "x-fal-request-timeout": st.sampled_from([b"1", b"nan", b"-1", b"1e999", b"\xb2"]),
        "x-fal-request-start-timeout": st.sampled_from([b"5", b"inf", b"0.01", b""]),
        "x-fal-queue-priority": st.sampled_from([b"low", b"\xff", b""]),
        "idempotency-key": st.uuids().map(lambda key: str(key).encode()) | st.sampled_from([b"", b"k" * 300]),
        "pondage-webhook-events": st.sampled_from([b"started", b"progress, log", b"finished", b",,"]),
        "pondage-on-disconnect": st.sampled_from([b"cancel", b"keep"])
        | st.binary(max_size=5).map(lambda raw: _header_text(raw.decode("latin-1")).encode("latin-1")),
        "x-fal-store-io": st.sampled_from([b"0", b"1", b"\xe9"]),
        "x-fal-object-lifecycle-preference": st.sampled_from([b"{", b'{"expiration_duration_seconds": 1e400}', b"1"]),
    },
)


def _latin(headers: dict[str, str]) -> dict[str, bytes]:
    return {name: _header_text(text).encode("latin-1") for name, text in headers.items()}


def _raw(headers: dict[str, bytes]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value) for name, value in headers.items()]


@BOUNDED
@given(st.data(), st.sampled_from(ENDPOINTS), SUBMIT_HEADERS, BODIES)
def test_whatever_is_submitted_is_answered_in_shape(
    opened: Opened, data: st.DataObject, endpoint: tuple[str, str], headers: dict[str, bytes], body: bytes
) -> None:
    query = {
        name: data.draw(_texts(opened.known, name))
        for name in data.draw(st.sets(st.sampled_from(["fal_webhook", "fal_max_queue_length", "fal_jwt_token"])))
    }
    in_shape(opened.http.post(endpoint[0], params=query, headers=_raw(headers), content=body))


@BOUNDED
@given(st.text(max_size=40), st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]))
def test_any_path_is_answered_in_shape(opened: Opened, text: str, method: str) -> None:
    in_shape(opened.http.request(method, "/" + quote(text, safe="/%")))


HOSTS = ["fal.run", "queue.fal.run", "rest.fal.ai", "v3.fal.media", "localhost", "evil.example", "[::1", "a b", "é", ""]


@BOUNDED
@given(
    st.sampled_from(HOSTS) | st.text(max_size=20),
    st.text(max_size=30) | st.sampled_from(["https://queue.fal.run/acme/echo", "//", "http://[::1", "http://fal.run"]),
    st.sampled_from(["origin", "x-forwarded-host", "x-forwarded-proto", "sec-fetch-site"]),
)
def test_any_host_and_target_is_answered_in_shape(opened: Opened, host: str, target: str, extra: str) -> None:
    assume(_header_text(host))
    headers = {"host": host, "x-fal-target-url": target, extra: target}
    in_shape(opened.http.post("/api/fal/proxy", headers=_raw(_latin(headers)), content=b"{}"))


# ---- keys


class Locked(NamedTuple):
    """A server with keys, by scope, and a request and a file that `owner` made."""

    http: httpx2.Client
    keys: dict[str, str]
    known: dict[str, str]


@pytest.fixture(scope="module")
def locked() -> Iterator[Locked]:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        keys = {scope: _key(served, scope) for scope in SCOPES}
        admin = {"authorization": f"Key {keys['admin']}"}
        run = http.post("/queue/acme/echo", json={"x": 1}, headers={**admin, "prefer": "wait=20"})
        file_url = http.post("/files/upload", content=b"some bytes", headers=admin).json()["access_url"]
        known = {
            "owner": "acme", "alias": "echo", "request_id": run.headers["x-fal-request-id"],
            "file_id": urlsplit(file_url).path.split("/")[2], "name": "file.bin",
            "upload_id": "none", "n": "1", "id": "none",
        }  # fmt: skip
        yield Locked(http, keys, known)


def _key(served: ServedApp, scope: str) -> str:
    key_id, secret = served.call(served.server.keys.create(scope, scopes=[scope]))
    return f"{key_id}:{secret}"


GUARDED = sorted(
    {(path_of(route), method, route.scope) for route in ROUTES for method in route.methods if route.scope}
    | {("/acme/echo", "POST", "submit"), ("/queue/acme/echo", "POST", "submit")}
)


def _filled(locked: Locked, path: str) -> str:
    for name, value in locked.known.items():
        path = path.replace(f"{{{name}}}", value)
    return path


@pytest.mark.parametrize(("path", "method", "scope"), GUARDED)
def test_a_key_with_the_scope_is_needed(locked: Locked, path: str, method: str, scope: str) -> None:
    url = _filled(locked, path)
    wrong = ["", "Key", "Key a", "Key a:b", f"Bearer {uuid.uuid4()}", "Basic YTpi", f"Key {locked.keys['admin']}x"]
    for authorization in wrong:
        headers = {"authorization": authorization} if authorization else {}
        answer = locked.http.request(method, url, content=b"{}" if method == "POST" else b"", headers=headers)
        assert answer.status_code == 401, (authorization, answer.text)
        in_shape(answer)
    for other in SCOPES.keys() - opened_by(scope):
        headers = {"authorization": f"Key {locked.keys[other]}"}
        answer = locked.http.request(method, url, content=b"{}" if method == "POST" else b"", headers=headers)
        assert answer.status_code == 403, (other, answer.text)
        in_shape(answer)


def test_the_public_routes_are_those_that_carry_their_secret() -> None:
    public = {path_of(route) for route in ROUTES if not route.scope}
    uploads = "/files/uploads/{upload_id}"
    assert public == {
        "/", "/healthz", "/readyz", "/.well-known/jwks.json",
        "/files/{file_id}", "/files/{file_id}/{name}", uploads, f"{uploads}/{{n}}", f"{uploads}/complete",
        "/ui", "/ui/static/{build}/{name}", "/ui/{page:path}", "/api/v1/session",
    }  # fmt: skip


VARIANTS = st.sampled_from(
    ["{}", "{}/", "/{}", "//{}", "/rest{}", "/queue{}", "/rest/rest{}", "/./{}", "{}?x=1", "{}%2F"]
)


@BOUNDED
@given(
    st.sampled_from(GUARDED),
    VARIANTS,
    st.sampled_from(["", *HOSTS[:5]]),
    st.sampled_from(["", "fal_jwt_token", "token", "x-fal-target-url"]),
    st.sampled_from(["", "Key :", "Key ::", "Bearer .", "Bearer a.b.c", "key", "Key a:b:c"]),
)
def test_no_spelling_leads_past_the_keys(
    locked: Locked, guarded: tuple[str, str, str], variant: str, host: str, extra: str, authorization: str
) -> None:
    path, method, _ = guarded
    url = variant.format(_filled(locked, path))
    headers = {"authorization": authorization} if authorization else {}
    if host:
        headers["host"] = host
    if extra == "x-fal-target-url":
        headers[extra] = "https://fal.run" + url
        url = "/api/fal/proxy"
    elif extra:
        url += f"{'&' if '?' in url else '?'}{extra}=eyJhbGciOiJub25lIn0.e30."
    answer = locked.http.request(method, url, headers=headers, content=b"{}" if method == "POST" else b"")
    if answer.status_code == 302:  # of `//metrics` a client takes `metrics` for the host, and asks for `/`
        assert answer.headers["location"] == "/ui/"
        return
    assert answer.status_code in {400, 401, 403, 404, 405, 421}, answer.text
    in_shape(answer)


# ---- the description


def test_every_route_is_described(opened: Opened) -> None:
    paths = opened.http.get("/openapi.json").json()["paths"]
    for route in ROUTES:
        if route.for_people:
            continue
        for method in set(route.methods) - {"HEAD"}:
            operation = paths[path_of(route)][method.lower()]
            assert operation["summary"], route
            assert bool(operation["security"]) is bool(route.scope), route
            named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert all(f"{{{name}}}" in path_of(route) for name in named)
    assert "/acme/echo" in paths and "/queue/acme/echo" in paths


def test_every_answer_is_described() -> None:
    outputs = {
        "get /queue/{owner}/{alias}/requests/{request_id}", "get /queue/{owner}/{alias}/requests/{request_id}/response",
        "get /files/{file_id}", "get /files/{file_id}/{name}",
    }  # fmt: skip
    silent = {
        f"{method} {path}" for path, method in OPERATIONS if "content" not in PATHS[path][method]["responses"]["2XX"]
    }
    assert silent == outputs


@pytest.mark.parametrize("key", [b"", b"k" * 257])
def test_an_idempotency_key_of_no_good_length_is_named(opened: Opened, key: bytes) -> None:
    answer = opened.http.post("/acme/echo", json={"x": 1}, headers=[(b"idempotency-key", key)])
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["header", "Idempotency-Key"])
