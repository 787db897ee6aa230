"""HTTP as nobody should send it: what is ambiguous is refused, and never taken for two requests or for another's."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from pondage.testing import ServedApp

RUN = b'{"x": 1}'
HIDDEN = 'POST /acme/echo HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 8\r\n\r\n{{"x": 9}}'
"""A request within a request: its answer would be {"y": 10}."""


def exchanged(echo: ServedApp, data: bytes, *, more: bool = True) -> bytes:
    """All that is answered until the server hangs up; without `more` it hears that nothing else comes."""
    at = urlsplit(echo.url)
    with socket.create_connection((str(at.hostname), int(at.port or 80)), timeout=10) as connection:
        connection.sendall(data)
        if not more:
            connection.shutdown(socket.SHUT_WR)
        came = b""
        try:
            while piece := connection.recv(65536):
                came += piece
        except ConnectionResetError:
            pass
    return came


def post(echo: ServedApp, *lines: str, body: bytes = RUN, host: bool = True, end: str = "\r\n") -> bytes:
    head = ["POST /acme/echo HTTP/1.1", *([f"Host: {urlsplit(echo.url).netloc}"] if host else []), *lines, "", ""]
    return end.join(head).encode("latin-1") + body


CHUNKS = b"8\r\n" + RUN + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 8", "Content-Length: 9"),
        ("Content-Length: 8", "Content-Length: 8"),
        ("Content-Length: 8, 8",),
        ("Content-Length: +8",),
        ("Content-Length: -8",),
        ("Content-Length: 0x8",),
        ("Content-Length: 8 8",),
        ("Content-Length: 8.0",),
        ("Content-Length:",),
        ("Content-Length: 18446744073709551624",),
        ("Content-Length: 8", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 8"),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: chunked, gzip",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: gzip"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("Content-Length : 8",),
        ("Content-Length: 8", " folded: 1"),
        ("Content-Length: 8", "X: 1\rY: 2"),
        ("Content-Length: 8", "X: 1\nY: 2"),
        ("Content-Length: 8", "X: 1\x00"),
        ("Content-Length: 8", "no colon"),
        ("Content-Length: 8", ": no name"),
        ("Content-Length: 8", "X Y: 1"),
        ("Content-Length: 8", "Host: other.example"),
    ],
)
def test_lengths_and_headers_that_mean_two_things_are_400(echo: ServedApp, lines: tuple[str, ...]) -> None:
    came = exchanged(echo, post(echo, *lines))
    assert came.startswith(b"HTTP/1.1 400 ") and came.count(b"HTTP/1.1 ") == 1, came
    assert json.loads(came.partition(b"\r\n\r\n")[2])["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"g\r\n", b"-1\r\n", b"0x8\r\n" + RUN, b"8 \r\n" + RUN + b"\r\n0\r\n\r\n", b"\r\n8\r\n" + RUN,
        b"8\n" + RUN + b"\n0\n\n", b"8\r" + RUN, b"8\r\n" + RUN + b"0\r\n\r\n", b"7\r\n" + RUN + b"\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n" + RUN, b"8;\n" + RUN, b"8\r\n" + RUN + b"\r\n0\r\nbad trailer\r\n\r\n",
    ],
)  # fmt: skip
def test_chunks_that_are_none_are_refused_and_run_nothing(echo: ServedApp, body: bytes) -> None:
    came = exchanged(echo, post(echo, "Transfer-Encoding: chunked", body=body), more=False)
    assert b'{"y"' not in came and b" 200 " not in came, came


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_lines_that_end_otherwise_are_400(echo: ServedApp, end: str) -> None:
    came = exchanged(echo, post(echo, "Content-Length: 8", end=end), more=False)
    assert b'{"y"' not in came and (not came or came.startswith(b"HTTP/1.1 400 ")), came


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (("Content-Length: 8", "Transfer-Encoding: chunked"), CHUNKS),
        (("Transfer-Encoding: identity", "Content-Length: 8"), RUN),
        (("Transfer-Encoding: chunked",), b"8\r\n" + RUN + b"\r\n0\r\nX: y\r\n\r\n"),
        (("Content-Length: 8",), RUN),
        (("Content-Length: 0", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
    ],
)
def test_no_request_hides_in_another(echo: ServedApp, lines: tuple[str, ...], body: bytes) -> None:
    """What follows is the next request, or the connection ends; nothing is left over for somebody else's to follow."""
    hidden = HIDDEN.format(host=urlsplit(echo.url).netloc).encode()
    came = exchanged(echo, post(echo, *lines, body=body + hidden))
    first = came.split(b"\r\n", 1)[0]
    assert first.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), came
    assert (b'{"y":10}' in came) == first.startswith(b"HTTP/1.1 200")
    inside = exchanged(echo, post(echo, "Connection: close", f"Content-Length: {len(hidden)}", body=hidden))
    assert inside.count(b"HTTP/1.1 ") == 1 and b'{"y"' not in inside


@pytest.mark.parametrize(
    ("target", "statuses"),
    [
        ("/acme/../healthz", {403, 404, 422}),
        ("/%2e%2e/%2e%2e/etc/passwd", {403, 404, 422}),
        ("/files/..%2f..%2fgateway.json/x", {403, 404, 422}),
        ("/files/%00/x", {403, 404, 422}),
        ("/acme/echo%00", {403, 404, 422}),
        ("/acme/echo%zz", {400, 403, 404, 422}),
        ("/acme%2fecho", {200, 403, 404, 422}),
        ("//acme/echo", {400, 403, 404, 422}),
        ("/acme/echo#fragment", {200, 400, 403, 404, 422}),
        ("/queue/acme/echo/requests/%0d%0aSet-Cookie:%20a=b/status", {404}),
    ],
)
def test_paths_lead_nowhere_else_and_into_no_header(echo: ServedApp, target: str, statuses: set[int]) -> None:
    host = urlsplit(echo.url).netloc
    came = exchanged(echo, f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX: y\r\n\r\n".encode())
    head, _, body = came.partition(b"\r\n\r\n")
    assert int(head.split()[1]) in statuses, came
    assert b"set-cookie" not in head.lower() and b"root:" not in body and b"Traceback" not in body


@pytest.mark.parametrize("method", ["GET\t", "get", "GE T", "G\x00T", "{}", "A" * 100])
def test_methods_that_are_none_are_refused(echo: ServedApp, method: str) -> None:
    host = urlsplit(echo.url).netloc
    came = exchanged(echo, f"{method} /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
    assert came.startswith(b"HTTP/1.1 4"), came
