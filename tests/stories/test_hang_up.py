"""A caller who hangs up on `run`: closing the connection is the cancel, and no process is ended for it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest

from pondage.testing import ServedApp, serve

from ..apps.gates import Gate

APPS = Path(__file__).parents[1] / "apps"
LIMIT = 30.0
GRACE = 0.2


class Stand(NamedTuple):
    """The server, a plain client of it, and what the executions write down."""

    served: ServedApp
    http: httpx2.Client
    journal: Path
    gate: Gate

    def call(self, path: str, word: str, **headers: str) -> socket.socket:
        """Send a `run`, and come back with its connection."""
        body = json.dumps({"journal": str(self.journal), "gate": str(self.gate), "word": word}).encode()
        host = urlsplit(self.served.url).netloc
        lines = [f"POST {path} HTTP/1.1", f"host: {host}", f"content-length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        name, _, port = host.partition(":")
        connection = socket.create_connection((name, int(port)), LIMIT)
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return connection

    def until(self, what: Callable[[], Any]) -> Any:
        end = time.monotonic() + LIMIT
        while not (found := what()):
            assert time.monotonic() < end, self.journal.read_text()
            time.sleep(0.01)
        return found

    def wrote(self, line: str) -> None:
        self.until(lambda: line in self.journal.read_text().splitlines())

    def views(self, app: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.http.get("/api/v1/requests", params={"app": app}).json()["items"]
        return items

    def newest(self, app: str, state: str) -> dict[str, Any]:
        """The newest request of the app, once it is in this state."""

        def found() -> dict[str, Any] | None:
            views = self.views(app)
            return views[0] if views and views[0]["state"] == state else None

        view: dict[str, Any] = self.until(found)
        return view

    def pids(self) -> set[int]:
        return {runner["pid"] for runner in self.http.get("/api/v1/runners").json()["items"]}


@pytest.fixture(scope="module")
def served() -> Iterator[ServedApp]:
    with serve(str(APPS / "counted.py"), cancel_grace=GRACE, heartbeat=0.4) as served:
        yield served


@pytest.fixture
def stand(served: ServedApp, tmp_path: Path) -> Iterator[Stand]:
    journal = tmp_path / "journal"
    journal.touch()
    with httpx2.Client(base_url=served.url, timeout=LIMIT) as http:
        yield Stand(served, http, journal, Gate(tmp_path / "gate"))


def test_a_queued_one_ends(stand: Stand) -> None:
    with stand.call("/acme/narrow", "first"):
        stand.wrote("begun first")
        stand.call("/acme/narrow", "second").close()
        view = stand.newest("acme/narrow", "COMPLETED")
        assert (view["outcome"], view["attempt"]) == ("cancelled", 0)
        stand.gate.open()
        stand.wrote("ended first")
    assert "begun second" not in stand.journal.read_text()


def test_an_asynchronous_one_is_told(stand: Stand) -> None:
    pids = stand.pids()
    with stand.call("/acme/counted/told", "x"):
        stand.wrote("begun x")
    stand.wrote("CancelledError x")
    assert stand.newest("acme/counted", "COMPLETED")["outcome"] == "cancelled"
    assert stand.pids() == pids


def test_a_thread_is_told_and_its_process_lives(stand: Stand) -> None:
    pids = stand.pids()
    with stand.call("/acme/counted/thread", "y"):
        stand.wrote("begun y")
    stand.wrote("told y")
    assert stand.newest("acme/counted", "COMPLETED")["outcome"] == "cancelled"
    time.sleep(4 * GRACE)  # whatever would end the process comes within twice the grace
    assert stand.pids() == pids
    stand.gate.open()
    stand.wrote("ended y")
    body = {"journal": str(stand.journal), "gate": str(stand.gate), "word": "next"}
    assert stand.http.post("/acme/counted", json=body).json() == {"word": "next"}
    assert stand.pids() == pids


@pytest.mark.parametrize("headers", [{"idempotency_key": "k1"}, {"pondage_on_disconnect": "keep"}])
def test_who_can_come_back_or_says_so_keeps_it(stand: Stand, headers: dict[str, str]) -> None:
    with stand.call("/acme/counted/told", "z", **headers):
        stand.wrote("begun z")
    stand.gate.open()
    stand.wrote("ended z")
    assert stand.newest("acme/counted", "COMPLETED")["outcome"] == "ok"


def test_a_key_does_not_keep_what_the_caller_wants_cancelled(stand: Stand) -> None:
    with stand.call("/acme/counted/told", "w", idempotency_key="k2", pondage_on_disconnect="cancel"):
        stand.wrote("begun w")
    stand.wrote("CancelledError w")


def test_repeats_after_a_time_limit_do_not_pile_up(stand: Stand) -> None:
    for n in range(5):
        with stand.call("/acme/counted/told", f"try {n}"):
            stand.wrote(f"begun try {n}")
    for n in range(5):
        stand.wrote(f"CancelledError try {n}")
    running = [view for view in stand.views("acme/counted") if view["state"] == "IN_PROGRESS"]
    assert running == []
