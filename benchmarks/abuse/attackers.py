"""The attacks, each in processes of its own.

python -m benchmarks.abuse.attackers NAME '{"port": …, "connections": …, "seconds": …, "key": …, "path": …}'

A connection that is closed is opened again a moment later: an attacker does not give up.
"""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.load import HOST

_AGAIN = 0.02
"""Seconds until a connection that was closed is opened again."""
_PIECE = 64 * 1024


class Orders(NamedTuple):
    """What an attacker is told.

    Attributes:
        key: `Key id:secret`, or nothing.
        path: what is asked for.
        body: the path of small calls.
    """

    port: int
    connections: int
    seconds: float
    key: str = ""
    path: str = "/bench/noop"
    ticket: str = ""

    @property
    def authorization(self) -> str:
        return f"Authorization: {self.key}\r\n" if self.key else ""

    def head(self, method: str, *lines: str, path: str = "") -> bytes:
        more = "".join(f"{line}\r\n" for line in lines)
        return f"{method} {path or self.path} HTTP/1.1\r\nHost: {HOST}\r\n{self.authorization}{more}\r\n".encode()


def _connect(orders: Orders, *, buffer: int = 0) -> socket.socket:
    one = socket.socket()
    if buffer:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    one.settimeout(5)
    one.connect((HOST, orders.port))
    return one


# ---- full speed on a few connections


def _stream(orders: Orders, begin: Callable[[socket.socket], None], pieces: Callable[[], Iterator[bytes]]) -> None:
    """On each connection begin, then send pieces as fast as they are taken."""

    def one(end: float) -> None:
        while time.monotonic() < end:
            try:
                with _connect(orders) as connection:
                    begin(connection)
                    drain = threading.Thread(target=_drain, args=(connection,), daemon=True)
                    drain.start()
                    for piece in pieces():
                        connection.sendall(piece)
                        if time.monotonic() > end:
                            return
            except OSError:
                pass
            time.sleep(_AGAIN)

    end = time.monotonic() + orders.seconds
    threads = [threading.Thread(target=one, args=(end,)) for _ in range(orders.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _drain(connection: socket.socket) -> None:
    """Read what comes, so that the server never waits for its reader."""
    try:
        while connection.recv(1 << 20):
            pass
    except OSError:
        pass


def _again(piece: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        while True:
            yield piece

    return pieces


def _chunked(orders: Orders, rest: bytes = b"") -> Callable[[socket.socket], None]:
    head = orders.head("POST", "Transfer-Encoding: chunked") + rest
    return lambda connection: connection.sendall(head)


def trailers(orders: Orders) -> None:
    _stream(orders, _chunked(orders, b"0\r\n"), _again(b"a:\r\n" * (_PIECE // 4)))


def long_trailers(orders: Orders) -> None:
    _stream(orders, _chunked(orders, b"0\r\n"), _again((b"a: " + b"v" * 16_000 + b"\r\n") * 4))


def trailer_value(orders: Orders) -> None:
    _stream(orders, _chunked(orders, b"0\r\na: "), _again(b"v" * _PIECE))


def chunks(orders: Orders) -> None:
    _stream(orders, _chunked(orders), _again(b"1\r\na\r\n" * (_PIECE // 6)))


def chunk_extension(orders: Orders) -> None:
    _stream(orders, _chunked(orders, b"1;a="), _again(b"x" * _PIECE))


def body(orders: Orders) -> None:
    _stream(orders, _chunked(orders), _again(b"10000\r\n" + b"x" * _PIECE + b"\r\n"))


# ---- WebSockets


def _handshake(orders: Orders, connection: socket.socket) -> None:
    lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    connection.sendall(orders.head("GET", *lines, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))
    head = b""
    while b"\r\n\r\n" not in head:
        if not (came := connection.recv(65536)):
            raise ConnectionError("refused")
        head += came
    if b" 101 " not in head[:20]:
        raise ConnectionError("refused")


def _frame(first: int, payload: bytes) -> bytes:
    """Masked with zeros: what masking costs is not the attack."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", first, 128 | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, 128 | 126, length)
    else:
        head = struct.pack("!BBQ", first, 128 | 127, length)
    return head + bytes(4) + payload


def _on_sockets(orders: Orders, frame: bytes, before: bytes = b"") -> None:
    def begin(connection: socket.socket) -> None:
        _handshake(orders, connection)
        connection.sendall(before)

    _stream(orders, begin, _again(frame * max(1, _PIECE // len(frame))))


def pings(orders: Orders) -> None:
    _on_sockets(orders, _frame(0x89, b""))


def continuations(orders: Orders) -> None:
    _on_sockets(orders, _frame(0x00, b""), _frame(0x01, b""))


def messages(orders: Orders) -> None:
    _on_sockets(orders, _frame(0x81, b'{"a":1}'))


def malformed(orders: Orders) -> None:
    _on_sockets(orders, _frame(0x81, b"{nothing"))


# ---- memory of many


def _held(orders: Orders, send: Callable[[socket.socket], None], *, buffer: int = 0, drip: bytes = b"") -> None:
    """Open all connections, send once, read nothing, stay; with `drip`, now and then a bit more. What the server
    closes is opened again, a few at a time."""
    end = time.monotonic() + orders.seconds
    held: list[socket.socket] = []
    while time.monotonic() < end and len(held) < orders.connections:
        try:
            one = _connect(orders, buffer=buffer)
            send(one)
            one.settimeout(0)
            held.append(one)
        except OSError:
            time.sleep(_AGAIN)
    while time.monotonic() < end:
        if drip:
            for one in held:
                try:
                    one.send(drip)
                except OSError:
                    continue
        time.sleep(min(5.0 if drip else 0.2, max(end - time.monotonic(), 0)))
    for one in held:
        one.close()


def readers(orders: Orders) -> None:
    """Ask for something large, read nothing."""
    _held(orders, lambda one: one.sendall(orders.head("GET")))


def stream_readers(orders: Orders) -> None:
    """Ask for a stream, read nothing."""
    _held(orders, lambda one: one.sendall(orders.head("GET", "Accept: text/event-stream")))


def idle(orders: Orders) -> None:
    _held(orders, lambda one: None)


def slow_heads(orders: Orders) -> None:
    _held(orders, lambda one: one.sendall(f"POST {orders.path} HTTP/1.1\r\nHost: ".encode()), drip=b"x")


def slow_bodies(orders: Orders) -> None:
    head = orders.head("POST", "Content-Length: 100000")
    _held(orders, lambda one: one.sendall(head + b"{"), drip=b" ")


def sessions(orders: Orders) -> None:
    """Sessions that wait for a slot, each fed messages of 1 MiB as fast as they are taken."""
    _on_sockets(orders, _frame(0x82, os.urandom(1 << 20)))


def http_over_websocket(orders: Orders) -> None:
    """Bodies of 15 MiB, as fast as they are taken."""
    _on_sockets(orders, _frame(0x81, b'{"pad":"' + b"x" * (15 << 20) + b'"}'))


# ---- many calls


def _calls(orders: Orders, ask: Callable[[], bytes]) -> None:
    """On each connection one call after the other."""

    def one(end: float) -> None:
        while time.monotonic() < end:
            try:
                with _connect(orders) as connection:
                    while time.monotonic() < end:
                        connection.sendall(ask())
                        _answer(connection)
            except (OSError, ValueError):
                time.sleep(_AGAIN)

    end = time.monotonic() + orders.seconds
    threads = [threading.Thread(target=one, args=(end,)) for _ in range(orders.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _answer(connection: socket.socket) -> None:
    came = b""
    while b"\r\n\r\n" not in came:
        if not (piece := connection.recv(65536)):
            raise ConnectionError("closed")
        came += piece
    head, _, rest = came.partition(b"\r\n\r\n")
    missing = -len(rest)
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing += int(line.partition(b":")[2])
    while missing > 0:
        if not (piece := connection.recv(min(missing, 1 << 20))):
            raise ConnectionError("closed")
        missing -= len(piece)


def calls(orders: Orders) -> None:
    """A flood of right calls."""
    ask = orders.head("POST", "X-Wants: answer", "Content-Length: 19") + b'{"x": 1, "pad": ""}'
    _calls(orders, lambda: ask)


def refused(orders: Orders) -> None:
    """A flood of calls with keys that are none."""
    orders = orders._replace(key="Key nobody:nothing")
    ask = orders.head("POST", "X-Wants: answer", "Content-Length: 19") + b'{"x": 1, "pad": ""}'
    _calls(orders, lambda: ask)


def ranges(orders: Orders) -> None:
    """Many small, overlapping and scattered ranges of a large file."""

    def ask() -> bytes:
        starts = (random.randrange(200 << 20) for _ in range(100))
        wanted = ",".join(f"{start}-{start + 9}" for start in starts)
        return orders.head("GET", "X-Wants: answer", f"Range: bytes={wanted}")

    _calls(orders, ask)


ATTACKS: dict[str, Callable[[Orders], None]] = {
    attack.__name__: attack
    for attack in (
        trailers, long_trailers, trailer_value, chunks, chunk_extension, body, pings, continuations, messages,
        malformed, readers, stream_readers, idle, slow_heads, slow_bodies, sessions, http_over_websocket, calls,
        refused, ranges,
    )
}  # fmt: skip


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    threading.stack_size(256 * 1024)
    ATTACKS[sys.argv[1]](Orders(**json.loads(sys.argv[2])))
    os._exit(0)  # threads that drain need no farewell
