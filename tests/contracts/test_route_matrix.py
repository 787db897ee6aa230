"""Every route by every kind of caller: what is opened, what is refused, what is as good as not there.

The routes come from the gateway's own table. Each must be classified in `KINDS`: what it touches of `a`'s, whose key
made the request, the file, the upload, the delivery and the listener that stand in the paths. `_expected` then says,
from an identity's scopes, apps and key alone, what is to be answered.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import jwt
import pytest

from pondage.gateway.openapi import path_of
from pondage.gateway.routes import ROUTES
from pondage.testing import ServedApp, serve
from pondage.wire.scopes import SCOPES, opened_by

from ..webhook_receiver import receiving

APPS = Path(__file__).parents[1] / "apps"
APP, OTHER = "acme/echo", "acme/desk"
PRIVATE = {"x-fal-object-lifecycle": '{"initial_acl": {"default": "hide"}}'}


class Identity(NamedTuple):
    """A caller. `good`: its credentials are some; `own`: it is `a`'s key, or a token of it."""

    name: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    good: bool = True
    scopes: frozenset[str] = frozenset()
    apps: frozenset[str] | None = None
    own: bool = False
    token: bool = False
    subject: str | None = None

    def may(self, scope: str) -> bool:
        return not opened_by(scope).isdisjoint(self.scopes)

    def calls(self, app: str) -> bool:
        return self.apps is None or app in self.apps


# ---- what is to be answered

YES, FORBIDDEN, UNKNOWN, STRANGER = "yes", 403, 404, 401


def _request(who: Identity, scope: str = "read-all") -> Any:
    own = who.own and who.subject is None
    return YES if who.calls(APP) and (own or who.may(scope)) else UNKNOWN


def _cancel(who: Identity) -> Any:
    seen = _request(who, "read-all or operate")
    if seen is not YES:
        return seen
    return YES if who.may("submit or operate" if who.own else "operate") else FORBIDDEN


def _requests(who: Identity) -> Any:
    return FORBIDDEN if who.token and who.subject is None else YES


def _keys_only(who: Identity) -> Any:
    return FORBIDDEN if who.token else YES


def _delivery(who: Identity, scope: str = "read-all") -> Any:
    return FORBIDDEN if who.token else _request(who, scope)


def _listener(who: Identity) -> Any:
    return FORBIDDEN if who.token else YES if who.own else UNKNOWN


def _server(who: Identity) -> Any:
    return YES if who.apps is None else FORBIDDEN


def _operation(who: Identity) -> Any:
    if who.token:
        return FORBIDDEN
    # It may touch requests of any app, so that it is nothing for who has only some.
    return YES if who.own or (who.may("operate") and who.apps is None) else UNKNOWN


def _file(who: Identity) -> Any:
    if who.token:
        return FORBIDDEN
    return YES if who.own or (who.may("admin") and who.apps is None) else FORBIDDEN


def _upload(who: Identity) -> Any:
    return YES if who.own or (who.may("admin") and who.apps is None) else UNKNOWN


def _mint(who: Identity) -> Any:
    return YES if not who.token and who.calls(APP) else FORBIDDEN


def _app(who: Identity) -> Any:
    return YES if who.calls(APP) else UNKNOWN


def _anybody(who: Identity) -> Any:
    return YES


def _pages_alone(who: Identity) -> Any:
    return FORBIDDEN


def _by_secret(who: Identity) -> Any:
    return STRANGER


class Kind(NamedTuple):
    """What a route touches: who may, and what is sent. `fresh`: it ends what it touches, so it needs a new one."""

    expected: Callable[[Identity], Any]
    query: dict[str, str] = {}
    body: Any = None
    fresh: str = ""


R, Q = "/api/v1/requests/{request_id}", "/queue/{owner}/{alias}/requests/{request_id}"
U, M = "/files/uploads/{upload_id}", "/files/{file_id}/{name}/multipart/{upload_id}"
W, L = "/api/v1/webhooks", "/api/v1/webhooks/listeners/{id}"
PUBLIC = Kind(_anybody)
MINTING = Kind(_mint, body={"allowed_apps": [APP]})

KINDS: dict[str, Kind] = {
    f"GET {Q}/status": Kind(_request),
    f"GET {Q}/status/stream": Kind(_request),
    f"GET {Q}": Kind(_request),
    f"GET {Q}/response": Kind(_request),
    f"GET {Q}/stream": Kind(_request),
    f"PUT {Q}/cancel": Kind(_cancel),
    f"DELETE {Q}/payloads": Kind(_cancel, fresh="request"),
    f"DELETE {R}/payloads": Kind(_cancel, fresh="request"),
    "DELETE /v1/models/requests/{request_id}/payloads": Kind(_cancel, fresh="request"),
    "GET /api/v1/settings": Kind(_server),
    "POST /api/v1/session": Kind(_pages_alone, body={"key": "no:such"}),
    "GET /api/v1/session": Kind(_anybody),
    "DELETE /api/v1/session": Kind(_pages_alone),
    "POST /tokens": MINTING,
    "POST /tokens/realtime": MINTING,
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /metrics": Kind(_anybody),
    "GET /openapi.json": Kind(_anybody),
    "GET /api/v1/requests": Kind(_requests),
    f"GET {R}": Kind(_request),
    f"GET {R}/events": Kind(_request),
    f"GET {R}/input": Kind(_request),
    f"GET {R}/output": Kind(_request),
    "POST /api/v1/snippets": Kind(_app, body={"endpoint": APP, "input": {"x": 1}}),
    f"POST {R}/retry": Kind(_request),
    f"PUT {R}/cancel": Kind(_cancel),
    "GET /api/v1/runners": Kind(_keys_only),
    "GET /api/v1/runners/logs": Kind(_app, query={"app": APP}),
    "GET /api/v1/apps": Kind(_anybody),
    "GET /api/v1/apps/{owner}/{alias}": Kind(_app),
    "GET /api/v1/keys": Kind(_server),
    "POST /api/v1/keys": Kind(_server, body={"name": "made here"}),
    "POST /api/v1/keys/{id}/rotate": Kind(_server, body={"overlap": 600}, fresh="key"),
    "DELETE /api/v1/keys/{id}": Kind(_server, fresh="key"),
    "GET /api/v1/usage": Kind(_keys_only),
    "GET /api/v1/apps/{owner}/{alias}/quote": Kind(_app, query={"path": "/generate"}),
    "DELETE /api/v1/apps/{owner}/{alias}": Kind(_app),  # which refuses an app that is served
    "POST /api/v1/apps/{owner}/{alias}/pause": Kind(_app, body={}),
    "POST /api/v1/apps/{owner}/{alias}/drain": Kind(_app, body={}),
    "POST /api/v1/apps/{owner}/{alias}/resume": Kind(_app, body={}),
    "GET /api/v1/queue": Kind(_anybody),
    "POST /api/v1/operations": Kind(_keys_only, body={"kind": "cancel", "filter": {"path": "/none"}}),
    "GET /api/v1/operations": Kind(_keys_only),
    "GET /api/v1/operations/{id}": Kind(_operation),
    "POST /api/v1/operations/{id}/{what}": Kind(_operation),
    f"PUT {R}/priority": Kind(_cancel, body={"priority": "low"}),
    "POST /api/v1/apps/{owner}/{alias}/quote": Kind(_app, body={"path": "/generate", "input": {}}),
    "GET /api/v1/summary": Kind(_keys_only),
    "GET /api/v1/errors": Kind(_keys_only),
    "GET /api/v1/apps/{owner}/{alias}/series": Kind(lambda who: FORBIDDEN if who.token else _app(who)),
    "POST /storage/upload/initiate": Kind(_anybody, body={}),
    "POST /storage/upload/initiate-multipart": Kind(_anybody, body={}),
    "POST /storage/auth/token": Kind(_keys_only, body={}),
    "POST /files/upload": Kind(_anybody, body={}),
    "POST /files/upload/multipart": Kind(_anybody, body={}),
    f"PUT {U}": Kind(_by_secret, body={}),
    f"GET {U}": Kind(_by_secret),
    f"DELETE {U}": Kind(_by_secret),
    f"PUT {U}/{{n}}": Kind(_by_secret, body={}),
    f"POST {U}/complete": Kind(_by_secret, body={}),
    f"PUT {M}/{{n}}": Kind(_upload, body={}),
    f"GET {M}": Kind(_upload),
    f"DELETE {M}": Kind(_upload, fresh="upload"),
    f"POST {M}/complete": Kind(_upload, body={}),
    "GET /files/{file_id}": PUBLIC,
    "GET /files/{file_id}/{name}": PUBLIC,
    "DELETE /files/{file_id}": Kind(_file, fresh="file"),
    "DELETE /files/{file_id}/{name}": Kind(_file, fresh="file"),
    "POST /files/{file_id}/{name}/sign": Kind(_file, body={}),
    "GET /api/v1/files": Kind(_keys_only),
    "GET /.well-known/jwks.json": PUBLIC,
    f"GET {W}/deliveries": Kind(_keys_only),
    f"GET {W}/deliveries/{{id}}": Kind(_delivery),
    f"POST {W}/deliveries/{{id}}/replay": Kind(lambda who: _delivery(who, "operate")),
    f"POST {W}/replay": Kind(_keys_only, body={"since": 2e9}),
    f"GET {W}/missed": Kind(_keys_only),
    f"POST {W}/listeners": Kind(_keys_only, body={}),
    f"GET {L}/deliveries": Kind(_listener),
    f"POST {L}/tries": Kind(_listener, body={"id": "none", "duration": 0}),
    f"DELETE {L}": Kind(_listener, fresh="listener"),
    f"GET {W}/secrets": Kind(_server),
    f"POST {W}/keys": Kind(_server, body={"kind": "secret", "url": "https://example.org/x"}),
    "GET /": PUBLIC,
    "GET /ui": PUBLIC,
    "GET /ui/static/{build}/{name}": PUBLIC,
    "GET /ui/{page:path}": PUBLIC,
}
"""Every route of the table, by method and path. HEAD goes where GET goes."""

ENDPOINTS = {
    "POST /acme/echo": "submit",
    "GET /acme/echo": "submit",
    "POST /queue/acme/echo": "submit",
    "PUT /queue/acme/echo": "submit",
    "POST /acme/echo/generate/stream": "submit",
    "POST /rest/tokens": "submit",
}
"""What is reached without a route of its own, and its scope."""

TABLE = {f"{method} {path_of(route)}": route.scope for route in ROUTES for method in route.methods}
MOST_REFUSED = {401, 403, 404}


def test_every_route_is_classified() -> None:
    known = {f"{'GET' if method == 'HEAD' else method} {path}" for method, _, path in (t.partition(" ") for t in TABLE)}
    assert not known - KINDS.keys(), "say in KINDS what these touch, and who may"
    assert not KINDS.keys() - known, "these are routes no more"


# ---- the server, what is `a`'s on it, and the callers


class House:
    """The server, the things of `a`'s that paths name, and everybody who calls."""

    def __init__(self, served: ServedApp, http: httpx2.Client, receiver_url: str) -> None:
        self.served = served
        self.http = http
        self.a = self._key("a", "submit", "read", "files")
        ran = self.as_a("POST", f"/queue/{APP}", json={"x": 1}, params={"fal_webhook": receiver_url})
        self.request_id = ran.json()["request_id"]
        self.as_a("GET", f"/queue/{APP}/requests/{self.request_id}", headers={"prefer": "wait=20"})
        while self.as_a("GET", f"{W}/deliveries/{self.request_id}").json()["state"] != "done":
            pass
        self.names = {
            "owner": "acme", "alias": "echo", "request_id": self.request_id, "n": "1", "build": "none",
            "page:path": "x", "what": "undo",
        }  # fmt: skip
        self.file, self.upload = self.fresh("file"), self.fresh("upload")
        self.listener = self.fresh("listener")["id"]
        nothing = {"kind": "cancel", "filter": {"path": "/none"}}
        self.operation = self.as_a("POST", "/api/v1/operations", json=nothing).json()["id"]
        self.identities = list(self._everybody())

    def as_a(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = {"authorization": f"Key {self.a}", **more.pop("headers", {})}
        answer = self.http.request(method, path, headers=headers, **more)
        assert answer.status_code < 300, answer.text
        return answer

    def resume(self) -> None:
        """The app goes on for those who come after."""
        key = self._key("resumes", "operate")
        self.http.post(f"/api/v1/apps/{APP}/resume", headers={"authorization": f"Key {key}"}).raise_for_status()

    def fresh(self, what: str) -> dict[str, str]:
        """A new file, multipart upload or listener of `a`'s, or a key, by the names that paths have for it."""
        if what == "request":
            request_id = self.as_a("POST", f"/queue/{APP}", json={"x": 1}).json()["request_id"]
            self.as_a("GET", f"/queue/{APP}/requests/{request_id}", headers={"prefer": "wait=20"})
            return {"request_id": request_id}
        if what == "file":
            at = urlsplit(self.as_a("POST", "/files/upload", content=b"bytes").json()["access_url"]).path.split("/")
            return {"file_id": at[2], "name": at[3]}
        if what == "upload":
            begun = self.as_a("POST", "/files/upload/multipart").json()
            at = urlsplit(begun["access_url"]).path.split("/")
            return {"file_id": at[2], "name": at[3], "upload_id": begun["uploadId"]}
        if what == "key":
            return {"id": self._key("to be ended", "read").partition(":")[0]}
        if what == "listener":
            return {"id": self.as_a("POST", f"{W}/listeners", json={}).json()["id"]}
        return {}

    def _key(self, name: str, *scopes: str, **more: Any) -> str:
        return ":".join(self.served.call(self.served.server.keys.create(name, scopes=scopes, **more)))

    def _token(self, key: str, path: str = "/tokens", **body: Any) -> str:
        answer = self.http.post(path, json=body, headers={"authorization": f"Key {key}"}).json()
        return str(answer["token"] if isinstance(answer, dict) else answer)

    def _everybody(self) -> Iterator[Identity]:
        usual = frozenset({"submit", "read", "files"})

        def by_key(name: str, key: str, scopes: frozenset[str], **more: Any) -> Identity:
            return Identity(name, {"authorization": f"Key {key}"}, scopes=scopes, **more)

        yield by_key("a", self.a, usual, own=True)
        yield Identity("a, as bearer", {"authorization": f"Bearer {self.a}"}, scopes=usual, own=True)
        yield by_key("b", self._key("b", *usual), usual)
        for scope in SCOPES:
            yield by_key(f"only {scope}", self._key(scope, scope), frozenset({scope}))
        for scopes in (usual, frozenset({"read-all", "operate"}), frozenset({"admin"})):
            for app in (APP, OTHER):
                key = self._key("limited", *scopes, apps=[app])
                yield by_key(f"{', '.join(sorted(scopes))} for {app}", key, scopes, apps=frozenset({app}))

        calls = frozenset({"submit", "read"})
        tokens: list[tuple[str, str, set[str] | frozenset[str], set[str], bool, str | None]] = [
            ("a's token", self._token(self.a, allowed_apps=[APP]), calls, {APP}, True, None),
            ("a's token for another app", self._token(self.a, allowed_apps=[OTHER]), calls, {OTHER}, True, None),
            ("a's token for ann", self._token(self.a, allowed_apps=[APP], subject="ann"), calls, {APP}, True, "ann"),
            ("a's token for uploads", self._token(self.a, "/storage/auth/token"), {"files"}, set(), True, None),
            ("b's token", self._token(self._key("b", *usual), allowed_apps=[APP]), calls, {APP}, False, None),
            ("an admin's token", self._token(self._key("x", "admin"), allowed_apps=[APP]), calls, {APP}, False, None),
        ]  # fmt: skip
        for name, token, given, apps, own, subject in tokens:
            about: dict[str, Any] = {
                "scopes": frozenset(given), "apps": frozenset(apps), "own": own, "token": True, "subject": subject,
            }  # fmt: skip
            yield Identity(name, {"authorization": f"Bearer {token}"}, **about)
            if name == "a's token":
                yield Identity("a's token in the query", {}, {"fal_jwt_token": token}, **about)

        revoked = self._key("revoked", "admin")
        of_revoked = self._token(revoked, allowed_apps=[APP])
        self.served.call(self.served.server.keys.revoke(revoked.partition(":")[0]))
        expired = self._key("expired", "admin", expires_at=time.time() + 0.01)
        key_id = self.a.partition(":")[0]
        wrong = {
            "nobody": "", "a revoked key": f"Key {revoked}", "an expired key": f"Key {expired}",
            "a wrong secret": f"Key {self.a}x", "no secret": f"Key {key_id}:", "no id": "Key :secret", "no key": "Key",
            "an unknown key": "Key nobody:secret", "another scheme": f"Basic {self.a}", "no scheme": self.a,
            "a key without its colon": f"Key {self.a.replace(':', '')}", "nonsense": "Bearer nonsense",
            "a token of a revoked key": f"Bearer {of_revoked}",
            "a token without a signature": f"Bearer {tokens[0][1].rpartition('.')[0]}.",
            "two keys": f"Key {key_id}:wrong, Key {self.a}",
        }  # fmt: skip
        for name, authorization in wrong.items():
            yield Identity(name, {"authorization": authorization} if authorization else {}, good=False)
        yield Identity("a forged token in the query", {}, {"fal_jwt_token": "eyJhbGciOiJub25lIn0.e30."}, good=False)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with (
        serve(str(APPS / "basic.py"), str(APPS / "desk.py"), webhook_private=True) as served,
        httpx2.Client(base_url=served.url, timeout=30) as http,
        receiving() as receiver,
    ):
        served.call(served.server.keys.create("first"))
        yield House(served, http, receiver.url)


# ---- the matrix


def _asked(house: House, who: Identity, method: str, path: str, kind: Kind) -> httpx2.Response:
    ids = {"/deliveries/{id}": house.request_id, "/operations/{id}": house.operation}
    named = {**house.names, "id": next((id_ for part, id_ in ids.items() if part in path), house.listener)}
    if kind.fresh:
        named |= house.fresh(kind.fresh)
    else:
        named |= house.upload if "{upload_id}" in path else house.file if "/files/" in path else {}
    for name, value in named.items():
        path = path.replace(f"{{{name}}}", value)
    body = None if kind.body is None else json.dumps(kind.body).encode()
    query = {**kind.query, **who.query}
    headers = {"accept": "application/json", **who.headers}
    return house.http.request(method, path, params=query, headers=headers, content=body)


def _expected(who: Identity, scope: str, kind: Kind) -> Any:
    if scope and not who.good:
        return STRANGER
    if scope and not who.may(scope):
        return FORBIDDEN
    return kind.expected(who)


def _judge(who: Identity, route: str, answer: httpx2.Response, expected: Any) -> None:
    cell = (route, who.name, answer.status_code, answer.text[:200])
    assert answer.status_code < 500 or answer.status_code == 503, cell
    if expected is not YES:
        assert answer.status_code == expected, cell
    elif route.endswith(("/static/{build}/{name}", "/tries")):
        assert answer.status_code == 404, cell
        assert "not owed" in answer.text or "no such file" in answer.text or answer.request.method == "HEAD", cell
    else:
        assert answer.status_code not in MOST_REFUSED, cell
    if expected is FORBIDDEN and answer.request.method != "HEAD":
        assert isinstance(answer.json()["detail"], str), cell


@pytest.mark.parametrize("route", sorted(TABLE))
def test_a_route_by_everybody(house: House, route: str) -> None:
    method, _, path = route.partition(" ")
    kind = KINDS[f"{'GET' if method == 'HEAD' else method} {path}"]
    for who in house.identities:
        answer = _asked(house, who, method, path, kind)
        if answer.status_code == 200 and path.endswith(("/pause", "/drain")):
            house.resume()
        expected = _expected(who, TABLE[route], kind)
        if method == "HEAD" and route.endswith("/static/{build}/{name}"):
            assert answer.status_code == 404
        else:
            _judge(who, route, answer, expected)
        if expected is FORBIDDEN and TABLE[route] and who.good and not who.may(TABLE[route]) and method != "HEAD":
            missing = TABLE[route].replace(" or ", "' or '")
            assert f"'{missing}'" in answer.json()["detail"], (route, who.name, answer.text)


@pytest.mark.parametrize("route", sorted(ENDPOINTS))
def test_an_endpoint_by_everybody(house: House, route: str) -> None:
    method, _, path = route.partition(" ")
    kind = MINTING if path.endswith("/tokens") else Kind(_app, body={"x": 1, "count": 1}, query={"x": "1"})
    for who in house.identities:
        _judge(who, route, _asked(house, who, method, path, kind), _expected(who, ENDPOINTS[route], kind))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_private_file_by_everybody(house: House, method: str) -> None:
    at = urlsplit(house.as_a("POST", "/files/upload", content=b"mine", headers=PRIVATE).json()["access_url"]).path
    for who in house.identities:
        answer = house.http.request(method, at, headers=who.headers, params=who.query)
        reads = who.own and not who.token and who.may("files or read")
        admin = who.may("admin") and who.apps is None
        assert answer.status_code == (200 if who.good and (reads or admin) else 403), (who.name, answer.text)


# ---- forged tokens


def _coded(members: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).decode().rstrip("=")


def _forged(house: House) -> Iterator[tuple[str, str]]:
    good = house._token(house.a, allowed_apps=[APP])
    secret = (Path(house.served.data) / "token.secret").read_bytes()
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    jwks = house.http.get("/.well-known/jwks.json")

    def signed(claims: dict[str, Any], key: bytes = secret, algorithm: str = "HS256", **more: Any) -> str:
        text = f"{_coded({'alg': algorithm, 'typ': 'JWT', **more})}.{_coded(claims)}"
        made = hmac.digest(key, text.encode(), algorithm.replace("HS", "sha"))
        return f"{text}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"

    as_made = {"authorization": f"Bearer {signed(claims)}"}
    assert house.http.get("/api/v1/apps", headers=as_made).status_code == 200
    for name in ("none", "None", "nOnE"):
        yield f"alg {name}", f"{_coded({'alg': name})}.{payload}."
        yield f"alg {name} with the signature", f"{_coded({'alg': name})}.{payload}.{signature}"
    yield "HS384", signed(claims, secret * 2, "HS384")
    yield "HS512", signed(claims, secret * 2, "HS512")
    public = jwks.json()["keys"][0]["x"]
    for name, key in (("the public key", public.encode()), ("the JWKS", jwks.content), ("no bytes", b"\0" * 32)):
        yield f"{name} as a secret", signed(claims, key)
    yield "kid leads to a file", signed(claims, b"\0" * 32, kid="../../../../dev/zero")
    yield "kid is SQL", signed(claims, b"\0" * 32, kid="x' UNION SELECT 'a' --")
    own = {"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
    yield "brings its own key", signed(claims, b"\0" * 32, jwk=own)
    yield "tampered", f"{header}.{_coded(claims | {'apps': [OTHER]})}.{signature}"
    yield "expired", signed(claims | {"exp": int(time.time()) - 1})
    yield "of an unknown key", signed(claims | {"sub": "nobody"})
    yield "of the empty key", signed(claims | {"sub": ""})
    yield "without an end", signed({name: value for name, value in claims.items() if name != "exp"})
    for member in ("sub", "apps", "scopes"):
        odd: tuple[Any, ...] = (None, 7, {"a": 1}, [[]])
        for value in odd:
            yield f"{member} is {value!r}", signed(claims | {member: value})
    yield "an end that is none", signed(claims | {"exp": "soon"})
    yield "a subject that is none", signed(claims | {"subject": ["ann"]})


def test_forged_tokens_open_nothing(house: House) -> None:
    """Some of these are signed with the server's secret: also a token of another version must not be half believed."""
    protected = [(route, KINDS[route]) for route, scope in TABLE.items() if scope and not route.startswith("HEAD")]
    for name, token in _forged(house):
        for n, (route, kind) in enumerate(protected):
            method, _, path = route.partition(" ")
            as_header = Identity(name, {"authorization": f"Bearer {token}"}, good=False)
            who = as_header if n % 2 else Identity(name, {}, {"fal_jwt_token": token}, good=False)
            answer = _asked(house, who, method, path, kind._replace(fresh=""))
            assert answer.status_code == 401, (name, route, answer.status_code, answer.text)


def test_a_token_has_no_more_than_its_key_whatever_it_says(house: House) -> None:
    """Signed with the server's secret and for every scope: what the key has not, the token has not."""
    secret = (Path(house.served.data) / "token.secret").read_bytes()
    claims = jwt.decode(house._token(house.a, allowed_apps=[APP]), options={"verify_signature": False})
    token = jwt.encode(claims | {"scopes": sorted(SCOPES)}, secret, algorithm="HS256")
    headers = {"authorization": f"Bearer {token}"}
    for path in ("/metrics", "/api/v1/runners/logs?app=acme/echo", f"{W}/secrets"):
        assert house.http.get(path, headers=headers).status_code == 403
