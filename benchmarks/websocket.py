"""A WebSocket caller on a plain blocking socket: the least that can stand between the clock and the server."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable

from benchmarks.load import HOST

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Socket:
    """One WebSocket connection.

    Raises:
        ConnectionError: the server did not accept it.
    """

    def __init__(self, port: int, path: str, timeout: float = 30.0) -> None:
        self._socket = socket.create_connection((HOST, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._some()
        head, _, self._buffer = head.partition(b"\r\n\r\n")
        if b" 101 " not in head[:20]:
            raise ConnectionError(f"no WebSocket: {head[:300]!r}")

    def send(self, framed: bytes) -> None:
        """Send a message that `frame` made."""
        self._socket.sendall(framed)

    def receive(self) -> bytes:
        """The next message; pings are answered.

        Raises:
            ConnectionError: the server closed it.
        """
        whole = b""
        while True:
            head = self._exactly(2)
            length = head[1] & 127
            if length == 126:
                length = struct.unpack("!H", self._exactly(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self._exactly(8))[0]
            payload = self._exactly(length)
            code = head[0] & 15
            if code == CLOSE:
                raise ConnectionError(f"closed: {payload!r}")
            if code == PING:
                self.send(frame(PONG, payload))
            elif code != PONG:
                whole = whole + payload if whole else payload
                if head[0] & 128:
                    return whole

    def close(self) -> None:
        self._socket.close()

    def _some(self) -> bytes:
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server went away")
        return data

    def _exactly(self, length: int) -> bytes:
        if len(self._buffer) < length:
            parts = [self._buffer]
            missing = length - len(self._buffer)
            while missing > 0:
                parts.append(self._some())
                missing -= len(parts[-1])
            self._buffer = b"".join(parts)
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken


def frame(code: int, payload: bytes) -> bytes:
    """A masked frame. It is made once and sent again and again, so that masking costs the measurement nothing."""
    mask = os.urandom(4)
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 128 | code, 128 | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", 128 | code, 128 | 126, length)
    else:
        head = struct.pack("!BBQ", 128 | code, 128 | 127, length)
    key = (mask * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload) ^ int.from_bytes(key)
    return head + mask + masked.to_bytes(length)


def ping_pong(port: int, path: str, framed: bytes, right: Callable[[bytes], bool], seconds: float) -> list[float]:
    """Send a message, wait for its echo, again and again; the sorted round trips in seconds. The first 20 are checked
    and do not count.

    Raises:
        ConnectionError: an answer was not right.
    """
    connection = Socket(port, path)
    times: list[float] = []
    try:
        for _ in range(20):
            connection.send(framed)
            if not right(answer := connection.receive()):
                raise ConnectionError(f"a wrong echo: {answer[:200]!r}")
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            connection.send(framed)
            connection.receive()
            times.append(time.perf_counter() - began)
    finally:
        connection.close()
    times.sort()
    return times
