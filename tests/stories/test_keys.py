"""Keys over the API as by command: made, listed with their last use, rotated, revoked, and held to a priority."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from pondage.cli import exits, main
from pondage.testing import ServedApp, serve

BASIC = str(Path(__file__).parents[1] / "apps" / "basic.py")


@pytest.fixture(scope="module")
def house() -> Iterator[ServedApp]:
    with serve(BASIC) as served:
        yield served


@pytest.fixture(scope="module")
def admin(house: ServedApp) -> Iterator[httpx2.Client]:
    key = ":".join(house.call(house.server.keys.create("operator", scopes=("admin",))))
    with httpx2.Client(base_url=house.url, timeout=30, headers={"authorization": f"Key {key}"}) as http:
        yield http


def made(admin: httpx2.Client, name: str, **more: Any) -> tuple[str, dict[str, str]]:
    """A key's id, and the headers of who has it."""
    answer = admin.post("/api/v1/keys", json={"name": name, **more})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["key"] == f"{answer.json()['id']}:{answer.json()['secret']}"
    return answer.json()["id"], {"authorization": f"Key {answer.json()['key']}"}


def listed(admin: httpx2.Client, key_id: str) -> Any:
    (found,) = [item for item in admin.get("/api/v1/keys").json()["items"] if item["id"] == key_id]
    return found


def run(admin: httpx2.Client, headers: dict[str, str], **more: str) -> httpx2.Response:
    return admin.post("/acme/echo", json={"x": 1}, headers={**headers, **more})


def test_a_key_is_made_listed_and_revoked(admin: httpx2.Client) -> None:
    key_id, headers = made(admin, " ann ", apps=["acme/echo"], expires_in=3600, scopes=["submit"])
    shown = listed(admin, key_id)
    assert (shown["name"], shown["scopes"], shown["apps"], shown["priority"]) == (
        "ann",
        ["submit"],
        ["acme/echo"],
        "normal",
    )
    assert shown["expires_at"] > shown["created_at"] and shown["used_at"] is None and shown["revoked_at"] is None
    assert run(admin, headers).status_code == 200
    used = listed(admin, key_id)
    assert used["used_at"] >= shown["created_at"] and used["used_from"] == "127.0.0.1"
    assert "secret" not in used
    assert admin.delete(f"/api/v1/keys/{key_id}").json() == {"revoked": key_id}
    assert run(admin, headers).status_code == 401
    assert listed(admin, key_id)["revoked_at"] is not None
    assert admin.delete(f"/api/v1/keys/{key_id}").status_code == 404
    assert admin.delete("/api/v1/keys/nobody").status_code == 404


def test_the_key_in_use_is_not_revoked_by_itself(admin: httpx2.Client) -> None:
    key_id, headers = made(admin, "second", scopes=["admin"])
    answer = admin.delete(f"/api/v1/keys/{key_id}", headers=headers)
    assert answer.status_code == 400 and "another" in answer.json()["detail"]
    assert admin.get("/api/v1/keys", headers=headers).status_code == 200


def test_a_rotated_key_keeps_what_is_its_own(admin: httpx2.Client) -> None:
    key_id, before = made(admin, "ci")
    request_id = run(admin, before).headers["x-fal-request-id"]
    rotated = admin.post(f"/api/v1/keys/{key_id}/rotate", json={"overlap": 600}).json()
    after = {"authorization": f"Key {rotated['key']}"}
    assert rotated["id"] == key_id
    for headers in (before, after):
        assert admin.get(f"/api/v1/requests/{request_id}", headers=headers).status_code == 200
    assert listed(admin, key_id)["old_until"] > listed(admin, key_id)["rotated_at"]
    at_once = admin.post(f"/api/v1/keys/{key_id}/rotate", json={"overlap": 0}).json()
    assert run(admin, after).status_code == run(admin, before).status_code == 401
    assert run(admin, {"authorization": f"Key {at_once['key']}"}).status_code == 200
    admin.delete(f"/api/v1/keys/{key_id}")
    assert admin.post(f"/api/v1/keys/{key_id}/rotate", json={}).status_code == 404


def test_a_key_held_to_low_priority(admin: httpx2.Client) -> None:
    key_id, headers = made(admin, "batch", priority="low")
    assert listed(admin, key_id)["priority"] == "low"
    request_id = run(admin, headers).headers["x-fal-request-id"]
    assert admin.get(f"/api/v1/requests/{request_id}").json()["priority"] == 1
    assert run(admin, headers, **{"x-fal-queue-priority": "low"}).status_code == 200
    refused = run(admin, headers, **{"x-fal-queue-priority": "normal"})
    assert refused.status_code == 403 and "ceiling" in refused.json()["detail"]
    token = admin.post("/tokens/", json={"allowed_apps": ["acme/echo"]}, headers=headers).json()
    by_token = run(admin, {"authorization": f"Bearer {token}"})
    assert admin.get(f"/api/v1/requests/{by_token.headers['x-fal-request-id']}").json()["priority"] == 1
    _, normal = made(admin, "normal", scopes=["submit", "read-all"])
    first = run(admin, normal).headers["x-fal-request-id"]
    assert admin.get(f"/api/v1/requests/{first}").json()["priority"] == 0
    _, low = made(admin, "low, sees all", scopes=["submit", "read-all"], priority="low")
    again = admin.post(f"/api/v1/requests/{first}/retry", headers=low).json()["request_id"]
    assert admin.get(f"/api/v1/requests/{again}").json()["priority"] == 1, "a repeat goes by the key that asks for it"


def test_requests_by_key(admin: httpx2.Client) -> None:
    key_id, headers = made(admin, "one")
    own = run(admin, headers).headers["x-fal-request-id"]
    assert [i["id"] for i in admin.get("/api/v1/requests", params={"caller": key_id}).json()["items"]] == [own]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "name"),
        ({"name": ""}, "printable"),
        ({"name": "a\nb"}, "printable"),
        ({"name": "x" * 101}, "printable"),
        ({"name": "x", "scopes": []}, "opens nothing"),
        ({"name": "x", "scopes": ["root"]}, "no scope root"),
        ({"name": "x", "apps": []}, "names no app"),
        ({"name": "x", "apps": ["acme/ecko"]}, "acme/echo"),
        ({"name": "x", "apps": ["acme/echo/slow"]}, "whole app"),
        ({"name": "x", "expires_in": 1}, "from 60"),
        ({"name": "x", "expires_in": 1e300}, "from 60"),
        ({"name": "x", "priority": "highest"}, "highest"),
        ({"name": "x", "admin": True}, "admin"),
    ],
)
def test_what_no_key_can_be(admin: httpx2.Client, body: dict[str, Any], said: str) -> None:
    before = len(admin.get("/api/v1/keys").json()["items"])
    answer = admin.post("/api/v1/keys", json=body)
    assert answer.status_code == 422 and said in answer.text
    assert len(admin.get("/api/v1/keys").json()["items"]) == before


def test_an_app_that_is_to_come(admin: httpx2.Client) -> None:
    key_id, _ = made(admin, "early", apps=["acme/tomorrow"], force=True)
    assert listed(admin, key_id)["apps"] == ["acme/tomorrow"]
    assert admin.post(f"/api/v1/keys/{key_id}/rotate", json={"overlap": -1}).status_code == 422


def test_uses_outlive_the_server(tmp_path: Path) -> None:
    with serve(BASIC, data=str(tmp_path)) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        key_id, secret = served.call(served.server.keys.create("ci"))
        assert http.get("/api/v1/apps", headers={"authorization": f"Key {key_id}:{secret}"}).status_code == 200
    with serve(BASIC, data=str(tmp_path)) as served:
        (record,) = served.call(served.server.keys.list())
    assert record.used_at is not None and record.used_from == "127.0.0.1"


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def keys(*arguments: str) -> tuple[int, str]:
        code = main(["keys", *arguments, "--data", str(tmp_path)])
        return code, capsys.readouterr().out

    code, text = keys("create", "batch", "--priority", "low")
    key_id, _, secret = text.strip().partition(":")
    assert code == exits.OK and secret
    code, text = keys("rotate", key_id, "--overlap", "7d")
    assert code == exits.OK and text.startswith(f"{key_id}:") and secret not in text
    code, text = keys("list")
    assert code == exits.OK and "low" in text and "never" in text
    assert keys("rotate", "nobody")[0] == exits.BAD_INPUT
    for wrong in ("soon", "-1h", "99999999999w"):
        assert keys("rotate", key_id, f"--overlap={wrong}")[0] == exits.BAD_INPUT


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_what_is_open_of_a_key_ends_with_it(house: ServedApp, admin: httpx2.Client, how: str) -> None:
    # A stream that follows, a socket, and a socket with a token of the key: each would go on for ever.
    ends = time.time() + 4 if how == "expired" else None
    key_id, secret = house.call(house.server.keys.create(how, expires_at=ends))
    headers = {"authorization": f"Key {key_id}:{secret}"}
    _, others = made(admin, "stays")
    url = house.url.replace("http://", "ws://") + "/acme/echo"
    token = httpx2.post(f"{house.url}/tokens/", json={"allowed_apps": ["acme/echo"]}, headers=headers).json()
    waits = httpx2.post(
        f"{house.url}/queue/acme/echo",
        json={},
        headers={**headers, "pondage-start-at": str(int(time.time()) + 3600)},
        timeout=30,
    )
    assert waits.status_code == 200, waits.text
    with (
        connect(url, additional_headers=headers) as own,
        connect(f"{url}?fal_jwt_token={token}") as page,
        connect(url, additional_headers=others) as theirs,
        httpx2.stream("GET", waits.json()["status_url"] + "/stream", headers=headers, timeout=30) as follows,
    ):
        blocks = follows.iter_raw()
        assert next(blocks)
        if how == "revoked":
            assert admin.delete(f"/api/v1/keys/{key_id}").status_code == 200
        for socket in (own, page):
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=20)
        with pytest.raises(httpx2.RemoteProtocolError):
            for _ in blocks:
                pass
        theirs.send('{"x": 1}')
        assert theirs.recv(timeout=20)
