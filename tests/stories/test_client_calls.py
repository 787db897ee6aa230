"""A caller uses our client against a real server: as in fal's documentation, and what goes beyond it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import pondage.client as fal_client
from pondage.client import AsyncClient, Completed, InProgress, SyncClient
from pondage.testing import ServedApp

from ..apps.gates import Gate

pytestmark = pytest.mark.anyio


class Output(BaseModel):
    y: int


class Chunk(BaseModel):
    i: int
    text: str = ""


@pytest.fixture
def client(echo: ServedApp) -> Iterator[SyncClient]:
    with SyncClient(base_url=echo.url) as client:
        yield client


@pytest.fixture
async def aclient(echo: ServedApp) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=echo.url) as client:
        yield client


def test_run(client: SyncClient) -> None:
    assert client.run("acme/echo", {"x": 1}) == {"y": 2}


async def test_run_async(aclient: AsyncClient) -> None:
    assert await aclient.run("acme/echo", input={"x": 2}, output_type=Output) == Output(y=3)


def test_subscribe_with_logs_and_progress(client: SyncClient, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    seen: list[Any] = []
    ids: list[str] = []
    told: list[int] = []

    def update(status: Any) -> None:
        seen.append(status)
        if isinstance(status, InProgress) and status.progress and status.progress.step not in told:
            told.append(status.progress.step)
            gate.open()

    output = client.subscribe(
        "acme/echo/gated",
        {"gate": str(gate), "steps": 3},
        with_logs=True,
        on_enqueue=ids.append,
        on_queue_update=update,
    )
    assert output == {"steps": 3} and len(ids) == 1
    assert isinstance(seen[-1], Completed)
    assert [entry["message"] for entry in seen[-1].logs or []] == ["step 0", "step 1", "step 2"]
    assert [entry["message"] for status in seen for entry in getattr(status, "new_logs", [])] == [
        "step 0",
        "step 1",
        "step 2",
    ]
    progress = [status.progress.step for status in seen if isinstance(status, InProgress) and status.progress]
    assert progress == sorted(progress) and told == [1, 2, 3]


async def test_the_grouped_form(aclient: AsyncClient) -> None:
    handle = await aclient.queue.submit("acme/echo/logs", {"lines": 2})
    assert await aclient.queue.response("acme/echo/logs", of=handle.request_id) == {"lines": 2}
    status = await aclient.queue.status("acme/echo/logs", of=handle.request_id, include_logs=True)
    assert isinstance(status, Completed) and status.logs and status.logs[0]["message"].startswith("line 0")
    assert status.metrics["inference_time"] >= 0
    states = [type(state) async for state in aclient.queue.stream_status("acme/echo/logs", handle.request_id)]
    assert states[-1] is Completed


OTHER_PROCESS = """
import sys, pondage.client as fal_client
print(fal_client.result("acme/echo", sys.argv[1]))
"""


def test_another_process_fetches_the_result(echo: ServedApp, client: SyncClient) -> None:
    handle = client.submit("acme/echo/slow", {"seconds": 0.5})
    environment = {"PONDAGE_URL": echo.url, "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, handle.request_id], env=environment, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("{'seconds': 0.5}", "")
    assert client.get_handle("acme/echo", handle.request_id).get() == {"seconds": 0.5}


def test_fifty_at_once_with_one_key_are_one_request(client: SyncClient) -> None:
    ids: list[str] = []

    def submit() -> None:
        ids.append(client.submit("acme/echo", {"x": 7}, idempotency_key="fifty").request_id)

    threads = [threading.Thread(target=submit) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 50 and len(set(ids)) == 1
    with pytest.raises(fal_client.InvalidInput):
        client.submit("acme/echo", {"x": 8}, idempotency_key="fifty")


def test_errors_by_kind(client: SyncClient) -> None:
    with pytest.raises(fal_client.NotFound, match="acme/echo"):
        client.run("acme/ech", {})
    with pytest.raises(fal_client.InvalidInput) as wrong:
        client.run("acme/echo", {"x": "three"})
    assert [field.path for field in wrong.value.fields] == ["x"]
    with pytest.raises(fal_client.HTTPError, match="a teapot") as teapot:
        client.subscribe("acme/echo/raise_http", {})
    assert teapot.value.status_code == 418 and teapot.value.request_id
    with pytest.raises(fal_client.ServerError):
        client.run("acme/echo/fail", {})
    with pytest.raises(fal_client.NotFound):
        client.result("acme/echo", "00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize("way", ["run", "subscribe"])
def test_a_time_limit_cancels_on_the_server(client: SyncClient, way: str) -> None:
    client.run("acme/echo", {"x": 1})
    with pytest.raises(fal_client.TimeoutError) as caught:
        if way == "run":
            client.run("acme/echo/slow", {"seconds": 30}, timeout=0.5)
        else:
            client.subscribe("acme/echo/slow", {"seconds": 30}, client_timeout=0.5)
    assert caught.value.request_id
    with pytest.raises(fal_client.Cancelled):
        client.result("acme/echo", caught.value.request_id)


async def test_cancel(aclient: AsyncClient) -> None:
    handle = await aclient.submit("acme/echo/slow", {"seconds": 30})
    await handle.cancel()
    with pytest.raises(fal_client.Cancelled):
        await handle.get()
    await handle.cancel()


def test_a_stream(client: SyncClient) -> None:
    chunks = client.stream("acme/echo", {"count": 20}, output_type=Chunk)
    assert [chunk.i for chunk in chunks] == list(range(20))
    again = client.streaming.follow("acme/echo", chunks.request_id or "", last_event_id="1-15")
    assert [chunk["i"] for chunk in again] == [15, 16, 17, 18, 19]


async def test_a_stream_that_fails(aclient: AsyncClient) -> None:
    chunks = aclient.stream("acme/echo", {"count": 5, "fail_at": 2})
    seen = []
    with pytest.raises(fal_client.ServerError, match="Internal Server Error"):
        async for chunk in chunks:
            seen.append(chunk["i"])
    assert seen == [0, 1]


def test_subscribe_sees_partial_output(client: SyncClient) -> None:
    seen: list[Any] = []
    client.subscribe("acme/echo/generate", {"count": 5}, on_partial=seen.append)
    assert seen == [{"i": i, "text": "é"} for i in range(5)]


async def test_leaving_a_stream_cancels_where_that_is_asked_for(aclient: AsyncClient) -> None:
    chunks = aclient.stream("acme/echo", {"count": 10_000, "pause": 0.05}, on_disconnect="cancel")
    assert (await anext(chunks))["i"] == 0
    request_id = chunks.request_id or ""
    await chunks.aclose()
    with pytest.raises(fal_client.Cancelled):
        await aclient.result("acme/echo", request_id)


def test_realtime(client: SyncClient) -> None:
    with client.realtime("acme/echo") as connection:
        connection.send({"x": 1})
        assert connection.recv() == {"y": 2}
        connection.send({"x": "three"})
        with pytest.raises(fal_client.RealtimeError):
            connection.recv()


async def test_a_realtime_session(aclient: AsyncClient) -> None:
    async with aclient.realtime.connect("acme/echo", throttle_interval=0, output_type=Output) as session:
        for x in range(5):
            await session.send({"x": x})
            assert await anext(session) == Output(y=x + 1)
        await session.send({"x": 1, "pad": "fail"})
        with pytest.raises(fal_client.RealtimeError, match="told to fail"):
            await anext(session)
