"""Writes of one turn leave together, in order, and before a close."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from pondage.gateway.connections.transport import CoalescingTransport

pytestmark = pytest.mark.anyio


class Recorder:
    """A transport that notes what reaches it."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def write(self, data: bytes) -> None:
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls

    def get_write_buffer_size(self) -> int:
        return 0


def made() -> tuple[Recorder, CoalescingTransport]:
    recorder = Recorder()
    return recorder, CoalescingTransport(cast(asyncio.Transport, recorder), asyncio.get_running_loop())


async def test_one_write_a_turn_in_order() -> None:
    recorder, together = made()
    together.write(b"head ")
    together.write(b"body")
    assert recorder.calls == [] and together.get_write_buffer_size() == 9
    await asyncio.sleep(0)
    assert recorder.calls == [b"head body"]
    together.write(b"next")
    await asyncio.sleep(0)
    assert recorder.calls == [b"head body", b"next"]


async def test_a_close_comes_after_what_was_written() -> None:
    recorder, together = made()
    together.write(b"last")
    together.close()
    assert recorder.calls == [b"last", "close"] and together.is_closing()


async def test_much_is_not_held_and_keeps_its_place() -> None:
    recorder, together = made()
    together.write(b"small")
    together.write(b"x" * 100_000)
    assert recorder.calls == [b"small" + b"x" * 100_000]
    together.write(b"y" * 100_000)
    assert recorder.calls[1:] == [b"y" * 100_000]
