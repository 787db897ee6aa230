"""The runner's end of its connection, without a runner."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pondage.clock import SystemClock
from pondage.runner.link import Link
from pondage.wire.frames import Frame, FromGateway, SessionMessage
from pondage.wire.packets import packets

pytestmark = pytest.mark.anyio


def nothing() -> tuple[list[Frame], list[Frame]]:
    return [], []


async def test_what_another_thread_has_read_is_handed_out(tmp_path: Path) -> None:
    """The pulse reads while the loop is blocked; afterwards nothing more need come for the frames to be dealt with."""
    got: asyncio.Future[FromGateway] = asyncio.get_running_loop().create_future()
    writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_unix_server(lambda _, writer: writers.put_nowait(writer), str(tmp_path / "gateway"))
    link = Link(
        str(tmp_path / "gateway"),
        None,
        SystemClock(),
        loop=asyncio.get_running_loop(),
        received=got.set_result,
        connected=nothing,
        lost=lambda: None,
    )
    assert await link.connect(0)
    writer = await writers.get()
    message = SessionMessage("request", b"{}", True)
    for packet in packets([message]):
        writer.writelines(packet.buffers)
    reading = asyncio.get_running_loop().run_in_executor(None, link.read)
    while not link.peek():  # this turn of the loop is the one that blocks
        pass
    assert await reading
    assert await asyncio.wait_for(got, 10) == message
    link.close()
    writer.close()
    server.close()
