"""Generators: numbered chunks, kept until they are committed, held when nobody takes them."""

from __future__ import annotations

import msgspec
import pytest

from pondage.wire.events import Chunk
from pondage.wire.frames import Cancel, Committed, Entries

from .conftest import Gateway

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/generate", "/generate/sync"])
@pytest.mark.parametrize("mode", ["stream", "call"])
async def test_chunks_are_numbered_and_the_last_is_the_outcome(echo: Gateway, path: str, mode: str) -> None:
    request_id = echo.execute(path, {"count": 3}, mode=mode)
    outcome = (await echo.finished(request_id)).outcome
    assert [(n, chunk["i"]) for n, chunk in echo.chunks(request_id)] == [(1, 0), (2, 1), (3, 2)]
    assert outcome.status == 200
    assert msgspec.json.decode(outcome.body) == echo.chunks(request_id)[-1][1]
    assert echo.logs(request_id) == [("STDOUT", "generator closed")]


async def test_chunks_are_ascii(echo: Gateway) -> None:
    request_id = echo.execute("/generate", {"count": 1}, mode="stream")
    await echo.finished(request_id)
    (chunk,) = [e for e in echo.entries(request_id) if isinstance(e, Chunk)]
    assert chunk.data == b'{"i":0,"text":"\\u00e9"}'


async def test_a_plain_endpoint_streams_one_chunk(echo: Gateway) -> None:
    request_id = echo.execute("/", {"x": 1}, mode="stream")
    await echo.finished(request_id)
    assert echo.chunks(request_id) == [(1, {"y": 2})]


async def test_what_was_yielded_before_an_error_stays(echo: Gateway) -> None:
    request_id = echo.execute("/stream", {"count": 5, "fail_at": 2}, mode="stream")
    outcome = (await echo.finished(request_id)).outcome
    assert (outcome.status, outcome.error) == (500, "ValueError: broke at 2")
    assert [n for n, _ in echo.chunks(request_id)] == [1, 2]


async def test_many_chunks_travel_together(echo: Gateway) -> None:
    request_id = echo.execute("/generate", {"count": 5000}, mode="stream")
    await echo.finished(request_id)
    assert [n for n, _ in echo.chunks(request_id)] == list(range(1, 5001))
    assert len(echo.all(Entries)) < 1000


@pytest.mark.parametrize(("path", "pause"), [("/generate", 0.0), ("/generate", 3600.0), ("/generate/sync", 0.0)])
async def test_a_cancel_closes_the_generator(echo: Gateway, path: str, pause: float) -> None:
    request_id = echo.execute(path, {"count": 10**9, "pause": pause}, mode="stream")
    await echo.until(lambda: echo.chunks(request_id))
    echo.send(Cancel(request_id, 1, "client_disconnected"))
    outcome = (await echo.finished(request_id)).outcome
    assert (outcome.status, outcome.error_type) == (499, "client_disconnected")
    assert ("STDOUT", "generator closed") in echo.logs(request_id)


@pytest.mark.parametrize("path", ["/generate", "/generate/sync"])
async def test_a_generator_waits_for_those_who_store_its_chunks(gateway: Gateway, path: str) -> None:
    from .conftest import APPS, running

    gateway.commit = False
    gateway.welcome["chunk_buffer_bytes"] = 1000
    async with running(gateway, f"{APPS / 'basic.py'}:Echo"):
        await gateway.ready()
        request_id = gateway.execute(path, {"count": 500}, mode="stream")
        other = await gateway.call("/", {"x": 1})
        assert other.status == 200, "others go on"
        await gateway.until(lambda: gateway.chunks(request_id))
        seen = 0
        while seen < 500:
            await gateway.until(lambda: len(gateway.chunks(request_id)) > seen)  # noqa: B023 - awaited at once
            size = sum(len(e.data) for e in gateway.entries(request_id)[seen:] if isinstance(e, Chunk))
            assert size <= 1000 + 64
            seen = len(gateway.chunks(request_id))
            gateway.send(Committed(request_id, 1, chunks=seen))
        await gateway.finished(request_id)
    assert [n for n, _ in gateway.chunks(request_id)] == list(range(1, 501))
