"""The load generator tells right answers from wrong ones, and counts what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
from benchmarks.load import Ask, Load, WrongAnswer, additions, ask, press, read_stream, request
from benchmarks.processes import Processes, free_port
from benchmarks.websocket import BINARY, TEXT, frame

pytestmark = pytest.mark.anyio

Answer = Callable[[asyncio.StreamWriter, bytes, bytes], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """A server that reads requests and hands `(writer, head, body)` to `answer`; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                body = await reader.readexactly(int(length)) if length else b""
                await answer(writer, head, body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def reply(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def test_every_caller_sends_its_next_request_after_its_answer() -> None:
    seen: list[bytes] = []

    async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        seen.append(body)
        writer.write(reply(b'{"y":%d}' % (int(body.partition(b'"x": ')[2].partition(b",")[0]) + 1)))

    async with serving(answer) as port:
        load = await press(port, additions("/run"), callers=4, seconds=30, most=100)
    assert len(load.latencies) == len(seen) == 100
    assert load.latencies == sorted(load.latencies)


async def test_answers_may_come_in_pieces() -> None:
    async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        for byte in reply(b"right"):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    async with serving(answer) as port:
        load = await press(port, [Ask(request("GET", "/"), b"right")], callers=1, seconds=30, most=3)
    assert len(load.latencies) == 3


@pytest.mark.parametrize("wrong", [reply(b"wrong"), reply(b"right", b"500 No"), b"HTTP/1.1 200 OK\r\n\r\nright"])
async def test_a_wrong_answer_ends_the_measurement(wrong: bytes) -> None:
    async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        writer.write(wrong)

    async with serving(answer) as port:
        with pytest.raises(WrongAnswer):
            await press(port, [Ask(request("GET", "/"), b"right")], callers=1, seconds=30, most=3)


async def test_a_closed_connection_ends_the_measurement() -> None:
    async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        writer.close()

    async with serving(answer) as port:
        with pytest.raises(ConnectionError):
            await press(port, [Ask(request("GET", "/"), b"right")], callers=1, seconds=30, most=3)


async def test_an_answer_in_chunks_is_whole_with_its_last() -> None:
    async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        parts = [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"3\r\nrig\r\n",
            b"2\r\nht\r\n",
            b"0\r\n\r\n",
        ]
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(answer) as port:
        load = await press(port, [Ask(request("GET", "/"), b"2\r\nht")], callers=2, seconds=30, most=6)
    assert len(load.latencies) == 6


async def test_two_requests_that_belong_together_count_as_one() -> None:
    seen: list[bytes] = []

    async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        path = head.split()[1]
        seen.append(path)
        told = b"event 7" if path == b"/submit" else b"the outcome"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))

    def then(submitted: bytes) -> Ask:
        return Ask(request("GET", "/" + submitted.rpartition(b" ")[2].decode()), b"outcome")

    async with serving(answer) as port:
        load = await press(port, [Ask(request("POST", "/submit"), b"event", then)], callers=1, seconds=30, most=2)
    assert len(load.latencies) == 2
    assert seen == [b"/submit", b"/7"] * 2


async def test_events_are_counted_also_where_a_read_cuts_them() -> None:
    async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for byte in b"id: 1\ndata: {}\n\n" * 5:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with serving(answer) as port:
        read = await read_stream(port, request("POST", "/stream", {}))
    assert read.events == 5
    assert 0 < read.first <= read.seconds


async def test_a_chunked_answer_is_read_whole() -> None:
    async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> None:
        writer.write(b'HTTP/1.1 201 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n')
        writer.close()

    async with serving(answer) as port:
        told = await ask(port, "GET", "/")
    assert (told.status, told.json()) == (201, {"a": 1})


def test_rate_and_quantiles() -> None:
    load = Load([0.1, 0.2, 0.3, 0.4], 2.0)
    assert load.rate == 2.0
    assert (load.quantile(0), load.quantile(0.5), load.quantile(0.99)) == (0.1, 0.3, 0.4)


@pytest.mark.parametrize("length", [5, 125, 126, 65_535, 65_536])
def test_frames_are_masked_and_say_their_length(length: int) -> None:
    payload = bytes(range(256)) * (length // 256 + 1)
    framed = frame(BINARY if length % 2 else TEXT, payload[:length])
    at = {126: 4, 127: 10}.get(framed[1] & 127, 2)
    assert framed[1] & 128
    assert (framed[1] & 127 if at == 2 else int.from_bytes(framed[2:at])) == length
    mask, masked = framed[at : at + 4], framed[at + 4 :]
    assert bytes(byte ^ mask[n % 4] for n, byte in enumerate(masked)) == payload[:length]


def test_only_what_was_started_is_watched_and_ended(tmp_path: Path) -> None:
    processes = Processes(tmp_path / "log", tmp_path)
    shell = processes.start(["sh", "-c", "sleep 60 & echo started; wait"])
    while "started" not in (tmp_path / "log").read_text():
        assert shell.poll() is None
    tree = processes.tree()
    assert len(tree) == 2
    assert processes.memory()[0] > 0
    processes.pause()
    processes.stop()
    assert processes.tree() == []
    for process in tree:
        # An orphan is nobody's here to collect: whether its entry is still in the table is the system's affair.
        with suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE:
                pass


def test_a_process_that_ended_is_told_with_its_log(tmp_path: Path) -> None:
    processes = Processes(tmp_path / "log", tmp_path)
    processes.start(["sh", "-c", "echo no such app; exit 3"]).wait()
    with pytest.raises(RuntimeError, match="no such app"):
        processes.check()
    assert free_port() > 0
