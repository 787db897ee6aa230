"""A server that speaks the protocol from memory, on loopback, in a thread: enough to see what the client sends."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from pondage.client import AsyncClient, SyncClient

Handler = Callable[[Request, bytes], Awaitable[Response]]
MARK = {"pondage-version": "0.1.0"}


class Seen:
    """A call that came in."""

    def __init__(self, request: Request, body: bytes) -> None:
        self.method = request.method
        self.path = request.url.path
        self.query = dict(request.query_params)
        self.headers = dict(request.headers)
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class FakeServer:
    """`handlers` maps `METHOD path` (exact, or a prefix ending in `*`) to what answers; `seen` is what came in.

    The queue of `acme/echo` is built in: a request is done when `finish(id)` is called, or at once if `auto` is set.
    """

    def __init__(self) -> None:
        self.reset()
        app = Starlette(
            routes=[
                Route("/{path:path}", self.answer, methods=["GET", "POST", "PUT", "DELETE"]),
                WebSocketRoute("/{path:path}", self.answer_socket),
            ]
        )
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", ws="websockets-sansio",
            ws_per_message_deflate=False,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.url = ""

    def reset(self) -> None:
        self.seen: list[Seen] = []
        self.handlers: dict[str, Handler] = {}
        self.socket: Callable[[WebSocket], Awaitable[None]] | None = None
        self.requests: dict[str, dict[str, Any]] = {}
        self.auto = True
        self.pondage = True

    def start(self) -> None:
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive()
            threading.Event().wait(0.005)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join(10)

    def paths(self) -> list[str]:
        return [f"{seen.method} {seen.path}" for seen in self.seen]

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.seen.append(Seen(request, body))
        here = f"{request.method} {request.url.path}"
        handler = self.handlers.get(here) or next(
            (h for key, h in self.handlers.items() if key.endswith("*") and here.startswith(key[:-1])), self.queue
        )
        response = await handler(request, body)
        if self.pondage:
            response.headers.update(MARK)
        return response

    async def answer_socket(self, socket: WebSocket) -> None:
        assert self.socket is not None
        await self.socket(socket)

    async def queue(self, request: Request, body: bytes) -> Response:
        path = request.url.path
        if request.method == "POST" and path.startswith("/queue/"):
            return self.submit(request, body)
        if request.method == "POST":
            return JSONResponse({"echo": json.loads(body or b"{}"), "headers": dict(request.headers)})
        request_id, _, verb = path.partition("/requests/")[2].partition("/")
        state = self.requests.get(request_id)
        if state is None:
            return JSONResponse({"detail": "unknown request", "status": "NOT_FOUND"}, 404)
        if verb == "cancel":
            state.update(done=True, code=499, output={"detail": "cancelled"}, cancelled=True)
            return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)
        if verb == "status":
            return JSONResponse(self.status(request_id), 200 if state["done"] else 202)
        if verb == "status/stream":
            return StreamingResponse(self.statuses(request_id), media_type="text/event-stream")
        wait = float((request.headers.get("prefer") or "wait=0").removeprefix("wait="))
        for _ in range(int(wait / 0.01)):
            if state["done"]:
                break
            await asyncio.sleep(0.01)
        if not state["done"]:
            return JSONResponse({"detail": "Request is still in progress"}, 400)
        return JSONResponse(state["output"], state["code"])

    def submit(self, request: Request, body: bytes) -> Response:
        key = request.headers.get("idempotency-key", "")
        known = [i for i, state in self.requests.items() if key and state["key"] == key]
        request_id = known[0] if known else f"00000000-{len(self.requests)}"
        base = str(request.base_url) + f"queue/acme/echo/requests/{request_id}"
        output = {"echo": json.loads(body or b"{}"), "headers": dict(request.headers)}
        if not known:
            self.requests[request_id] = {
                "key": key, "done": self.auto, "code": 200, "output": output, "logs": [], "cancelled": False,
            }  # fmt: skip
        return JSONResponse(
            {
                "status": "IN_QUEUE", "request_id": request_id, "queue_position": 0, "logs": None, "metrics": {},
                "response_url": base, "status_url": base + "/status", "cancel_url": base + "/cancel",
            }
        )  # fmt: skip

    def status(self, request_id: str) -> dict[str, Any]:
        state = self.requests[request_id]
        word = "COMPLETED" if state["done"] else "IN_PROGRESS"
        return {"status": word, "request_id": request_id, "logs": state["logs"], "metrics": {"inference_time": 0.5}}

    async def statuses(self, request_id: str) -> AsyncIterator[bytes]:
        queued = {"status": "IN_QUEUE", "request_id": request_id, "queue_position": 2}
        yield b": keep-alive\n\nid: 1\ndata: " + json.dumps(queued).encode() + b"\n\n"
        running: dict[str, Any] = {"status": "IN_PROGRESS", "request_id": request_id, "logs": [{"message": "one"}]}
        running["progress"] = {"step": 1, "total": 4, "message": "denoise"}
        yield b"id: 2\ndata: " + json.dumps(running).encode() + b"\n\n"
        running["logs"] = [{"message": "two"}]
        yield b"id: 3\ndata: " + json.dumps(running).encode() + b"\n\n"
        while not self.requests[request_id]["done"]:
            await asyncio.sleep(0.01)
        done = {"status": "COMPLETED", "request_id": request_id, "logs": [], "metrics": {"inference_time": 0.5}}
        yield b"id: 4\ndata: " + json.dumps(done).encode() + b"\n\n"


@pytest.fixture(scope="session")
def running() -> Iterator[FakeServer]:
    fake = FakeServer()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def server(running: FakeServer) -> FakeServer:
    running.reset()
    return running


@pytest.fixture
def client(server: FakeServer) -> Iterator[SyncClient]:
    with SyncClient(key="id:secret", base_url=server.url) as client:
        yield client


@pytest.fixture
async def aclient(server: FakeServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(key="id:secret", base_url=server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PONDAGE_URL", "PONDAGE_KEY", "FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
