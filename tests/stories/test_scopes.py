"""What a key for some apps, an operator's key and a page's token see and do, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.testing import ServedApp, serve

from ..webhook_receiver import receiving

APPS = Path(__file__).parents[1] / "apps"
HIDDEN = '{"initial_acl": {"default": "hide"}}'
PRIVATE = {"x-fal-object-lifecycle": HIDDEN}


@pytest.fixture(scope="module")
def guarded() -> Iterator[ServedApp]:
    """`acme/echo` and `acme/desk`, with keys; webhooks may go to this machine."""
    with serve(str(APPS / "basic.py"), str(APPS / "desk.py"), webhook_private=True) as served:
        served.call(served.server.keys.create("first"))
        yield served


class Holder:
    """Calls with one key or token."""

    def __init__(self, served: ServedApp, authorization: str) -> None:
        self._http = httpx2.Client(base_url=served.url, timeout=30, headers={"authorization": authorization})

    def __call__(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self._http.request(method, path, **more)

    def run(self, path: str = "/acme/echo", **body: Any) -> str:
        """Run to the end; the request's id."""
        answer = self("POST", path, json=body or {"x": 1})
        assert answer.status_code == 200, answer.text
        request_id: str = answer.headers["x-fal-request-id"]
        return request_id

    def token(self, *apps: str, **more: Any) -> str:
        answer = self("POST", "/tokens/", json={"allowed_apps": list(apps), **more})
        assert answer.status_code == 200, answer.text
        made: str = answer.json()
        return made

    def listed(self, **query: str) -> list[str]:
        answer = self("GET", "/api/v1/requests", params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    def store(self, **headers: str) -> str:
        url: str = self("POST", "/files/upload", content=b"bytes", headers=headers).json()["access_url"]
        return url

    def drawn(self) -> str:
        """The URL of a private file that `acme/desk` makes."""
        hidden = {"x-fal-object-lifecycle-preference": HIDDEN}
        answer = self("POST", "/acme/desk", json={"prompt": "p"}, headers=hidden)
        assert answer.status_code == 200, answer.text
        url: str = answer.json()["picture"]["url"]
        return url


def holder(served: ServedApp, *scopes: str, apps: list[str] | None = None) -> Holder:
    key = ":".join(served.call(served.server.keys.create("-".join(scopes), scopes=scopes, apps=apps)))
    return Holder(served, f"Key {key}")


@pytest.fixture
def a(guarded: ServedApp) -> Holder:
    return holder(guarded, "submit", "read", "files")


# ---- a key for some apps


def test_an_admin_of_one_app_is_one_of_that_app_alone(guarded: ServedApp, a: Holder) -> None:
    limited = holder(guarded, "admin", apps=["acme/desk"])
    echo, desk = a.run(), a.run("/acme/desk", prompt="p")
    for method, path, status in (
        ("GET", "/queue/acme/echo/requests/{}", 200), ("GET", "/queue/acme/echo/requests/{}/status", 200),
        ("GET", "/queue/acme/echo/requests/{}/status/stream", 200), ("GET", "/queue/acme/echo/requests/{}/stream", 200),
        ("GET", "/api/v1/requests/{}", 200), ("GET", "/api/v1/requests/{}/events", 200),
        ("POST", "/api/v1/requests/{}/retry", 200), ("PUT", "/api/v1/requests/{}/cancel", 400),
    ):  # fmt: skip
        assert limited(method, path.format(echo)).status_code == 404, path
        assert limited(method, path.format(desk)).status_code == status, path
    assert desk in limited.listed() and echo not in limited.listed() and echo not in limited.listed(app="acme/echo")
    logs = [limited("GET", "/api/v1/runners/logs", params={"app": f"acme/{app}"}) for app in ("desk", "echo", "none")]
    assert [answer.status_code for answer in logs] == [200, 404, 404]
    assert logs[1].json()["detail"] == logs[2].json()["detail"].replace("none", "echo")
    metrics = limited("GET", "/metrics").text
    assert 'app="acme/desk"' in metrics and "acme/echo" not in metrics and "http_responses" not in metrics
    described = limited("GET", "/openapi.json").json()["paths"]
    assert "/acme/desk" in described and "/acme/echo" not in described


def test_the_servers_secrets_are_for_an_admin_of_every_app(guarded: ServedApp) -> None:
    limited, whole = holder(guarded, "admin", apps=["acme/desk"]), holder(guarded, "admin")
    for method, path in (("GET", "/api/v1/webhooks/secrets"), ("POST", "/api/v1/webhooks/keys")):
        refused = limited(method, path, json={"kind": "ed25519"} if method == "POST" else None)
        assert refused.status_code == 403 and "every app" in refused.json()["detail"]
    assert limited("POST", "/api/v1/webhooks/listeners", json={}).json()["secrets"] == []
    assert whole("POST", "/api/v1/webhooks/listeners", json={}).json()["secrets"]


def test_files_of_other_apps_are_not_an_admins_of_one_app(guarded: ServedApp, a: Holder) -> None:
    limited, whole = holder(guarded, "admin", apps=["acme/desk"]), holder(guarded, "admin")
    uploaded = a.store(**PRIVATE)
    made = a.drawn()
    assert (whole("GET", uploaded).status_code, whole("GET", made).status_code) == (200, 200)
    assert (limited("GET", uploaded).status_code, limited("GET", made).status_code) == (403, 200)
    assert limited("DELETE", uploaded).status_code == limited("POST", f"{uploaded}/sign", json={}).status_code == 403
    listed = str(limited("GET", "/api/v1/files").json()["files"])
    assert made in listed and uploaded not in listed
    refused = holder(guarded, "submit")("GET", uploaded).json()["detail"]
    assert "'files'" in refused and "'admin'" in refused


def test_operations_on_other_apps_are_neither_seen_nor_steered(guarded: ServedApp) -> None:
    whole = holder(guarded, "admin")
    one, two = (holder(guarded, "operate", apps=apps) for apps in (["acme/desk"], ["acme/desk", "acme/echo"]))

    def begun(who: Holder, **filter: str) -> str:
        body = {"kind": "cancel", "filter": filter, "count": 1000, "reason": "secret plans"}
        answer = who("POST", "/api/v1/operations", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    echo, desk, every = begun(whole, app="acme/echo"), begun(whole, app="acme/desk"), begun(whole)
    own, both = begun(one), begun(two)
    whole("POST", "/api/v1/apps/acme/echo/resume", json={"reason": "secret plans"})
    seen = {item["id"] for item in one("GET", "/api/v1/operations", params={"limit": 1000}).json()["items"]}
    assert {desk, own} <= seen and not {echo, every, both} & seen
    assert "acme/echo" not in one("GET", "/api/v1/operations", params={"limit": 1000}).text
    for operation in (echo, every, both):
        for method, path in (("GET", ""), ("POST", "/undo"), ("POST", "/pause")):
            assert one(method, f"/api/v1/operations/{operation}{path}").status_code == 404
    for who, known in ((one, desk), (two, own), (two, echo), (whole, own), (whole, both)):
        assert who("GET", f"/api/v1/operations/{known}").status_code == 200


def test_webhooks_of_other_apps_are_neither_seen_nor_owed_again(guarded: ServedApp, a: Holder) -> None:
    limited = holder(guarded, "admin", apps=["acme/desk"])
    with receiving() as receiver:
        ids = {}
        for app, body in (("echo", {"x": 1}), ("desk", {"prompt": "p"})):
            answer = a("POST", f"/queue/acme/{app}", params={"fal_webhook": receiver.url}, json=body)
            ids[app] = answer.json()["request_id"]
        receiver.count(2)
        deliveries = "/api/v1/webhooks/deliveries"
        while {a("GET", f"{deliveries}/{name}").json()["state"] for name in ids.values()} != {"done"}:
            pass
        seen = [item["request_id"] for item in limited("GET", deliveries).json()["items"]]
        assert ids["desk"] in seen and ids["echo"] not in seen
        missed = limited("GET", "/api/v1/webhooks/missed", params={"all": "1", "limit": "500"}).json()["items"]
        assert ids["desk"] in str(missed) and ids["echo"] not in str(missed)
        for name in (ids["echo"], ids["echo"][-12:]):
            assert limited("GET", f"{deliveries}/{name}").status_code == 404
            assert limited("POST", f"{deliveries}/{name}/replay").status_code == 404
        assert limited("POST", "/api/v1/webhooks/replay", json={"request_id": ids["echo"]}).status_code == 404
        everything = limited("POST", "/api/v1/webhooks/replay", json={"since": 0, "state": "done"}).json()["replayed"]
        assert ids["desk"] in everything and ids["echo"] not in everything


def test_a_listener_of_a_key_for_some_apps_hears_of_these(guarded: ServedApp, a: Holder) -> None:
    one, two = (holder(guarded, "read-all", apps=apps) for apps in (["acme/desk"], ["acme/desk", "acme/echo"]))
    listener = one("POST", "/api/v1/webhooks/listeners", json={}).json()["id"]
    for app in ("", "acme/none"):
        asked = two("POST", "/api/v1/webhooks/listeners", json={"app": app})
        assert asked.status_code == 422 and "acme/desk, acme/echo" in asked.text
    a.run()
    desk = a.run("/acme/desk", prompt="p")
    where = f"/api/v1/webhooks/listeners/{listener}"
    items = one("GET", f"{where}/deliveries", params={"wait": "20"}).json()["items"]
    assert [item["request_id"] for item in items] == [desk]
    for other in (a, two, holder(guarded, "admin")):
        report = {"id": items[0]["id"], "duration": 0, "status": 200}
        assert other("GET", f"{where}/deliveries").status_code == 404
        assert other("POST", f"{where}/tries", json=report).status_code == 404
        assert other("DELETE", where).status_code == 404
    assert one("DELETE", where).status_code == 200


# ---- an operator's scopes


def test_seeing_everybodys_requests_is_not_ending_them(guarded: ServedApp, a: Holder) -> None:
    request_id = a("POST", "/queue/acme/echo/slow", json={"seconds": 60}).json()["request_id"]
    reader, operator = holder(guarded, "read-all", "submit"), holder(guarded, "operate")
    cancel = f"/queue/acme/echo/requests/{request_id}/cancel"
    assert reader("GET", f"/queue/acme/echo/requests/{request_id}/status").status_code == 202
    assert request_id in reader.listed()
    refused = reader("PUT", cancel)
    assert refused.status_code == 403 and "'operate'" in refused.json()["detail"]
    leaving = {"pondage-on-disconnect": "cancel"}
    assert reader("GET", f"/queue/acme/echo/requests/{request_id}/stream", headers=leaving).status_code == 403
    assert operator("GET", f"/queue/acme/echo/requests/{request_id}/status").status_code == 403
    assert holder(guarded, "operate", apps=["acme/desk"])("PUT", cancel).status_code == 404
    assert holder(guarded, "submit")("PUT", cancel).status_code == 404
    assert operator("PUT", cancel).status_code in {200, 202}


def test_what_runs_where_is_shown_to_who_may_see_everybodys_requests(guarded: ServedApp, a: Holder) -> None:
    request_id = a("POST", "/queue/acme/echo/slow", json={"seconds": 60}).json()["request_id"]
    while a("GET", f"/queue/acme/echo/requests/{request_id}/status").json()["status"] == "IN_QUEUE":
        pass

    def shown(who: Holder) -> bool:
        return request_id in str([runner["running"] for runner in who("GET", "/api/v1/runners").json()["items"]])

    assert shown(holder(guarded, "read-all")) and shown(holder(guarded, "admin")) and not shown(a)
    assert a("PUT", f"/api/v1/requests/{request_id}/cancel").status_code in {200, 202}


# ---- a page's token


def test_a_token_reads_and_cancels_by_id_and_lists_nothing(guarded: ServedApp, a: Holder) -> None:
    page = Holder(guarded, f"Bearer {a.token('acme/echo')}")
    another = a.run()
    assert page("GET", f"/queue/acme/echo/requests/{another}").status_code == 200
    for path in ("/api/v1/requests", f"/api/v1/requests?id_tail={another[-4:]}"):
        assert page("GET", path).status_code == 403
    running = page("POST", "/queue/acme/echo/slow", json={"seconds": 60}).json()["request_id"]
    assert page("PUT", f"/queue/acme/echo/requests/{running}/cancel").status_code in {200, 202}
    for method, path in (
        ("GET", "/api/v1/runners"), ("GET", "/api/v1/files"), ("GET", "/api/v1/webhooks/deliveries"),
        ("GET", "/api/v1/webhooks/missed"), ("POST", "/api/v1/webhooks/listeners"), ("POST", "/api/v1/webhooks/replay"),
        ("GET", f"/api/v1/webhooks/deliveries/{another}"), ("POST", f"/api/v1/webhooks/deliveries/{another}/replay"),
    ):  # fmt: skip
        assert page(method, path, json={} if method == "POST" else None).status_code == 403, path


def test_a_token_with_a_subject_is_for_that_subject_alone(guarded: ServedApp, a: Holder) -> None:
    ann, bob, ann_again = (
        Holder(guarded, f"Bearer {a.token('acme/echo', subject=name)}") for name in ("ann", "bob", "ann")
    )
    keys, anns, bobs = a.run(), ann.run(), bob.run()
    assert ann.listed() == ann_again.listed() == [anns] and bob.listed() == [bobs]
    assert {keys, anns, bobs} <= set(a.listed())
    shown = a("GET", f"/api/v1/requests/{anns}").json()
    assert shown["subject"] == "ann" and shown["caller"]
    for request_id, status in ((anns, 200), (bobs, 404), (keys, 404)):
        assert ann("GET", f"/queue/acme/echo/requests/{request_id}").status_code == status
        assert ann("GET", f"/api/v1/requests/{request_id}/events").status_code == status
        assert ann("POST", f"/api/v1/requests/{request_id}/retry").status_code == status
    assert ann("PUT", f"/queue/acme/echo/requests/{bobs}/cancel").status_code == 404
    repeated = ann("POST", f"/api/v1/requests/{anns}/retry").json()["request_id"]
    assert repeated in ann_again.listed()
    assert ann.listed(caller="anybody", app="acme/echo") == ann.listed()


def test_one_idempotency_key_of_two_subjects_is_two_requests(guarded: ServedApp, a: Holder) -> None:
    ids = []
    for name in ("ann", "bob"):
        page = Holder(guarded, f"Bearer {a.token('acme/echo', subject=name)}")
        for _ in range(2):
            answer = page("POST", "/queue/acme/echo", json={"x": 1}, headers={"idempotency-key": "the same"})
            ids.append(answer.json()["request_id"])
    assert ids[0] == ids[1] != ids[2] == ids[3]


@pytest.mark.parametrize("subject", ["", "x" * 257, "a\nb", 7])
def test_a_subject_that_cannot_be_is_named(a: Holder, subject: Any) -> None:
    answer = a("POST", "/tokens/", json={"allowed_apps": ["acme/echo"], "subject": subject})
    assert answer.status_code == 422 and "subject" in answer.text


def test_a_token_reads_the_private_files_that_its_requests_name(guarded: ServedApp, a: Holder) -> None:
    other = a.store(**PRIVATE)
    for subject in ({}, {"subject": "ann"}):
        named = a.store(**PRIVATE)
        page = Holder(guarded, f"Bearer {a.token('acme/desk', **subject)}")
        stranger = Holder(guarded, f"Bearer {a.token('acme/echo', **subject)}")
        assert page("GET", named).status_code == 403
        assert page("POST", "/acme/desk/weigh", json={"file": named}).status_code == 200
        made = page.drawn()
        assert page("GET", named).content == b"bytes" and page("GET", made).content == b"drawn: p"
        for url in (named, made):
            assert stranger("GET", url).status_code == 403
            assert page("DELETE", url).status_code == page("POST", f"{url}/sign", json={}).status_code == 403
        assert page("GET", other).status_code == 403
        bob = Holder(guarded, f"Bearer {a.token('acme/desk', subject='bob')}")
        assert bob("GET", named).status_code == bob("GET", made).status_code == 403


def test_a_token_for_uploads_uploads_and_does_nothing_else(guarded: ServedApp, a: Holder) -> None:
    stored = a.store(**PRIVATE)
    uploader = Holder(guarded, f"Bearer {a('POST', '/storage/auth/token', json={}).json()['token']}")
    assert uploader.store().startswith("http")
    assert uploader("GET", stored).status_code == 403
    assert uploader("DELETE", stored).status_code == 403
    assert uploader("GET", "/api/v1/files").status_code == 403
    assert uploader("POST", f"{stored}/sign", json={}).status_code == 403
