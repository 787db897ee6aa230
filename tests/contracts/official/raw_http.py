"""HTTP as it is written on the wire: the headers that a client sends, in its order and spelling, and no others."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Headers = Sequence[tuple[str, str]]

LIMIT = 30.0


class Elsewhere(NamedTuple):
    """Where a host name is made to lead, as a line in /etc/hosts would, and whom to trust there."""

    port: int
    tls: ssl.SSLContext

    def plain(self) -> socket.socket:
        """A connection before its handshake."""
        return socket.create_connection(("127.0.0.1", self.port), LIMIT)

    def secure(self, host: str) -> ssl.SSLSocket:
        """A connection whose other side has shown a certificate for `host`."""
        return self.tls.wrap_socket(self.plain(), server_hostname=host)


class Answer(NamedTuple):
    """A whole answer. Names of headers are looked up in any case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        return json.loads(self.body)


def send(
    method: str, url: str, headers: Headers, body: bytes | None = None, *, elsewhere: Elsewhere | None = None
) -> Answer:
    """Send a request and read the whole answer."""
    with begin(method, url, headers, body, elsewhere=elsewhere) as response:
        return Answer(response.status, response.headers, response.read())


@contextmanager
def begin(
    method: str, url: str, headers: Headers, body: bytes | None = None, *, elsewhere: Elsewhere | None = None
) -> Iterator[http.client.HTTPResponse]:
    """Send a request; the answer's body is the caller's to read. `Host` and `Content-Length` are added."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=LIMIT)
    if elsewhere is not None:
        connection.sock = elsewhere.secure(parts.hostname or "")
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None or method in {"POST", "PUT"}:
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()
