"""A message in pieces takes no more memory than its bytes."""

from __future__ import annotations

from typing import Any

from websockets.frames import Frame, Opcode

from penstock.gateway.sockets import CallerSocket


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
