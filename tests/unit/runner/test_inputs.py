"""What is kept of inputs from outside: within its room, and good for requests that go on after it is dropped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pondage.outbound import OutboundError
from pondage.runner.inputs import Inputs

SIZE = 1000


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """A URL below which everything has `SIZE` bytes and an ETag; and the paths whose bytes were sent."""
    sent: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            unchanged = self.headers.get("If-None-Match") == '"a"'
            if not unchanged:
                sent.append(self.path)
            self.send_response(304 if unchanged else 200)
            self.send_header("ETag", '"a"')
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", "0" if unchanged else str(SIZE))
            self.end_headers()
            if not unchanged:
                self.wfile.write(self.path[-1:].encode() * SIZE)

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", sent
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def names(tmp_path: Path) -> Callable[[], Path]:
    numbers = iter(range(1000))
    return lambda: tmp_path / f"{next(numbers)}.png"


def test_what_was_used_longest_ago_goes_and_its_copies_stay(
    outside: tuple[str, list[str]], names: Callable[[], Path]
) -> None:
    url, sent = outside
    inputs = Inputs(2 * SIZE, timeout=10, allow_private=True)
    copies = {}
    for page in "abac":  # c drives b out
        copies[page] = names()
        assert inputs.fetch(url + page, copies[page], SIZE) == "image/png"
    assert sent == ["/a", "/b", "/c"]
    assert all(path.read_bytes() == page.encode() * SIZE for page, path in copies.items())
    assert copies["b"].stat().st_mode & 0o777 == 0o444
    inputs.fetch(url + "b", names(), SIZE)
    assert sent[-1] == "/b"


def test_without_room_nothing_is_kept(outside: tuple[str, list[str]], names: Callable[[], Path]) -> None:
    url, sent = outside
    inputs = Inputs(0, timeout=10, allow_private=True)
    for _ in range(2):
        inputs.fetch(url + "a", names(), SIZE)
    assert sent == ["/a", "/a"]


def test_a_tighter_limit_holds_for_what_is_kept(outside: tuple[str, list[str]], names: Callable[[], Path]) -> None:
    url, _ = outside
    inputs = Inputs(2 * SIZE, timeout=10, allow_private=True)
    inputs.fetch(url + "a", names(), SIZE)
    with pytest.raises(OutboundError) as caught:
        inputs.fetch(url + "a", names(), SIZE - 1)
    assert caught.value.error_type == "file_too_large"
