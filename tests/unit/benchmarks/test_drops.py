"""The count of lost and doubled chunks is itself tested: a server that loses or repeats one is found out."""

from __future__ import annotations

import asyncio
import random

import pytest
from benchmarks import drops

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("planted", "missing", "twice", "in_order"),
    [
        ({}, 0, 0, True),
        ({7: b""}, 1, 0, True),
        ({7: b'id: 1-8\ndata: {"i":7}\n\n' * 2}, 0, 1, True),
        ({7: b'id: 1-8\ndata: {"i":8}\n\n', 8: b'id: 1-9\ndata: {"i":7}\n\n'}, 0, 0, False),
    ],
)
async def test_what_is_planted_is_found(
    planted: dict[int, bytes], missing: int, twice: int, in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drops, "CHUNKS", 50)
    monkeypatch.setattr(drops, "LONGEST", 600)
    blocks = [planted.get(i, b'id: 1-%d\ndata: {"i":%d}\n\n' % (i + 1, i)) for i in range(50)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        after = int(head.split("Last-Event-ID: 1-")[1].split("\r\n")[0]) if "Last-Event-ID" in head else 0
        writer.write(b"HTTP/1.1 200 OK\r\nx-fal-request-id: r1\r\n\r\n" + b"".join(blocks[after:]))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader = drops.Reader(server.sockets[0].getsockname()[1], random.Random(3))
        await reader.submit()
        read = await reader.to_the_end()
    assert reader.request_id == "r1" and read.drops > 2
    assert read == (read.drops, missing, twice, in_order)
    assert read.wrong == bool(planted)
