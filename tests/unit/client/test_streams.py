"""Partial output: typed, resumed where it broke, ended honestly."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

import pondage.client as fal_client
from pondage.client import AsyncClient, SyncClient
from pondage.client.blocking import flow

pytestmark = pytest.mark.anyio

REACHED = 2.0
"""Seconds of a limit that ends a stream in its middle: enough to get there also where the machine does much else."""

BLOCKS = [b'id: 1-%d\ndata: {"n":%d}\n\n' % (n, n) for n in range(1, 6)]
ERROR = b'event: error\ndata: {"type":"error","status":422,"detail":"no","error_type":null}\n\n'


def stream(blocks: Any) -> Response:
    return StreamingResponse(blocks, media_type="text/event-stream", headers={"x-fal-request-id": "r1"})


async def broken(blocks: list[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block
    await asyncio.sleep(0.01)
    raise ConnectionAbortedError


class Chunk(msgspec.Struct):
    n: int


def test_chunks_are_typed(server: Any, client: SyncClient) -> None:
    async def chunks(request: Request, body: bytes) -> Response:
        return stream(iter([b": hello\n\n", *BLOCKS]))

    server.handlers["POST /acme/gen/stream"] = chunks
    coming = client.stream("acme/gen", {"a": 1}, output_type=Chunk, on_disconnect="cancel")
    assert list(coming) == [Chunk(n) for n in range(1, 6)]
    assert (coming.request_id, coming.last_event_id) == ("r1", "1-5")
    assert server.seen[0].json == {"a": 1} and server.seen[0].headers["pondage-on-disconnect"] == "cancel"
    with client.stream("acme/gen/stream", {}) as again:
        assert next(again) == {"n": 1}


@pytest.mark.parametrize("cut", [1, 3])
async def test_a_broken_stream_goes_on(server: Any, aclient: AsyncClient, cut: int) -> None:
    async def first(request: Request, body: bytes) -> Response:
        return stream(broken([*BLOCKS[:cut], BLOCKS[cut][:9]]))

    async def rest(request: Request, body: bytes) -> Response:
        begin = int(request.headers["last-event-id"].partition("-")[2])
        return stream(iter(BLOCKS[begin:]))

    server.handlers["POST /acme/gen/stream"] = first
    server.handlers["GET /queue/acme/gen/requests/r1/stream"] = rest
    seen = [chunk["n"] async for chunk in aclient.stream("acme/gen", {}, on_disconnect="cancel")]
    assert seen == [1, 2, 3, 4, 5]
    assert [call.headers["pondage-on-disconnect"] for call in server.seen] == ["cancel"] * len(server.seen)


def test_a_stream_that_broke_before_its_first_chunk_begins_again_with_the_same_key(
    server: Any, client: SyncClient
) -> None:
    tries = iter([503, 200])

    async def first(request: Request, body: bytes) -> Response:
        return stream(iter(BLOCKS)) if next(tries) == 200 else JSONResponse({"detail": "soon"}, 503)

    server.handlers["POST /acme/gen/stream"] = first
    assert len(list(client.stream("acme/gen", {}))) == 5
    assert len({seen.headers["idempotency-key"] for seen in server.seen}) == 1


async def test_the_last_event_is_the_error(server: Any, aclient: AsyncClient) -> None:
    async def chunks(request: Request, body: bytes) -> Response:
        return stream(iter([BLOCKS[0], ERROR]))

    server.handlers["POST /acme/gen/stream"] = chunks
    coming = aclient.stream("acme/gen", {})
    assert await anext(coming) == {"n": 1}
    with pytest.raises(fal_client.InvalidInput, match="no") as caught:
        await anext(coming)
    assert caught.value.request_id == "r1"


def test_errors_before_the_stream(server: Any, client: SyncClient) -> None:
    with pytest.raises(fal_client.OutputMismatch, match="application/json"):
        next(client.stream("acme/echo", {}))

    async def unknown(request: Request, body: bytes) -> Response:
        return JSONResponse({"detail": "no such app"}, 404)

    server.handlers["POST /acme/gen/stream"] = unknown
    with pytest.raises(fal_client.NotFound):
        next(client.stream("acme/gen", {}))


def test_a_time_limit_cancels(server: Any, client: SyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b": hello\n\n"
        await asyncio.sleep(5)
        yield b": still here\n\n"
        await asyncio.sleep(60)

    async def chunks(request: Request, body: bytes) -> Response:
        return stream(endless())

    cancelled: list[str] = []

    async def cancel(request: Request, body: bytes) -> Response:
        cancelled.append(request.url.path)
        return JSONResponse({}, 202)

    server.handlers["POST /acme/gen/stream"] = chunks
    server.handlers["PUT /queue/acme/gen/requests/r1/cancel"] = cancel
    with pytest.raises(fal_client.TimeoutError):
        list(client.stream("acme/gen", {}, timeout=REACHED))
    assert cancelled == ["/queue/acme/gen/requests/r1/cancel"]


@pytest.mark.parametrize("way", ["stream", "subscribe"])
async def test_a_time_limit_cuts_a_stream_that_says_nothing(server: Any, aclient: AsyncClient, way: str) -> None:
    """Comments come more often than reads run out of time, but here not within any time that matters."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def silent() -> AsyncIterator[bytes]:
        yield b": hello\n\n"
        try:
            await asyncio.sleep(60)
        finally:
            loop.call_soon_threadsafe(over.set)

    async def chunks(request: Request, body: bytes) -> Response:
        return stream(silent())

    server.auto = False
    server.handlers["POST /acme/gen/stream"] = chunks
    server.handlers["GET /queue/acme/echo/requests/00000000-0/status/stream"] = chunks
    with pytest.raises(fal_client.TimeoutError):
        if way == "stream":
            [chunk async for chunk in aclient.stream("acme/gen", {}, timeout=REACHED)]
        else:
            await aclient.subscribe("acme/echo", {}, client_timeout=REACHED, on_queue_update=lambda status: None)
    async with asyncio.timeout(10):
        await over.wait()


async def test_subscribe_sees_partial_output(server: Any, aclient: AsyncClient) -> None:
    async def chunks(request: Request, body: bytes) -> Response:
        return stream(iter(BLOCKS))

    server.handlers["GET /queue/acme/echo/requests/00000000-0/stream"] = chunks
    seen: list[Any] = []
    states: list[Any] = []
    await aclient.subscribe("acme/echo", {}, on_partial=seen.append, on_queue_update=states.append)
    assert [chunk["n"] for chunk in seen] == [1, 2, 3, 4, 5] and len(states) == 4


def test_another_process_goes_on(server: Any, client: SyncClient) -> None:
    async def rest(request: Request, body: bytes) -> Response:
        return stream(iter(BLOCKS[3:]))

    server.handlers["GET /queue/acme/gen/requests/r1/stream"] = rest
    assert [c["n"] for c in client.streaming.follow("acme/gen", "r1", last_event_id="1-3")] == [4, 5]
    assert server.seen[0].headers["last-event-id"] == "1-3"


async def test_a_stream_that_is_left_between_two_connections_is_cancelled_all_the_same(
    server: Any, aclient: AsyncClient
) -> None:
    """The server need not have seen that the first one broke."""
    again, over = threading.Event(), threading.Event()

    async def first(request: Request, body: bytes) -> Response:
        return stream(broken([*BLOCKS[:2]]))

    async def hanging(request: Request, body: bytes) -> Response:
        again.set()
        await asyncio.to_thread(over.wait, 30)
        return stream(iter(BLOCKS))

    cancelled: list[str] = []

    async def cancel(request: Request, body: bytes) -> Response:
        cancelled.append(request.url.path)
        return JSONResponse({}, 202)

    server.handlers["POST /acme/gen/stream"] = first
    server.handlers["GET /queue/acme/gen/requests/r1/stream"] = hanging
    server.handlers["PUT /queue/acme/gen/requests/r1/cancel"] = cancel
    for on_disconnect, told in (("cancel", 1), ("keep", 0)):
        again.clear()
        cancelled.clear()

        async def read(on_disconnect: Any = on_disconnect) -> None:
            async for _ in aclient.stream("acme/gen", {}, on_disconnect=on_disconnect):
                pass

        reading = asyncio.create_task(read())
        await asyncio.to_thread(again.wait, 30)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert len(cancelled) == told, on_disconnect
    over.set()


def test_a_blocking_stream_that_is_left_between_two_connections_is_cancelled(
    server: Any, client: SyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first(request: Request, body: bytes) -> Response:
        return stream(broken([*BLOCKS[:2]]))

    cancelled: list[str] = []

    async def cancel(request: Request, body: bytes) -> Response:
        cancelled.append(request.url.path)
        return JSONResponse({}, 202)

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    server.handlers["POST /acme/gen/stream"] = first
    server.handlers["PUT /queue/acme/gen/requests/r1/cancel"] = cancel
    monkeypatch.setattr(flow, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(client.stream("acme/gen", {}, on_disconnect="cancel"))
    assert cancelled == ["/queue/acme/gen/requests/r1/cancel"]


@pytest.mark.parametrize("met", [True, False])
@pytest.mark.parametrize("way", ["stream", "run"])
def test_a_time_limit_before_the_first_answer_cancels_too(server: Any, client: SyncClient, met: bool, way: str) -> None:
    """No answer has named the request, but its key does."""
    over = threading.Event()

    async def hanging(request: Request, body: bytes) -> Response:
        server.submit(request, body)
        await asyncio.to_thread(over.wait, 30)
        return stream(iter(BLOCKS))

    server.auto = False
    server.handlers["POST /acme/echo/stream"] = server.handlers["POST /acme/echo/slow"] = hanging
    if met:
        client.run("acme/echo", {})
    with pytest.raises(fal_client.TimeoutError) as caught:
        if way == "stream":
            list(client.stream("acme/echo", {"a": 1}, timeout=0.3))
        else:
            client.run("acme/echo/slow", {"a": 1}, timeout=0.3)
    over.set()
    (request_id,) = server.requests
    assert caught.value.request_id == request_id and server.requests[request_id]["cancelled"]


def test_a_server_that_is_not_ours_gets_no_second_request_by_a_time_limit(server: Any, client: SyncClient) -> None:
    over = threading.Event()

    async def hanging(request: Request, body: bytes) -> Response:
        await asyncio.to_thread(over.wait, 30)
        return stream(iter(BLOCKS))

    server.pondage = False
    server.handlers["POST /acme/echo/stream"] = hanging
    with pytest.raises(fal_client.TimeoutError):
        list(client.stream("acme/echo", {"a": 1}, timeout=0.3))
    over.set()
    assert [call for call in server.paths() if call.startswith("POST")] == ["POST /acme/echo/stream"]
