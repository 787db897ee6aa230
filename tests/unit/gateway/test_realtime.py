"""How a caller's socket and a channel are joined."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pondage.gateway import realtime
from pondage.gateway.budget import Budget
from pondage.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Socket:
    """A caller's, which is full at first."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.writable = False
        self.room: Any = None

    def put(self, data: bytes, text: bool) -> bool:
        self.sent.append(data)
        return self.writable

    def carry(self, take: Any, room: Any) -> None:
        self.room = room

    def resume(self) -> None: ...

    async def until_end(self, receive: Any) -> Any:
        return await receive()

    def resume_writing(self) -> None:
        self.writable = True
        if self.room is not None:
            self.room()


class Channel:
    """Two results wait in it. The runner's connection is full, and has room again when the caller's socket has."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._results = [b"1", b"2"]
        self._put: Any = None

    def connect(self, put: Any, ended: Any) -> None:
        self._put = put
        self.go_on()

    def go_on(self) -> None:
        while self._results and self._put(self._results.pop(0), False):
            pass

    def send(self, data: bytes, text: bool) -> bool:
        return False

    async def drained(self) -> None:
        if not self._socket.writable:
            self._socket.resume_writing()

    async def close(self, code: int, reason: str) -> None: ...


async def test_results_go_on_after_the_socket_had_room_while_messages_were_held() -> None:
    socket: Any = Socket()

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.disconnect", "code": 1000}

    settings = SimpleNamespace(session_max_message=100, session_buffer=10, session_buffer_bytes=1000)
    rooms = SimpleNamespace(settings=settings)
    budget = Budget(Settings())
    call: Any = SimpleNamespace(rooms=rooms, receive=receive, budget=budget, budget_key="k")
    request: Any = SimpleNamespace(input=b"{}")
    channel: Any = Channel(socket)
    held = realtime._EarlyMessages(call, request)
    held.add({"type": "websocket.receive", "bytes": b"early"})
    await realtime._carry(call, socket, channel, held)
    assert socket.sent == [b"1", b"2"]
    assert budget.held == 0
