"""Our client's sessions, against a real gateway and a real runner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from pondage.client import AsyncClient, HTTPError, RealtimeError, SyncClient, limits
from pondage.testing import ServedApp, serve

from .conftest import APPS

pytestmark = pytest.mark.anyio


class Half(BaseModel):
    n: float


@pytest.fixture(scope="module")
def live() -> Iterator[tuple[ServedApp, str]]:
    """A server with a key, so that sessions use tokens."""
    with serve(str(APPS / "live.py"), chunk_buffer_bytes=256 * 1024) as served:
        key_id, secret = served.call(served.server.keys.create("a test", scopes=["submit", "read", "admin"]))
        yield served, f"{key_id}:{secret}"


@pytest.fixture
async def client(live: tuple[ServedApp, str]) -> AsyncIterator[AsyncClient]:
    served, key = live
    async with AsyncClient(base_url=served.url, key=key) as client:
        yield client


def sessions(live: tuple[ServedApp, str]) -> list[dict[str, Any]]:
    """The sessions of the server, newest first."""
    served, key = live
    answer = httpx2.get(f"{served.url}/api/v1/requests", headers={"authorization": f"Key {key}"}).json()
    return [item for item in answer["items"] if item["mode"] == "session"]


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def test_results_are_of_the_type_that_was_asked_for(client: AsyncClient) -> None:
    async with client.realtime.connect("acme/live", output_type=Half, throttle_interval=0) as session:
        for n in range(20):
            await session.send({"n": n})
            assert await anext(session) == Half(n=n / 2)


async def test_bytes_arrive_as_bytes(client: AsyncClient) -> None:
    async with client.realtime.connect("acme/one") as session:
        frame = {"image": bytes(range(256)) * 400, "tags": ["a", 1, 1.0, True]}
        await session.send(frame)
        assert await anext(session) == frame


async def test_calls_with_one_key_share_a_connection(live: tuple[ServedApp, str], client: AsyncClient) -> None:
    before = len(sessions(live))
    first: list[Any] = []
    second: list[Any] = []
    session = client.realtime.connect("acme/live", connection_key="k", on_result=first.append, throttle_interval=0)
    await session.send({"n": 2})
    await until(lambda: first)
    again = client.realtime.connect("acme/live", connection_key="k", on_result=second.append, throttle_interval=0)
    assert again is session
    await again.send({"n": 4})
    await until(lambda: second)
    await session.close()
    assert (first, second) == ([{"n": 1.0}], [{"n": 2.0}])
    assert len(sessions(live)) == before + 1


async def test_the_throttle_sends_the_last_frame(client: AsyncClient) -> None:
    async with client.realtime.connect("acme/live", throttle_interval=0.1) as session:
        for n in range(200):
            await session.send({"n": n})
        seen = []
        async for result in session:
            seen.append(result["n"])
            if result == {"n": 99.5}:
                break
        assert len(seen) < 10 and session.dropped > 190


async def test_an_error_names_its_message_and_the_session_goes_on(client: AsyncClient) -> None:
    async with client.realtime.connect("acme/live", throttle_interval=0) as session:
        await session.send({"n": 1})
        assert await anext(session) == {"n": 0.5}
        await session.send({"n": "many"})
        with pytest.raises(RealtimeError, match="message 2: n"):
            await anext(session)
        await session.send({"n": 3})
        assert await anext(session) == {"n": 1.5}


async def test_a_session_that_was_idle_is_opened_again_by_the_next_input(client: AsyncClient) -> None:
    async with client.realtime.connect("acme/live/sum", throttle_interval=0) as session:
        await session.send({"n": 3})
        assert [result async for result in session] == [{"n": 3.0}], "the iteration ends as the server closes"
        await session.send({"n": 4})
        assert await anext(session) == {"n": 4.0}, "with a fresh state"


async def test_a_healthy_session_outlives_its_token_and_a_new_one_gets_a_new_token(client: AsyncClient) -> None:
    async with client.realtime.connect("acme/live", token_expiration=1, throttle_interval=0) as session:
        await session.send({"n": 1})
        assert await anext(session) == {"n": 0.5}
        await asyncio.sleep(2.1)  # the token has expired: it was checked at the handshake only
        await session.send({"n": 2})
        assert await anext(session) == {"n": 1.0}
    async with client.realtime.connect("acme/live", token_expiration=1, throttle_interval=0) as session:
        await session.send({"n": 3})
        assert await anext(session) == {"n": 1.5}


async def test_the_place_in_the_line_is_a_notice_and_no_result(client: AsyncClient) -> None:
    notices: list[Any] = []
    first = client.realtime.connect("acme/one", connection_key="first", throttle_interval=0)
    await first.send(1)
    assert await anext(first) == 1
    async with client.realtime.connect("acme/one", on_notice=notices.append, throttle_interval=0) as second:
        await second.send(2)
        await until(lambda: notices)
        assert notices[0]["action"] == "queued"
        await first.close()
        assert await anext(second) == 2


async def test_a_close_is_clean_and_sends_what_waits(live: tuple[ServedApp, str], client: AsyncClient) -> None:
    session = client.realtime.connect("acme/live", throttle_interval=60)
    await session.send({"n": 1})
    assert await anext(session) == {"n": 0.5}
    await session.send({"n": 2})
    await session.close()
    await until(lambda: sessions(live)[0]["state"] == "COMPLETED")
    newest = sessions(live)[0]
    assert (newest["outcome"], newest["error"]) == ("ok", None)
    with pytest.raises(RealtimeError, match="closed"):
        await session.send({"n": 3})


async def test_a_caller_that_does_not_read_gets_everything_later(client: AsyncClient) -> None:
    async with client.realtime.connect("acme/live/flood", throttle_interval=0) as session:
        await session.send({"count": 3000, "size": 2000})
        await asyncio.sleep(0.5)
        seen = [(await anext(session))["i"] for _ in range(3000)]
    assert seen == list(range(3000))


async def test_the_send_buffer_is_bounded(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REALTIME_ATTEMPTS", 1)
    async with AsyncClient(base_url="http://127.0.0.1:9", max_attempts=1) as nowhere:
        session = nowhere.realtime.connect("acme/live", throttle_interval=0, send_buffer=5)
        for n in range(50):
            await session.send({"n": n})
        assert session.dropped == 45
        await session.close()


async def test_a_token_for_another_app_is_refused(live: tuple[ServedApp, str], client: AsyncClient) -> None:
    served, key = live
    wanted = {"allowed_apps": ["acme/one"], "token_expiration": 60}
    token = httpx2.post(f"{served.url}/tokens/", json=wanted, headers={"authorization": f"Key {key}"}).json()
    async with AsyncClient(base_url=served.url, key=token) as stranger:
        async with stranger.realtime("acme/one", use_jwt=False) as connection:
            await connection.send(5)
            assert await connection.recv() == 5
        with pytest.raises(HTTPError) as refused:
            async with stranger.realtime("acme/live", use_jwt=False):
                pass
        assert refused.value.status_code == 404


def test_the_blocking_session(live: tuple[ServedApp, str]) -> None:
    served, key = live
    with SyncClient(base_url=served.url, key=key) as client:
        with client.realtime.connect("acme/live", throttle_interval=0) as session:
            for n in range(10):
                session.send({"n": n})
                assert next(session) == {"n": n / 2}
        results: list[Any] = []
        with client.realtime.connect("acme/live", on_result=results.append, throttle_interval=0) as session:
            session.send({"n": 8})
            end = time.monotonic() + 20
            while not results and time.monotonic() < end:
                time.sleep(0.01)
        assert results == [{"n": 4.0}]


# ---- partial output through the client


class Tick(BaseModel):
    i: int
    attempt: int


async def test_typed_chunks(client: AsyncClient) -> None:
    chunks = client.stream("acme/live/ticks", {"count": 3}, output_type=Tick)
    assert [chunk async for chunk in chunks] == [Tick(i=i, attempt=1) for i in range(3)]


def test_typed_chunks_blocking_and_partial_output_of_subscribe(live: tuple[ServedApp, str]) -> None:
    served, key = live
    with SyncClient(base_url=served.url, key=key) as client:
        chunks = list(client.stream("acme/live/ticks", {"count": 3}, output_type=Tick))
        assert chunks == [Tick(i=i, attempt=1) for i in range(3)]
        partial: list[Any] = []
        last = client.subscribe("acme/live/ticks", {"count": 4, "pause": 0.02}, on_partial=partial.append)
        assert [chunk["i"] for chunk in partial] == [0, 1, 2, 3]
        assert last["i"] == 3


async def test_leaving_a_stream_cancels_it_where_that_was_asked_for(
    live: tuple[ServedApp, str], client: AsyncClient, tmp_path: Any
) -> None:
    mark = tmp_path / "mark"
    body = {"count": 10_000, "pause": 0.01, "mark": str(mark)}
    async with client.stream("acme/live/ticks", body, on_disconnect="cancel") as chunks:
        assert (await anext(chunks))["i"] == 0
    await until(mark.exists)
