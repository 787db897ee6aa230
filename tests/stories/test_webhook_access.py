"""With keys, everybody sees, replays and hears of their own deliveries only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from pondage.testing import ServedApp, serve

from ..webhook_receiver import receiving

APP = Path(__file__).parents[1] / "apps" / "basic.py"


@pytest.fixture(scope="module")
def server() -> Iterator[ServedApp]:
    with serve(str(APP), webhook_private=True) as served:
        yield served


def client(server: ServedApp, *scopes: str) -> httpx2.Client:
    key_id, secret = server.call(server.server.keys.create("-".join(scopes), scopes=frozenset(scopes)))
    return httpx2.Client(base_url=server.url, timeout=30, headers={"authorization": f"Key {key_id}:{secret}"})


def test_a_key_sees_its_own_deliveries_only(server: ServedApp) -> None:
    with (
        client(server, "submit", "read") as mine,
        client(server, "submit", "read") as other,
        client(server, "admin") as admin,
        receiving() as receiver,
    ):
        answer = mine.post("/queue/acme/echo", params={"fal_webhook": receiver.url}, json={"x": 1})
        request = answer.json()["request_id"]
        [came] = receiver.count(1)
        assert came.headers["x-fal-webhook-user-id"] == mine.headers["authorization"].split()[1].split(":")[0]

        deliveries = "/api/v1/webhooks/deliveries"
        for who, seen in ((mine, True), (admin, True), (other, False)):
            status = 200 if seen else 404
            assert [item["id"] for item in who.get(deliveries).json()["items"]] == ([request] if seen else [])
            assert who.get(f"{deliveries}/{request}").status_code == status
            assert who.get(deliveries, params={"request_id": request}).status_code == status
            missed = who.get("/api/v1/webhooks/missed", params={"all": "1"}).json()["items"]
            assert [item["id"] for item in missed] == ([request] if seen else [])
        assert other.post(f"{deliveries}/{request}/replay").status_code == 404
        assert other.post("/api/v1/webhooks/replay", json={"request_id": request}).status_code == 404
        assert mine.post(f"{deliveries}/{request}/replay").json() == {"replayed": [request]}
        receiver.count(2)


def test_secrets_and_keys_are_the_operators(server: ServedApp) -> None:
    with client(server, "submit", "read") as caller, client(server, "admin") as admin:
        assert caller.get("/api/v1/webhooks/secrets").status_code == 403
        assert caller.post("/api/v1/webhooks/keys", json={"kind": "secret"}).status_code == 403
        listener = caller.post("/api/v1/webhooks/listeners", json={}).json()
        assert listener["secrets"] == [] and listener["jwks"]["keys"]
        assert admin.get("/api/v1/webhooks/secrets").json()["secrets"][0].startswith("whsec_")
        made = admin.post("/api/v1/webhooks/keys", json={"kind": "secret", "url": "https://Example.org/x"}).json()
        assert made["origin"] == "https://example.org" and made["secret"].startswith("whsec_")
        own = admin.get("/api/v1/webhooks/secrets", params={"url": "https://example.org/other"}).json()
        assert own["secrets"] == [made["secret"]]
        assert admin.post("/api/v1/webhooks/keys", json={"kind": "rsa"}).status_code == 400
        assert admin.post("/api/v1/webhooks/keys", json={"kind": 3}).status_code == 422


def test_the_public_keys_need_no_key(server: ServedApp) -> None:
    with client(server, "admin") as admin:
        document = httpx2.get(f"{server.url}/.well-known/jwks.json")
        assert document.status_code == 200 and document.json() == admin.get("/.well-known/jwks.json").json()


def test_a_listener_hears_of_its_keys_requests_only(server: ServedApp) -> None:
    with client(server, "submit", "read") as mine, client(server, "submit", "read") as other:
        listener = mine.post("/api/v1/webhooks/listeners", json={"app": "acme/echo"}).json()["id"]
        where = f"/api/v1/webhooks/listeners/{listener}/deliveries"
        other.post("/acme/echo", json={"x": 1})
        own = mine.post("/acme/echo", json={"x": 2}).headers["x-fal-request-id"]
        items = mine.get(where, params={"wait": "20"}).json()["items"]
        assert [(item["request_id"], item["endpoint"]) for item in items] == [(own, "acme/echo")]
        assert other.get(where).status_code == 404
        assert mine.delete(f"/api/v1/webhooks/listeners/{listener}").status_code == 200
        assert mine.get(where).status_code == 404


@pytest.mark.parametrize(
    "query", [{"limit": "many"}, {"limit": "1001"}, {"state": "lost"}, {"since": "yesterday"}, {"cursor": "-1"}]
)
def test_bad_queries_name_their_parameter(server: ServedApp, query: dict[str, str]) -> None:
    with client(server, "admin") as admin:
        answer = admin.get("/api/v1/webhooks/deliveries", params=query)
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["query", *query]
