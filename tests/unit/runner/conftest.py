"""A gateway's end of the socket, for real runner processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from pondage.wire import frames
from pondage.wire.events import Chunk, Entry, Log, Outcome, Progress
from pondage.wire.frames import AppInfo, Committed, Entries, Execute, Finished, Frame, Hello, Ready, Welcome
from pondage.wire.packets import PacketReader, packets

APPS = Path(__file__).parents[2] / "apps"
F = TypeVar("F")


class Runner:
    """A runner process and what it said. `commit`: outcomes and chunks are acknowledged at once."""

    def __init__(self, process: asyncio.subprocess.Process, gateway: Gateway) -> None:
        self.process = process
        self.gateway = gateway

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 20)


class Gateway:
    """Listens on a socket and keeps every frame that arrives, in order."""

    def __init__(self, folder: Path, **welcome: Any) -> None:
        self.folder = folder
        self.socket = folder / "gateway.sock"
        self.note = folder / "note"
        self.commit = True
        self.frames: list[Frame] = []
        self.welcome: dict[str, Any] = {
            "heartbeat": 0.2,
            "lease": 10.0,
            "reconnect": 5.0,
            "cancel_grace": 0.5,
        } | welcome
        self._changed = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._next = 0
        self.hellos = 0
        self.connected = 0

    async def listen(self, name: str = "gateway.sock") -> None:
        self.socket = self.folder / name
        self._server = await asyncio.start_unix_server(self._serve, str(self.socket))

    async def die(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        self._writers.clear()
        self.socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.connected += 1
        try:
            cut = PacketReader(frames.from_runner)
            while data := await reader.read(1 << 16):
                for received in cut.feed(data):
                    for frame in received:
                        self.frames.append(frame)
                        self._answer(frame)
                self._changed.set()
        except ConnectionError:
            pass
        finally:
            self.connected -= 1
            writer.close()
            self._changed.set()

    def _answer(self, frame: Frame) -> None:
        if isinstance(frame, Hello):
            self.hellos += 1
            self.send(Welcome(version=frames.VERSION, **self.welcome))
        elif self.commit and isinstance(frame, Finished):
            self.send(Committed(frame.request_id, frame.attempt, done=True))
        elif self.commit and isinstance(frame, Entries):
            numbers = [entry.n for entry in frame.entries if isinstance(entry, Chunk)]
            if numbers:
                self.send(Committed(frame.request_id, frame.attempt, chunks=max(numbers)))

    def send(self, *items: Frame) -> None:
        for packet in packets(items):
            self._writers[-1].writelines(packet.buffers)

    async def until(self, found: Callable[[], F], timeout: float = 20) -> F:
        """What `found` returns once it returns something."""
        async with asyncio.timeout(timeout):
            while not (value := found()):
                self._changed.clear()
                await self._changed.wait()
        return value

    def all(self, kind: type[F]) -> list[F]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def first(self, kind: type[F], number: int = 1) -> F:
        return (await self.until(lambda: found if len(found := self.all(kind)) >= number else None))[number - 1]

    def execute(self, path: str, input: Any = None, **more: Any) -> str:
        """Begin an attempt; returns the request's id."""
        self._next += 1
        request_id = more.pop("request_id", f"request-{self._next}")
        body = input if isinstance(input, bytes) else msgspec.json.encode({} if input is None else input)
        members: dict[str, Any] = {"attempt": 1, "mode": "call", "headers": {}, "base_url": "http://127.0.0.1:8000"}
        self.send(Execute(request_id=request_id, path=path, input=body, **(members | more)))
        return request_id

    async def finished(self, request_id: str) -> Finished:
        return (await self.until(lambda: [f for f in self.all(Finished) if f.request_id == request_id]))[0]

    async def call(self, path: str, input: Any = None, **more: Any) -> Outcome:
        return (await self.finished(self.execute(path, input, **more))).outcome

    def entries(self, request_id: str) -> list[Entry]:
        return [e for frame in self.all(Entries) if frame.request_id == request_id for e in frame.entries]

    def logs(self, request_id: str) -> list[tuple[str, str]]:
        return [(e.level, e.message) for e in self.entries(request_id) if isinstance(e, Log)]

    def progress(self, request_id: str) -> list[tuple[float, float | None]]:
        return [(e.step, e.total) for e in self.entries(request_id) if isinstance(e, Progress)]

    def chunks(self, request_id: str) -> list[tuple[int, Any]]:
        return [(e.n, msgspec.json.decode(e.data)) for e in self.entries(request_id) if isinstance(e, Chunk)]

    async def ready(self) -> AppInfo:
        return (await self.first(Ready)).info


Start = Callable[..., Any]


@asynccontextmanager
async def running(gateway: Gateway, app: str, name: str = "acme/echo") -> AsyncIterator[Runner]:
    """A runner process of `app` that dials `gateway`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "pondage.runner", "--connect", f"unix:{gateway.socket}", "--app", app,
        "--name", name, "--id", "runner-1", "--note", str(gateway.note),
        env=dict(os.environ, PONDAGE_RUNNER_TOKEN="secret"),
    )  # fmt: skip
    try:
        yield Runner(process, gateway)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = Gateway(tmp_path)
    await gateway.listen()
    yield gateway
    await gateway.die()


@pytest.fixture
async def echo(gateway: Gateway) -> AsyncIterator[Gateway]:
    """The gateway of a runner that serves tests/apps/basic.py and is ready."""
    async with running(gateway, f"{APPS / 'basic.py'}:Echo"):
        await gateway.ready()
        yield gateway
