"""A message in pieces takes no more memory than its bytes, and what comes behind a close frame is no message."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, State

from pondage.gateway.connections.sockets import CallerSocket


class Socket(CallerSocket):
    """Without a connection: what it hands on is kept."""

    def __init__(self) -> None:
        self.frames = []
        self.got: list[Any] = []

    def send_receive_event_to_app(self) -> None:
        (whole,) = self.frames
        self.got.append(whole)


def test_pieces_lie_in_one_buffer() -> None:
    socket = Socket()
    for _ in range(2):
        socket.handle_text(Frame(Opcode.TEXT, b"[", fin=False))
        for _ in range(1000):
            socket.handle_cont(Frame(Opcode.CONT, b"", fin=False))
            socket.handle_cont(Frame(Opcode.CONT, b" ", fin=False))
            assert len(socket.frames) == 1
        socket.handle_cont(Frame(Opcode.CONT, b"]", fin=True))
    assert socket.got == [b"[" + b" " * 1000 + b"]"] * 2
    assert all(type(whole) is bytes for whole in socket.got)


class Transport(asyncio.Transport):
    """Takes everything, and goes on giving what had come before it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.aborted = False
        self.left = 0
        self.written = b""
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.left

    def abort(self) -> None:
        self.aborted = True

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


async def app(scope: Any, receive: Any, send: Any) -> None: ...


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def connected() -> tuple[CallerSocket, Transport]:
    """A socket after its handshake."""
    socket, transport = CallerSocket(Config(app, log_config=None), ServerState(), {}), Transport()
    socket.connection_made(transport)
    socket.handshake_initiated = socket.handshake_complete = True
    socket.conn.state = State.OPEN
    socket.conn.parser = Protocol.parse(socket.conn)
    next(socket.conn.parser)
    return socket, transport


@pytest.mark.anyio
async def test_what_comes_behind_a_close_frame_is_no_message() -> None:
    (socket, transport), got = connected(), list[bytes]()

    def take(data: bytes, text: bool) -> bool:
        got.append(data)
        return True

    socket.carry(take, lambda: None)
    close = Frame(Opcode.CLOSE, Close(1000, "").serialize())
    frames = [Frame(Opcode.TEXT, b"before"), close, Frame(Opcode.TEXT, b"behind")]
    socket.data_received(b"".join(frame.serialize(mask=True) for frame in frames))
    assert got == [b"before"]
    assert transport.closing and transport.written == close.serialize(mask=False)


@pytest.mark.anyio
async def test_of_pings_that_nobody_reads_the_latest_is_answered() -> None:
    socket, transport = connected()
    pings = [Frame(Opcode.PING, b"%d" % n) for n in range(1000)]
    socket.pause_writing()
    socket.data_received(b"".join(ping.serialize(mask=True) for ping in pings))
    while not transport.reading:  # they are worked off in several turns of the loop
        await asyncio.sleep(0)
    assert transport.written == b""
    socket.resume_writing()
    assert transport.written == Frame(Opcode.PONG, b"999").serialize(mask=False)
    socket.data_received(pings[7].serialize(mask=True))
    assert transport.written.endswith(Frame(Opcode.PONG, b"7").serialize(mask=False))


@pytest.mark.anyio
async def test_a_closing_connection_waits_only_for_a_peer_that_reads() -> None:
    socket, transport = connected()
    transport.close()
    for transport.left in (100, 50, 1, 0, 0):
        socket.send_keepalive_ping()
        assert not transport.aborted and socket.ping_timer is not None
    transport.left = 70
    socket._left = 70
    socket.send_keepalive_ping()
    assert transport.aborted
    socket.stop_keepalive()
