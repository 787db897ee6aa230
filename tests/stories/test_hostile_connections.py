"""Connections that mean no good: each is bounded in time, bytes and turns, and costs the others nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"
CHUNKED = "POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"


class Raw:
    """A socket, and what it is told."""

    def __init__(self, url: str, receive_buffer: int = 0) -> None:
        at = urlsplit(url)
        self.host = at.netloc
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect((str(at.hostname), int(at.port or 80)))

    def send(self, data: bytes) -> Raw:
        self.socket.sendall(data)
        return self

    def head(self, path: str = "/acme/echo") -> Raw:
        """The head of a chunked POST."""
        return self.send(CHUNKED.format(path=path, host=self.host).encode())

    def flood(self, piece: bytes, most: int) -> int:
        """Send `piece` again and again until the server hangs up; how many bytes that took."""
        sent = 0
        try:
            while sent < most:
                self.socket.sendall(piece)
                sent += len(piece)
        except OSError:
            return sent
        raise AssertionError(f"{most} bytes were taken")

    def rest(self) -> bytes:
        """What comes until the server hangs up."""
        came = b""
        try:
            while piece := self.socket.recv(65536):
                came += piece
        except ConnectionResetError:
            pass
        return came

    def answer(self) -> tuple[int, bytes]:
        """Status and body of one answer."""
        file = self.socket.makefile("rb")
        status = int(file.readline().split()[1])
        length = 0
        while line := file.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, file.read(length)


def make_key(served: ServedApp) -> str:
    return ":".join(served.call(served.server.keys.create("one", scopes=frozenset({"submit", "read", "files"}))))


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedApp, str]]:
    """A server with one key, and that key."""
    with serve(str(APPS / "basic.py")) as served:
        yield served, make_key(served)


@pytest.fixture
def raw(echo: ServedApp) -> Iterator[Callable[[], Raw]]:
    made: list[Raw] = []

    def connect() -> Raw:
        made.append(Raw(echo.url))
        return made[-1]

    yield connect
    for one in made:
        one.socket.close()


Connect = Callable[[], Raw]


def eventually(check: Callable[[], bool]) -> None:
    """Wait until the server has seen what happened to its connections."""
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


def still_answers(echo: ServedApp) -> None:
    assert httpx2.post(f"{echo.url}/acme/echo", json={"x": 1}, timeout=20).json() == {"y": 2}


# ---- what surrounds a body


@pytest.mark.parametrize("trailer", ["Host: evil.example", "X-Fal-Request-Timeout: nonsense", "Idempotency-Key: "])
def test_a_trailer_is_no_header(raw: Connect, trailer: str) -> None:
    body = f'8\r\n{{"x": 1}}\r\n0\r\n{trailer}\r\n\r\n'.encode()
    one = raw()
    status, answer = one.send(CHUNKED.format(path="/acme/echo", host=one.host).encode() + body).answer()
    assert status == 200, answer
    assert json.loads(answer) == {"y": 2}
    # Nor is it one when it comes later than the head.
    one.head()
    one.send(body)
    assert one.answer()[0] == 200


def test_a_trailer_never_authorizes(keyed: tuple[ServedApp, str]) -> None:
    served, key = keyed
    one = Raw(served.url)
    body = f'8\r\n{{"x": 1}}\r\n0\r\nAuthorization: Key {key}\r\n\r\n'.encode()
    assert one.send(CHUNKED.format(path="/acme/echo", host=one.host).encode() + body).answer()[0] == 401
    one.socket.close()


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"0\r\n", b"a:\r\n" * 16384),
        (b"0\r\n", b"a: " + b"v" * 16_000 + b"\r\n"),
        (b"0\r\na: ", b"v" * 65536),
        (b"0\r\na", b"a" * 65536),
        (b"1;a=", b"x" * 65536),
        (b"", b"1;" + b"x" * 60_000 + b"\r\na\r\n"),
    ],
    ids=["trailers", "long trailers", "a trailer value", "a trailer name", "a chunk extension", "chunk extensions"],
)
def test_what_surrounds_a_body_has_an_end(echo: ServedApp, raw: Connect, begin: bytes, piece: bytes) -> None:
    assert raw().head().send(begin).flood(piece, 32 * 1024 * 1024) < 16 * 1024 * 1024
    still_answers(echo)


def test_trailers_without_end_are_refused_by_name(raw: Connect) -> None:
    one = raw().head().send(b"2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 14_000)
    assert b"HTTP/1.1 431" in (came := one.rest()) and b"max_header_bytes" in came


def test_a_body_in_the_smallest_chunks_is_a_body(raw: Connect) -> None:
    body = b'{"x": 1' + b" " * 60_000 + b"}"
    one = raw().head()
    one.send(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
    assert json.loads(one.answer()[1]) == {"y": 2}


def test_thousands_of_requests_in_one_piece_are_answered_in_order(raw: Connect) -> None:
    one = raw()
    ask = f"GET /healthz HTTP/1.1\r\nHost: {one.host}\r\n\r\n".encode()
    last = f"GET /openapi.json HTTP/1.1\r\nHost: {one.host}\r\nConnection: close\r\n\r\n".encode()
    one.send(ask * 2000 + last)
    came = one.rest()
    assert came.count(b"HTTP/1.1 200") == 2001
    assert came.rindex(b'{"status":"ok"}') < came.index(b'"openapi"')


@pytest.mark.parametrize("size", [1, 2048, 2049, 70_000, 300_000])
def test_bodies_of_every_size_between_other_requests(raw: Connect, size: int) -> None:
    one = raw()
    body = b'{"x": 5' + b" " * size + b"}"
    ask = f"POST /acme/echo HTTP/1.1\r\nHost: {one.host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    last = f"GET /healthz HTTP/1.1\r\nHost: {one.host}\r\nConnection: close\r\n\r\n".encode()
    one.send(ask * 3 + last)
    came = one.rest()
    assert came.count(b'{"y":6}') == 3 and came.count(b"HTTP/1.1 200") == 4


# ---- what nobody needs


def test_a_body_that_was_refused_is_not_read_to_its_end(keyed: tuple[ServedApp, str]) -> None:
    served, _ = keyed
    one = Raw(served.url).head()
    assert one.flood(b"10000\r\n" + b"x" * 65536 + b"\r\n", 64 * 1024 * 1024) < 32 * 1024 * 1024
    one.socket.close()


def test_a_small_body_that_was_refused_leaves_the_connection_as_it_is(keyed: tuple[ServedApp, str]) -> None:
    served, key = keyed
    one = Raw(served.url)
    head = f"POST /acme/echo HTTP/1.1\r\nHost: {one.host}\r\nContent-Length: 200000\r\n"
    one.send(f"{head}\r\n".encode())
    assert one.answer()[0] == 401
    one.send(b"x" * 200_000)
    one.send(
        f"POST /acme/echo HTTP/1.1\r\nHost: {one.host}\r\nAuthorization: Key {key}\r\n"
        f"Content-Length: 8\r\n\r\n".encode()
        + b'{"x": 1}'
    )
    assert one.answer() == (200, b'{"y":2}')
    one.socket.close()


def test_a_body_that_drips_behind_its_answer_ends_the_connection() -> None:
    with serve(str(APPS / "basic.py"), unread_timeout=0.2) as served:
        make_key(served)
        one = Raw(served.url).head().send(b"1\r\n")
        assert b"HTTP/1.1 401" in one.rest()
        one.socket.close()


# ---- time


def test_a_body_that_drips_is_given_up() -> None:
    with serve(str(APPS / "basic.py"), body_timeout=0.3, body_rate=1000) as served:
        one = Raw(served.url).head().send(b"4\r\n{}")
        status, body = one.answer()
        assert status == 408 and b"body_rate" in body
        assert one.rest() == b""
        one.socket.close()


def test_a_body_that_comes_fast_enough_may_take_its_time() -> None:
    with serve(str(APPS / "basic.py"), body_timeout=0.2, body_rate=10) as served:
        one = Raw(served.url).head()
        for _ in range(12):
            one.send(b"10\r\n" + b" " * 16 + b"\r\n")
            time.sleep(0.05)
        one.send(b'8\r\n{"x": 1}\r\n0\r\n\r\n')
        assert one.answer() == (200, b'{"y":2}')
        one.socket.close()


def test_who_takes_nothing_of_an_answer_is_cut_off() -> None:
    with serve(str(APPS / "basic.py"), write_timeout=0.3) as served:
        with httpx2.Client(base_url=served.url) as http:
            url = http.post("/files/upload", content=b"z" * 16 * 1024 * 1024).json()["access_url"]
        one = Raw(served.url, receive_buffer=4096)
        one.send(f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: {one.host}\r\n\r\n".encode())
        assert one.socket.recv(1000).startswith(b"HTTP/1.1 200")
        eventually(lambda: not served.server.http.uvicorn.server_state.connections)
        assert len(one.rest()) < 16 * 1024 * 1024
        one.socket.close()


# ---- versions and names


@pytest.mark.parametrize(
    "data",
    [
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_1_is_refused(raw: Connect, data: bytes) -> None:
    status, body = raw().send(data).answer()
    assert status == 400 and json.loads(body)["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE"])
def test_a_websocket_begins_with_get(raw: Connect, method: str) -> None:
    one = raw()
    lines = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    lines += "Sec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFhYQ==\r\n"
    one.send(f"{method} /acme/echo/realtime HTTP/1.1\r\nHost: {one.host}\r\n{lines}\r\n".encode())
    status, body = one.answer()
    assert status == 400 and b"a WebSocket begins with GET" in body


def test_headers_are_counted(raw: Connect) -> None:
    one = raw()
    one.send(f"GET /healthz HTTP/1.1\r\nHost: {one.host}\r\n".encode() + b"a: b\r\n" * 600 + b"\r\n")
    assert one.answer()[0] == 431


# ---- how many


def test_of_too_many_connections_the_newest_is_refused() -> None:
    with serve(str(APPS / "basic.py"), max_connections=6) as served:
        ask = f"GET /healthz HTTP/1.1\r\nHost: {urlsplit(served.url).netloc}\r\n\r\n".encode()

        def asked() -> tuple[int, bytes]:
            one = Raw(served.url)
            try:
                return one.send(ask).answer()
            finally:
                one.socket.close()

        def under_way() -> Raw:
            one = Raw(served.url)
            head = CHUNKED.format(path="/acme/echo", host=one.host).replace(
                "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"
            )
            assert one.send(head.encode()).socket.recv(100).startswith(b"HTTP/1.1 100")
            return one

        busy = [under_way() for _ in range(5)]
        idle = []
        for _ in range(20):  # those that have nothing under way make room for each other
            idle.append(Raw(served.url).send(ask))
            assert idle[-1].answer()[0] == 200
        busy.append(under_way())
        status, body = asked()
        assert status == 503 and b"max_connections" in body
        busy[0].socket.close()
        eventually(lambda: asked()[0] == 200)
        for one in (*busy, *idle):
            one.socket.close()


def test_a_key_has_a_number_of_connections() -> None:
    with serve(str(APPS / "basic.py"), max_connections_per_key=2) as served:
        keys = [make_key(served), make_key(served)]
        host = urlsplit(served.url).netloc

        def ask(one: Raw, key: str) -> int:
            one.send(f"GET /api/v1/files HTTP/1.1\r\nHost: {host}\r\nAuthorization: Key {key}\r\n\r\n".encode())
            return one.answer()[0]

        first = [Raw(served.url) for _ in range(3)]
        assert [ask(one, keys[0]) for one in first] == [200, 200, 429]
        other = Raw(served.url)
        assert ask(other, keys[1]) == 200
        first[0].socket.close()
        eventually(lambda: ask(first[2], keys[0]) == 200)
        for one in (*first[1:], other):
            one.socket.close()
