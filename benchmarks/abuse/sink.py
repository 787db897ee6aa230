"""A server that reads and throws away: beside it, what attackers cost is their CPU alone.

python -m benchmarks.abuse.sink PORT
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from benchmarks.load import HOST

_ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
)
_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"y": 2}'


class Sink(asyncio.Protocol):
    """Answers what begins like a handshake or a small call, and nothing else."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._call = False
        self._first = True

    def data_received(self, data: bytes) -> None:
        if self._first:
            self._first = False
            if b"Upgrade: websocket" in data:
                self._transport.write(_ACCEPTED)
                return
            self._call = b"X-Wants: answer" in data
        if self._call:
            self._transport.write(_ANSWER)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, HOST, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
