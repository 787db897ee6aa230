"""Sessions: one connection, or one that is kept up."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

import pondage.client as fal_client
from pondage.client import AsyncClient, SyncClient, limits

pytestmark = pytest.mark.anyio


class Live:
    """The realtime side of a server: answers each input with itself."""

    def __init__(self, server: Any) -> None:
        self.opened: list[WebSocket] = []
        self.inputs: list[Any] = []
        self.tokens = 0
        self.cut_after = 0
        self.end = (1011, "gone")
        self.refuse = 0
        self.refusal = 403
        server.socket = self.socket
        server.handlers["POST /rest/tokens/"] = self.token

    async def token(self, request: Request, body: bytes) -> Response:
        self.asked = json.loads(body)
        self.tokens += 1
        return JSONResponse(f"token-{self.tokens}")

    async def socket(self, socket: WebSocket) -> None:
        self.opened.append(socket)
        if self.refuse:
            self.refuse -= 1
            await socket.send_denial_response(JSONResponse({"detail": "not now"}, self.refusal))
            return
        await socket.accept()
        await socket.send_text('{"type":"x-fal-message","action":"queued","position":0}')
        try:
            while True:
                value = msgspec.msgpack.decode(await socket.receive_bytes())
                self.inputs.append(value)
                if value == {"bad": True}:
                    await socket.send_text('{"type":"x-fal-error","error":"INVALID","reason":"bad is bad"}')
                elif value == {"done": True}:
                    await socket.send_text('{"type":"x-fal-error","error":"TIMEOUT","reason":"idle"}')
                    await socket.close(1000)
                    return
                else:
                    await socket.send_bytes(msgspec.msgpack.encode(value))
                if self.cut_after and len(self.inputs) == self.cut_after:
                    await socket.close(*self.end)
                    return
        except WebSocketDisconnect:
            return


@pytest.fixture
def live(server: Any) -> Live:
    return Live(server)


def test_one_connection(client: SyncClient, live: Live) -> None:
    with client.realtime("acme/live", max_buffering=5) as connection:
        connection.send({"image": b"\x00\xff"})
        assert connection.recv() == {"image": b"\x00\xff"}
        connection.send({"bad": True})
        with pytest.raises(fal_client.RealtimeError, match="INVALID: bad is bad"):
            connection.recv()
    socket = live.opened[0]
    assert socket.url.path == "/acme/live/realtime" and socket.url.query == "max_buffering=5"
    assert socket.headers["authorization"] == "Bearer token-1"
    assert live.asked == {"allowed_apps": ["acme/live"], "token_expiration": 120}
    assert "sec-websocket-extensions" not in socket.headers


async def test_one_async_connection_with_the_key(aclient: AsyncClient, live: Live) -> None:
    async with aclient.realtime("acme/live/realtime", use_jwt=False) as connection:
        await connection.send({"done": True})
        with pytest.raises(fal_client.RealtimeError, match="TIMEOUT"):
            await connection.recv()
        assert await connection.recv() is None
    assert live.opened[0].headers["authorization"] == "Key id:secret" and live.tokens == 0
    assert live.opened[0].url.path == "/acme/live/realtime"


def test_the_bare_socket(client: SyncClient, live: Live) -> None:
    with client.ws_connect("acme/live", path="/ws") as socket:
        assert json.loads(socket.recv()) == {"type": "x-fal-message", "action": "queued", "position": 0}
    assert live.opened[0].url.path == "/acme/live/ws"


def test_a_refused_handshake(client: SyncClient, live: Live) -> None:
    live.refuse = 1
    with pytest.raises(fal_client.Forbidden):
        with client.realtime("acme/live"):
            pass


async def test_an_iterated_session(aclient: AsyncClient, live: Live) -> None:
    async with aclient.realtime.connect("acme/live", throttle_interval=0) as session:
        for n in range(5):
            await session.send({"n": n})
        seen = []
        async for result in session:
            seen.append(result["n"])
            if len(seen) == 5:
                break
        assert seen == [0, 1, 2, 3, 4]
        await session.send({"bad": True})
        with pytest.raises(fal_client.RealtimeError):
            await anext(session)
        await session.send({"n": 9})
        assert await anext(session) == {"n": 9}
    assert len(live.opened) == 1
    with pytest.raises(fal_client.RealtimeError, match="closed"):
        await session.send({})


def test_a_session_with_callbacks(client: SyncClient, live: Live) -> None:
    results: list[Any] = []
    notices: list[Any] = []
    errors: list[Any] = []
    done = threading.Event()

    def on_result(result: Any) -> None:
        results.append(result)
        done.set()

    session = client.realtime.connect(
        "acme/live", on_result=on_result, on_error=errors.append, on_notice=notices.append, throttle_interval=0
    )
    session.send({"bad": True})
    session.send({"n": 1})
    assert done.wait(10)
    session.close()
    assert results == [{"n": 1}] and errors[0].error == "INVALID" and notices[0]["action"] == "queued"


async def test_the_throttle_sends_the_first_and_the_last(aclient: AsyncClient, live: Live) -> None:
    async with aclient.realtime.connect("acme/live", throttle_interval=0.2) as session:
        await session.send({"n": 0})
        assert await anext(session) == {"n": 0}
        for n in range(1, 20):
            await session.send({"n": n})
        assert await anext(session) == {"n": 19}
        assert session.dropped == 18
    assert live.inputs == [{"n": 0}, {"n": 19}]


async def test_what_waits_is_sent_at_the_close(aclient: AsyncClient, live: Live) -> None:
    session = aclient.realtime.connect("acme/live", throttle_interval=60)
    await session.send({"n": 0})
    await anext(session)
    await session.send({"n": 1})
    await session.close()
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while len(live.inputs) < 2:
            await asyncio.sleep(0.01)
    assert live.inputs[-1] == {"n": 1}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKOFF", 0.01)


async def test_a_broken_session_is_opened_again(aclient: AsyncClient, live: Live, quick: None) -> None:
    live.cut_after = 1
    async with aclient.realtime.connect("acme/live", throttle_interval=0) as session:
        await session.send({"n": 0})
        assert await anext(session) == {"n": 0}
        async with asyncio.timeout(10):
            while len(live.opened) < 2:
                await asyncio.sleep(0.01)
        await session.send({"n": 1})
        assert await anext(session) == {"n": 1}
    assert live.tokens == 1  # still fresh


async def test_a_session_that_was_cancelled_is_not_opened_again_by_itself(
    aclient: AsyncClient, live: Live, quick: None
) -> None:
    live.end = (1001, "client_cancelled")
    live.cut_after = 1
    async with aclient.realtime.connect("acme/live", throttle_interval=0) as session:
        await session.send({"n": 0})
        assert await anext(session) == {"n": 0}
        with pytest.raises(fal_client.RealtimeError, match="client_cancelled"):
            await anext(session)
        assert len(live.opened) == 1
        await session.send({"n": 1})
        assert await anext(session) == {"n": 1}
    assert len(live.opened) == 2


async def test_a_notice_whose_callback_fails_and_a_message_that_cannot_be_decoded_end_nothing(
    aclient: AsyncClient, live: Live
) -> None:
    def fails(anything: Any) -> Any:
        raise KeyError("of the caller's own")

    async with aclient.realtime.connect(
        "acme/live", on_notice=fails, decode_message=fails, throttle_interval=0
    ) as session:
        for n in range(2):
            await session.send({"n": n})
            with pytest.raises(fal_client.OutputMismatch, match="decode_message"):
                await anext(session)
    assert len(live.opened) == 1


async def test_a_server_that_closes_in_good_order_ends_the_iteration(aclient: AsyncClient, live: Live) -> None:
    async with aclient.realtime.connect("acme/live", throttle_interval=0) as session:
        await session.send({"done": True})
        assert [result async for result in session] == []
        await session.send({"n": 1})
        assert await anext(session) == {"n": 1}
    assert len(live.opened) == 2


async def test_a_refusal_is_final(aclient: AsyncClient, live: Live) -> None:
    live.refuse = 1
    async with aclient.realtime.connect("acme/live") as session:
        await session.send({"n": 1})
        with pytest.raises(fal_client.Forbidden):
            await anext(session)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_is_busy_or_starting_is_asked_again(
    aclient: AsyncClient, live: Live, quick: None, status: int
) -> None:
    live.refuse, live.refusal = 3, status
    async with aclient.realtime.connect("acme/live") as session:
        await session.send({"n": 1})
        assert await anext(session) == {"n": 1}
    assert len(live.opened) == 4 and live.tokens == 1


async def test_a_token_that_is_not_taken_any_more_is_renewed_once(
    aclient: AsyncClient, live: Live, quick: None
) -> None:
    live.refuse, live.refusal = 1, 401
    async with aclient.realtime.connect("acme/live") as session:
        await session.send({"n": 1})
        assert await anext(session) == {"n": 1}
        assert live.tokens == 2
    live.refuse = 5
    async with aclient.realtime.connect("acme/live") as session:
        await session.send({"n": 1})
        with pytest.raises(fal_client.Unauthorized):
            await anext(session)
    assert live.refuse == 3


async def test_connections_are_shared_by_key(aclient: AsyncClient, live: Live) -> None:
    first: list[Any] = []
    second = asyncio.Queue[Any]()
    one = aclient.realtime.connect("acme/live", connection_key="k", on_result=first.append)
    two = aclient.realtime.connect("acme/live", connection_key="k", on_result=second.put)
    assert one is two
    await one.send({"n": 1})
    assert await second.get() == {"n": 1} and first == []
    await two.close()
    again = aclient.realtime.connect("acme/live", connection_key="k", on_result=second.put)
    assert again is not one
    await again.close()


async def test_close_inside_a_callback(aclient: AsyncClient, live: Live) -> None:
    ended = asyncio.Event()

    async def on_result(result: Any) -> None:
        await session.close()
        ended.set()

    session = aclient.realtime.connect("acme/live", on_result=on_result)
    await session.send({"n": 1})
    async with asyncio.timeout(10):
        await ended.wait()
    await session.close()


def test_max_buffering_has_bounds(client: SyncClient) -> None:
    with pytest.raises(ValueError, match="from 1 to 60"):
        client.realtime.connect("acme/live", max_buffering=61)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("blocking", [True, False])
async def test_a_session_closes_while_its_handshake_hangs(
    server: Any, aclient: AsyncClient, client: SyncClient, monkeypatch: pytest.MonkeyPatch, waits: bool, blocking: bool
) -> None:
    """It may hang until a runner has started. What waits to be sent gets a moment; nothing else does."""
    monkeypatch.setattr(limits, "REALTIME_CLOSE_TIMEOUT", 0.2 if waits else 60.0)
    began, over = threading.Event(), threading.Event()

    async def hanging(socket: WebSocket) -> None:
        began.set()
        await asyncio.to_thread(over.wait, 60)
        await socket.accept()

    live = Live(server)
    server.socket = hanging
    try:
        if blocking:
            await asyncio.to_thread(_closes, client.realtime.connect("acme/echo"), began, waits)
        else:
            session = aclient.realtime.connect("acme/echo")
            reading = None if waits else asyncio.ensure_future(anext(session, None))
            if waits:
                await session.send({"x": 1})
            await asyncio.to_thread(began.wait, 30)
            async with asyncio.timeout(20):
                await session.close()
                if reading is not None:
                    assert await reading is None
    finally:
        over.set()
    assert not live.inputs


def _closes(session: Any, began: threading.Event, waits: bool) -> None:
    ended = threading.Event()

    def read() -> None:
        assert next(session, None) is None
        ended.set()

    if waits:
        session.send({"x": 1})
    else:
        threading.Thread(target=read, daemon=True).start()
    assert began.wait(30)
    closing = threading.Thread(target=session.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    assert waits or ended.wait(20)
