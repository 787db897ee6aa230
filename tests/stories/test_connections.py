"""What comes over a socket that no client library would send, and the answer to each."""

from __future__ import annotations

import gc
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pondage.gateway.connections.connection import Connection
from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"
RUN = b'{"x": 1}'


class Answer:
    """One HTTP answer off a socket."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> dict[str, object]:
        decoded: dict[str, object] = json.loads(self.body)
        return decoded


class Wire:
    """A plain connection to the gateway."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        assert at.hostname is not None
        self.host = at.netloc
        self._socket = socket.create_connection((at.hostname, at.port or 80), timeout=10)
        self._reader = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> Answer | None:
        """The next answer; None where the gateway hangs up."""
        try:
            line = self._reader.readline()
            if not line:
                return None
            headers: dict[str, str] = {}
            while (field := self._reader.readline().strip()) != b"":
                name, _, value = field.partition(b":")
                headers[name.decode().lower()] = value.strip().decode()
            body = self._reader.read(int(headers.get("content-length", "0")))
        except ConnectionResetError:
            return None
        return Answer(int(line.split()[1]), headers, body)

    def until(self, text: bytes) -> bytes:
        """What comes up to `text`."""
        came = b""
        while text not in came:
            came += (piece := self._reader.read1())
            assert piece, f"the gateway hung up before {text!r}"
        return came

    def rest(self) -> bytes:
        """What comes until the gateway hangs up."""
        return self._reader.read()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


Dial = Callable[[], Wire]


def _dialling(url: str) -> Iterator[Dial]:
    opened: list[Wire] = []

    def dial() -> Wire:
        opened.append(Wire(url))
        return opened[-1]

    yield dial
    for wire in opened:
        wire.close()


@pytest.fixture
def dial(echo: ServedApp) -> Iterator[Dial]:
    yield from _dialling(echo.url)


def post(host: str, path: str = "/acme/echo", body: bytes = RUN, version: str = "1.1", more: str = "") -> bytes:
    head = f"POST {path} HTTP/{version}\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode("latin-1") + body


def ask(wire: Wire, data: bytes) -> Answer:
    wire.send(data)
    answer = wire.answer()
    assert answer is not None, "the gateway hung up"
    return answer


def test_a_connection_that_was_reset_keeps_nothing(dial: Dial) -> None:
    """Neither its head nor a timer, though an idle connection would have been kept for longer."""

    def kept() -> int:
        gc.collect()
        return sum(isinstance(one, Connection) for one in gc.get_objects())

    before = kept()
    for _ in range(20):
        wire = dial()
        wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert ask(wire, post(wire.host, more="X-Pad: p\r\n")).status == 200
        wire.close()
    end = time.monotonic() + 20
    while kept() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert kept() <= before


def test_headers_in_any_case_and_order(dial: Dial) -> None:
    wire = dial()
    for name in ("host", "HOST", "HoSt"):
        data = (
            f"POST /acme/echo HTTP/1.1\r\ncontent-LENGTH: 8\r\nX-Other: 1\r\n{name}:{wire.host}\r\n\r\n".encode() + RUN
        )
        assert ask(wire, data).json() == {"y": 2}


def test_http_1_0_without_a_host(dial: Dial) -> None:
    wire = dial()
    answer = ask(wire, b"POST /acme/echo HTTP/1.0\r\nContent-Length: 8\r\n\r\n" + RUN)
    assert answer.json() == {"y": 2}
    assert wire.answer() is None  # 1.0: one request a connection


def test_many_requests_in_one_piece_are_answered_in_their_order(dial: Dial) -> None:
    wire = dial()
    wire.send(b"".join(post(wire.host, body=b'{"x": %d}' % n) for n in range(20)))
    for n in range(20):
        answer = wire.answer()
        assert answer is not None and answer.json() == {"y": n + 1}


def test_a_request_in_many_pieces(dial: Dial) -> None:
    wire = dial()
    for byte in post(wire.host):
        wire.send(bytes([byte]))
    answer = wire.answer()
    assert answer is not None and answer.json() == {"y": 2}


def test_a_body_in_chunks(dial: Dial) -> None:
    wire = dial()
    head = f"POST /acme/echo HTTP/1.1\r\nHost: {wire.host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert ask(wire, head + b'4\r\n{"x"\r\n4\r\n: 1}\r\n0\r\n\r\n').json() == {"y": 2}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: example.com\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: local host\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: example.com\r\n\r\n", 421),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: 1\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 40_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000, 431),
    ],
)
def test_what_is_no_request_is_refused_in_fals_shape(dial: Dial, data: bytes, status: int) -> None:
    answer = ask(dial(), data)
    assert answer.status == status
    detail = answer.json()["detail"]
    assert isinstance(detail, str) and detail and "Traceback" not in detail
    assert len(answer.headers["x-fal-request-id"]) == 36


def test_a_refused_head_ends_the_connection(dial: Dial) -> None:
    wire = dial()
    assert ask(wire, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n").status == 431
    assert wire.answer() is None


def test_an_answer_that_has_begun_is_ended_before_the_connection_is(dial: Dial) -> None:
    wire = dial()
    wire.send(post(wire.host, "/acme/echo/stream", b'{"count": 3, "pause": 0.2}'))
    begun = wire.until(b'"i":0')
    wire.send(b"no request\r\n\r\n")
    assert b'"i":2' in begun + wire.rest()


def test_headers_up_to_the_limit_are_taken(dial: Dial) -> None:
    wire = dial()
    assert ask(wire, post(wire.host, more=f"X-Long: {'a' * 60_000}\r\n")).json() == {"y": 2}


@pytest.mark.parametrize("target", ["http://example.com/acme/echo", "http://localhost/acme/echo"])
def test_a_whole_url_as_target_is_never_fetched(dial: Dial, target: str) -> None:
    """We are no proxy: the path is taken as ours, whatever host stands before it."""
    wire = dial()
    assert ask(wire, post(wire.host, path=target)).json() == {"y": 2}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("https://example.com/acme/echo", 400),
        ("https://fal.run.example.com/acme/echo", 400),
        ("https://fal.run@example.com/acme/echo", 400),
        ("https://notfal.run/acme/echo", 400),
        ("ftp://fal.run/acme/echo", 400),
        ("file:///etc/passwd", 400),
        ("fal.run/acme/echo", 400),
        ("http://[::1/acme/echo", 400),
        ("http://169.254.169.254/latest/meta-data", 400),
        ("", 400),
        ("https://fal.run/acme/echo", 200),
        ("https://fal.run/acme/echo/", 200),
        ("https://queue.fal.run/acme/echo", 200),
        ("https://fal.run:443/acme/echo", 200),
        ("https://FAL.RUN/acme/echo", 200),
        ("https://fal.run/queue/acme/echo", 200),
    ],
)
def test_the_proxy_is_never_open(dial: Dial, target: str, status: int) -> None:
    wire = dial()
    answer = ask(wire, post(wire.host, path="/api/fal/proxy", more=f"x-fal-target-url: {target}\r\n"))
    assert answer.status == status, answer.body
    if status == 400:
        assert "detail" in answer.json()


def test_the_proxy_wants_a_target(dial: Dial) -> None:
    wire = dial()
    for path in ("/api/fal/proxy", "/api/fal/proxy/"):
        answer = ask(wire, post(wire.host, path=path))
        assert answer.status == 400 and "x-fal-target-url" in str(answer.json()["detail"])


def test_a_head_that_does_not_end_is_given_up() -> None:
    with serve(str(APPS / "basic.py"), wait=False, header_timeout=0.2) as served:
        for begun, status in ((b"GET / HTTP/1.1\r\nHost: loc", 408), (b"", None)):
            wire = Wire(served.url)
            wire.send(begun)
            answer = wire.answer()
            assert (answer.status if answer else None) == status
            wire.close()
        patient = Wire(served.url)
        assert ask(patient, f"GET /healthz HTTP/1.1\r\nHost: {patient.host}\r\n\r\n".encode()).status == 200
        patient.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.example.com"}, 403),
        ({"Host": "example.com"}, 421),
        ({"Sec-WebSocket-Version": "7"}, 400),
        ({"Origin": "http://localhost:3000"}, 101),
        ({"Origin": "http://[::1]"}, 101),
        ({}, 101),
    ],
)
def test_websockets_of_an_open_server(dial: Dial, headers: dict[str, str], status: int) -> None:
    wire = dial()
    wanted = {
        "Host": wire.host, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    } | headers  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in wanted.items())
    assert ask(wire, f"GET /acme/echo/realtime HTTP/1.1\r\n{lines}\r\n".encode()).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://localhost"}, 200),
        ({"Host": "example.com"}, 421),
        ({"Host": "127.0.0.1.example.com"}, 421),
        ({"Host": "localhost.example.com"}, 421),
        # A page whose name was led to loopback can set these for requests to its own name.
        ({"Host": "example.com", "X-Forwarded-Host": "localhost"}, 403),
        ({"Host": "localhost", "X-Forwarded-Host": "example.com"}, 403),
        ({"Host": "my.localhost"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "LOCALHOST."}, 200),
    ],
)
def test_hosts_and_origins_of_an_open_server(dial: Dial, headers: dict[str, str], status: int) -> None:
    wire = dial()
    lines = "".join(f"{name}: {value}\r\n" for name, value in ({"Host": wire.host} | headers).items())
    answer = ask(wire, f"GET /api/v1/requests HTTP/1.1\r\n{lines}\r\n".encode())
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    "host",
    [
        "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "0", "0.0.0.0",
        "[::]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[fe80::1]", "127.0.0.1.nip.io", "localtest.me",
        "rebind.example",
        "127.0.0.1.rebind.example", "localhost.rebind.example", "rebind.example:8000", "xn--localhst-5fg", "localhost-",
        "localhost..", "127.0.0.1@rebind.example", "rebind.example@127.0.0.1", "127.0.0.1/rebind.example",
        "localhost\\x",
        "rebind.example#localhost", "rebind.example?localhost", "local host",
    ],
)  # fmt: skip
def test_no_other_spelling_of_a_host_is_taken_by_an_open_server(dial: Dial, host: str) -> None:
    wire = dial()
    answer = ask(wire, f"GET /api/v1/requests HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.status in {400, 421}, answer.body


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "WebSocket"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "https://evil.example", "http://evil.example:8000", "null", "file://", "about:blank",
        "data:",
        "chrome-extension://abcdef", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://127.1",
        "http://0x7f000001", "http://2130706433", "http://0.0.0.0", "http://10.0.0.1", "http://localhost@evil.example",
        "http://evil.example#localhost", "http://evil.example/localhost", "http://[::", "localhost",
    ],
)  # fmt: skip
def test_no_page_from_elsewhere_is_let_in_by_an_open_server(dial: Dial, origin: str, method: str) -> None:
    """Also where it asks first, as browsers do for a private network."""
    wire = dial()
    if method == "WebSocket":
        method, more = (
            "GET",
            (
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            ),
        )
        path = "/acme/echo/realtime"
    else:
        more, path = "Access-Control-Request-Private-Network: true\r\nContent-Length: 0\r\n", "/acme/echo"
    head = f"{method} {path} HTTP/1.1\r\nHost: {wire.host}\r\nOrigin: {origin}\r\n{more}\r\n"
    answer = ask(wire, head.encode())
    assert answer.status == 403 and not any(name.startswith("access-control-allow") for name in answer.headers)


@pytest.mark.parametrize("more", ["X-Long: " + "x" * 9000 + "\r\n", "X-Many: 1\r\n" * 200])
def test_a_handshake_that_the_library_does_not_take_is_answered(dial: Dial, more: str) -> None:
    wire = dial()
    lines = (
        f"Host: {wire.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
    answer = ask(wire, f"GET /acme/echo/realtime HTTP/1.1\r\n{lines}".encode())
    assert answer.status == 431 and "detail" in answer.json()
    assert wire.rest() == b""
