"""The least that a server can do with the same request: the raw limits of HTTP and of a durable run on this machine."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import apsw
import msgspec

Message = MutableMapping[str, Any]


class Road:
    """The road of a run with nothing done on it: to another process and back, and one commit in a thread."""

    async def open(self) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, __file__, str(there.fileno()), pass_fds=[there.fileno()]
            )
        self._reader, self._writer = await asyncio.open_connection(sock=here)
        self._database = apsw.Connection(str(Path(os.environ["RAW_FOLDER"]) / "road.db"))
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = full")
        self._database.execute("create table if not exists run (body blob, answer blob)")

    async def hop(self, body: bytes) -> bytes:
        """The other process's answer. Only one at a time: what it is for is one caller."""
        self._writer.write(body)
        return await self._reader.read(65536)

    async def go(self, body: bytes) -> bytes:
        """The same, answered when it is on disk."""
        answer = await self.hop(body)
        await asyncio.get_running_loop().run_in_executor(
            None, self._database.execute, "insert into run values (?, ?)", (body, answer)
        )
        return answer

    async def close(self) -> None:
        self._writer.close()
        await self._process.wait()
        self._database.close()


road = Road()


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer `{"y": x + 1}` to `{"x": x, …}`: here; by the other process (`/bench/hop`); durably (`/bench/road`)."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await (road.open() if message["type"] == "lifespan.startup" else road.close())
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    match scope["path"]:
        case "/bench/hop":
            answer = await road.hop(body)
        case "/bench/road":
            answer = await road.go(body)
        case _:
            answer = added(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def added(body: bytes) -> bytes:
    """The work itself."""
    return msgspec.json.encode({"y": msgspec.json.decode(body)["x"] + 1})


if __name__ == "__main__":  # the end of the road
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        while body := connection.recv(65536):
            connection.sendall(added(body))
