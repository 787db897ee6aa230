"""What one key may have of each thing, so that it leaves the others room."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pondage.testing import ServedApp, serve

APP = """
import asyncio
import pondage

class One(pondage.App, name="acme/one"):
    @pondage.endpoint("/")
    async def run(self, seconds: float = 0) -> dict:
        await asyncio.sleep(seconds)
        return {}

class Two(pondage.App, name="acme/two", max_multiplexing=8):
    @pondage.endpoint("/")
    async def run(self) -> dict:
        return {}

    @pondage.realtime("/realtime")
    async def echo(self, input: dict) -> dict:
        return input
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    file = tmp_path_factory.mktemp("ceilings") / "apps.py"
    file.write_text(APP)
    ceilings = {
        "max_queue_length_per_key": 2, "max_sessions_per_key": 2, "max_uploads_per_key": 2, "max_listeners_per_key": 2,
    }  # fmt: skip
    with serve(str(file), **ceilings) as served:
        yield served


@pytest.fixture(scope="module")
def callers(served: ServedApp) -> Iterator[list[httpx2.Client]]:
    """Two keys."""
    clients = []
    for name in "ab":
        key_id, secret = served.call(served.server.keys.create(name, scopes=("submit", "read", "files")))
        headers = {"authorization": f"Key {key_id}:{secret}"}
        clients.append(httpx2.Client(base_url=served.url, timeout=30, headers=headers))
    yield clients
    for client in clients:
        client.close()


def test_requests_that_wait(callers: list[httpx2.Client]) -> None:
    a, b = callers
    running = a.post("/queue/acme/one", json={"seconds": 60}).json()
    end = time.monotonic() + 20
    while a.get(running["status_url"]).json()["status"] != "IN_PROGRESS":
        assert time.monotonic() < end
    waiting = [a.post("/queue/acme/one", json={}) for _ in range(3)]
    assert [one.status_code for one in waiting] == [200, 200, 429]
    assert "max_queue_length_per_key" in waiting[2].json()["detail"]
    theirs = b.post("/queue/acme/one", json={})
    assert theirs.status_code == 200
    assert a.post("/acme/two", json={}).status_code == 200  # it does not wait
    for one in (waiting[0], waiting[1]):
        a.put(one.json()["cancel_url"])
    again = a.post("/queue/acme/one", json={})
    assert again.status_code == 200
    for one in (running, again.json()):
        a.put(one["cancel_url"])
    b.put(theirs.json()["cancel_url"])


def test_sessions(served: ServedApp, callers: list[httpx2.Client]) -> None:
    url = served.url.replace("http://", "ws://") + "/acme/two/realtime"
    a, b = ({"authorization": caller.headers["authorization"]} for caller in callers)
    with connect(url, additional_headers=a) as first, connect(url, additional_headers=a):
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=a):
            pass
        assert refused.value.response.status_code == 429
        assert b"max_sessions_per_key" in refused.value.response.body
        with connect(url, additional_headers=b) as theirs:
            theirs.send('{"x": 1}')
            assert theirs.recv() == '{"x":1}'
        first.close()
        end = time.monotonic() + 20
        while True:
            try:
                with connect(url, additional_headers=a):
                    break
            except InvalidStatus:
                assert time.monotonic() < end


def test_upload_urls(callers: list[httpx2.Client]) -> None:
    a, b = callers
    grants = [a.post("/storage/upload/initiate", json={"file_name": "x"}) for _ in range(3)]
    assert [one.status_code for one in grants] == [200, 200, 429]
    assert "max_uploads_per_key" in grants[2].json()["detail"]
    assert b.post("/storage/upload/initiate", json={"file_name": "x"}).status_code == 200
    assert httpx2.put(grants[0].json()["upload_url"], content=b"x").is_success
    assert a.post("/storage/upload/initiate", json={"file_name": "x"}).status_code == 200


def test_listeners(callers: list[httpx2.Client]) -> None:
    a, b = callers
    made = [a.post("/api/v1/webhooks/listeners", json={}) for _ in range(3)]
    assert [one.status_code for one in made] == [200, 200, 429], made[0].text
    assert "max_listeners_per_key" in made[2].json()["detail"]
    assert b.post("/api/v1/webhooks/listeners", json={}).status_code == 200
