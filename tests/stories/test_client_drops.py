"""The connection is cut at random bytes, again and again: a caller misses nothing and gets nothing twice."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from pondage.client import Completed, InProgress, SyncClient, limits
from pondage.testing import ServedApp


class Saboteur:
    """Passes bytes between a caller and a server, and cuts every connection after a random number of the server's."""

    def __init__(self, url: str, seed: int, longest: int) -> None:
        self._to = (urlsplit(url).hostname, urlsplit(url).port)
        self._random = random.Random(seed)
        self._longest = longest
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._to)
            budget = self._random.randint(1, self._longest)
            threading.Thread(target=self._pump, args=(caller, server, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, caller, budget), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, budget: int | None) -> None:
        try:
            while data := source.recv(65536):
                if budget is not None and len(data) >= budget:
                    sink.sendall(data[:budget])
                    self.cuts += 1
                    break
                sink.sendall(data)
                budget = None if budget is None else budget - len(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(params=range(3))
def saboteur(echo: ServedApp, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Saboteur]:
    monkeypatch.setattr(limits, "BACKOFF", 0.001)
    monkeypatch.setattr(limits, "FIRST_CONTACT_ATTEMPTS", limits.MAX_ATTEMPTS)
    saboteur = Saboteur(echo.url, request.param, 9000)
    yield saboteur
    saboteur.close()


@pytest.fixture
def client(saboteur: Saboteur) -> Iterator[SyncClient]:
    with SyncClient(base_url=saboteur.url, max_attempts=30) as client:
        yield client


def test_chunks(saboteur: Saboteur, client: SyncClient) -> None:
    seen = [chunk["i"] for chunk in client.stream("acme/echo", {"count": 4000})]
    assert seen == list(range(4000))
    assert saboteur.cuts > 5


def test_logs(saboteur: Saboteur, client: SyncClient) -> None:
    for _ in range(10):
        handle = client.submit("acme/echo/slow", {"seconds": 0.1, "steps": 20})
        lines: list[str] = []
        for status in handle.iter_events(with_logs=True):
            if isinstance(status, InProgress | Completed):
                lines += [entry["message"] for entry in status.new_logs]
        assert lines == [f"step {n}" for n in range(20)]
        assert handle.get() == {"seconds": 0.1}
    assert saboteur.cuts > 5


def test_runs(saboteur: Saboteur, client: SyncClient) -> None:
    assert [client.run("acme/echo", {"x": n})["y"] for n in range(50)] == list(range(1, 51))
    assert saboteur.cuts > 0
