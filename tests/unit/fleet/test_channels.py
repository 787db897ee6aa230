"""A session's channel: in order, as far as the caller takes it, and without harm to its neighbours."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from pondage.fleet.channels import Channel, Channels
from pondage.wire.frames import MESSAGE_COST, Frame, SessionClose, SessionMessage, SessionMore

pytestmark = pytest.mark.anyio

WINDOW = 400


class RunnerEnd:
    """A runner whose connection keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Frame] = []
        self.has_room = True
        self.link = self

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)


class CallerEnd:
    """A caller's socket that takes so many messages before it is full."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.got: list[bytes] = []
        self.closed: list[SessionClose] = []

    def put(self, data: bytes, text: bool) -> bool:
        self.got.append(data)
        return len(self.got) < self.room


@pytest.fixture
def channels() -> Channels:
    return Channels(WINDOW)


def opened(channels: Channels, request_id: str) -> tuple[Channel, RunnerEnd]:
    channel, runner = channels.open(request_id), RunnerEnd()
    channel.runner = cast(Any, runner)
    return channel, runner


def message(request_id: str, data: bytes, more: bool = False) -> SessionMessage:
    return SessionMessage(request_id, data, True, more)


async def test_what_came_before_the_caller_is_joined_comes_first_and_in_order(channels: Channels) -> None:
    channel, _ = opened(channels, "a")
    caller = CallerEnd()
    for data in (b"1", b"2"):
        channels.session_message(message("a", data))
    channel.connect(caller.put, caller.closed.append)
    channels.session_message(message("a", b"3a", more=True))
    channels.session_message(message("a", b"3b"))
    channels.session_close(SessionClose("a", 1000))
    assert caller.got == [b"1", b"2", b"3a3b"]
    assert [close.code for close in caller.closed] == [1000]
    channels.session_close(SessionClose("a", 1011))
    assert len(caller.closed) == 1, "the end is told once"


async def test_a_full_caller_holds_the_runner(channels: Channels) -> None:
    """The runner hears of a message only when there is room behind it, so that its window bounds what lies here."""
    channel, runner = opened(channels, "a")
    caller = CallerEnd(room=1)
    channel.connect(caller.put, caller.closed.append)
    for n in range(3):
        channels.session_message(message("a", bytes([n]) * 100))
    assert len(caller.got) == 1 and not runner.sent
    caller.room = 1_000_000
    channel.go_on()
    assert len(caller.got) == 3
    told = sum(frame.n for frame in runner.sent if isinstance(frame, SessionMore))
    assert told == 3 * (100 + MESSAGE_COST)


async def test_a_caller_that_fails_costs_its_own_session(channels: Channels, caplog: pytest.LogCaptureFixture) -> None:
    broken, _ = opened(channels, "a")
    healthy, _ = opened(channels, "b")
    ends: list[SessionClose] = []

    def fails(data: bytes, text: bool) -> bool:
        raise RuntimeError("a bug")

    neighbour = CallerEnd()
    broken.connect(fails, ends.append)
    healthy.connect(neighbour.put, neighbour.closed.append)
    with caplog.at_level(logging.ERROR, "pondage.fleet"):
        channels.session_message(message("a", b"1"))
    channels.session_message(message("b", b"2"))
    assert [end.code for end in ends] == [1011]
    assert neighbour.got == [b"2"] and not neighbour.closed
    assert "a bug" in caplog.text
