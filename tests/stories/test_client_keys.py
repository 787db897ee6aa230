"""A caller of a server that asks for keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import pondage.client as fal_client
from pondage.client import AsyncClient, SyncClient
from pondage.testing import ServedApp, serve

pytestmark = pytest.mark.anyio

APP = str(Path(__file__).parents[1] / "apps" / "basic.py")


@pytest.fixture(scope="module")
def locked() -> Iterator[tuple[ServedApp, str]]:
    """A server with one key, and the key."""
    with serve(APP) as served:
        key_id, secret = served.call(served.server.keys.create("a test", scopes=["submit", "read", "files"]))
        yield served, f"{key_id}:{secret}"


def test_every_way_in_takes_the_key(locked: tuple[ServedApp, str], monkeypatch: pytest.MonkeyPatch) -> None:
    served, key = locked
    monkeypatch.setenv("PONDAGE_URL", served.url)
    monkeypatch.setenv("PONDAGE_KEY", key)
    with SyncClient() as client:
        assert client.run("acme/echo", {"x": 1}) == {"y": 2}
        assert client.subscribe("acme/echo", {"x": 1}, on_queue_update=print) == {"y": 2}
        assert len(list(client.stream("acme/echo", {"count": 3}))) == 3
        assert client.upload(b"x", "text/plain").startswith(served.url)
        with client.realtime("acme/echo") as connection:
            connection.send({"x": 1})
            assert connection.recv() == {"y": 2}


async def test_a_session_uses_a_short_lived_token(locked: tuple[ServedApp, str]) -> None:
    served, key = locked
    async with AsyncClient(key=key, base_url=served.url) as client:
        async with client.realtime.connect("acme/echo", token_expiration=30) as session:
            await session.send({"x": 1})
            assert await anext(session) == {"y": 2}


@pytest.mark.parametrize("key", [None, "wrong:wrong"])
def test_without_a_good_key(locked: tuple[ServedApp, str], key: str | None) -> None:
    served, _ = locked
    with SyncClient(key=key, base_url=served.url) as client:
        with pytest.raises(fal_client.Unauthorized):
            client.run("acme/echo", {"x": 1})
        with pytest.raises(fal_client.Unauthorized):
            next(client.stream("acme/echo", {}))
        with pytest.raises(fal_client.Unauthorized):
            with client.realtime("acme/echo"):
                pass
        with pytest.raises(fal_client.Unauthorized):
            client.upload(b"x", "text/plain")
        with client.realtime.connect("acme/echo") as session:
            session.send({"x": 1})
            with pytest.raises(fal_client.Unauthorized):
                next(session)
