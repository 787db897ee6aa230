"""A receiver of webhooks on loopback, which answers as a test says and remembers what came."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Came(NamedTuple):
    """One POST. `at` is wall time in seconds."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


Behave = Callable[[Came, int], tuple[int, dict[str, str]]]
"""What to answer to a delivery that came for the n-th time."""


class WebhookReceiver:
    """`behave` decides each answer; 204 without it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.came: list[Came] = []
        self.behave: Behave = lambda came, n: (204, {})
        self._changed = threading.Condition()

    def take(self, came: Came) -> tuple[int, dict[str, str]]:
        with self._changed:
            self.came.append(came)
            n = sum(1 for other in self.came if other.headers["webhook-id"] == came.headers["webhook-id"])
            self._changed.notify_all()
        return self.behave(came, n)

    def until(self, enough: Callable[[list[Came]], bool], timeout: float = 30.0) -> list[Came]:
        """Wait until what came is enough."""
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self.came), timeout), [c.path for c in self.came]
            return list(self.came)

    def count(self, number: int) -> list[Came]:
        return self.until(lambda came: len(came) >= number)


@contextmanager
def receiving(port: int = 0) -> Iterator[WebhookReceiver]:
    """A receiver that listens inside the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = receiver.take(Came(self.path, headers, body, time.time()))
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    with Server(("127.0.0.1", port), Handler) as server:
        receiver = WebhookReceiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
