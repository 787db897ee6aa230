"""A receiver of webhooks on loopback: writes down what came, and refuses one in ten so that tries are repeated."""

from __future__ import annotations

import asyncio
import contextlib
import random

import msgspec

from pondage.torture.journals import SyncedJournal

_REFUSED = 0.1


class Receiver:
    """Answers after its note is on disk. Made by `open`."""

    def __init__(self, journal: SyncedJournal, seed: int) -> None:
        self._journal = journal
        self._chance = random.Random(f"receiver {seed}")  # noqa: S311 - repeatable on purpose
        self.url = ""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/told"

    async def close(self) -> None:
        self._server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").lower().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
                body = await reader.readexactly(int(headers["content-length"]))
                refused = self._chance.random() < _REFUSED
                document = msgspec.json.decode(body)
                await self._journal.keep(
                    k="delivery", id=headers["webhook-id"], request_id=document["request_id"], refused=refused
                )
                answer = b"503 Service Unavailable" if refused else b"204 No Content"
                writer.write(b"HTTP/1.1 " + answer + b"\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
