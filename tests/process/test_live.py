"""Streams and sessions over kills: nothing missing, nothing twice, and an honest end where there is no other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import psutil
import pytest

from pondage.client import SyncClient
from pondage.testing import GatewayProcess

Start = Callable[..., GatewayProcess]

QUEUE = "/queue/acme/live"


class Reader:
    """Reads a stream over raw HTTP and remembers where it was."""

    def __init__(self, process: GatewayProcess) -> None:
        self.process = process
        self.request_id = ""
        self.last = ""
        self.ids: list[str] = []
        self.seen: list[int] = []
        self.error: dict[str, Any] | None = None

    def begin(self, path: str, body: dict[str, Any]) -> Iterator[int]:
        yield from self._read("POST", f"/acme/live{path}/stream", json=body)

    def go_on(self) -> Iterator[int]:
        after = {"last-event-id": self.last} if self.last else {}
        yield from self._read("GET", f"{QUEUE}/requests/{self.request_id}/stream", headers=after)

    def _read(self, method: str, url: str, **more: Any) -> Iterator[int]:
        with httpx2.Client(base_url=self.process.url, timeout=30) as http:
            try:
                with http.stream(method, url, **more) as answer:
                    assert answer.status_code == 200, answer.read()
                    self.request_id = answer.headers["x-fal-request-id"]
                    yield -1
                    rest = ""
                    for text in answer.iter_text():
                        *blocks, rest = (rest + text).split("\n\n")
                        for block in blocks:
                            yield from self._take(block)
            except httpx2.TransportError:
                return

    def _take(self, block: str) -> Iterator[int]:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" not in fields:
            return
        data = json.loads(fields["data"])
        if fields.get("event") == "error":
            self.error = data
            return
        self.last = fields["id"]
        self.ids.append(self.last)
        self.seen.append(data["i"])
        yield data["i"]


def until_seen(chunks: Iterator[int], n: int) -> None:
    for i in chunks:
        if i >= n:
            return
    pytest.fail(f"the stream ended before chunk {n}")


def test_a_stream_survives_the_kill_of_its_gateway_twice(gateway: Start) -> None:
    process = gateway("live.py")
    process.start()
    reader = Reader(process)
    chunks = reader.begin("/ticks", {"count": 400, "pause": 0.01})
    for at in (40, 80):
        until_seen(chunks, at)
        process.kill()
        list(chunks)
        process.start(ready=False)
        chunks = reader.go_on()
    list(chunks)
    assert reader.error is None
    assert reader.seen == list(range(400))
    assert reader.ids == [f"1-{n}" for n in range(1, 401)], "the same attempt, numbered on"


def test_a_stream_of_a_killed_runner_ends_with_an_error(gateway: Start) -> None:
    process = gateway("live.py")
    process.start()
    reader = Reader(process)
    chunks = reader.begin("/ticks", {"count": 1000, "pause": 0.01})
    until_seen(chunks, 10)
    process.kill_runners()
    list(chunks)
    assert reader.error is not None
    assert (reader.error["status"], reader.error["error_type"]) == (500, "runner_disconnected")
    assert reader.seen == list(range(len(reader.seen)))
    list(reader.go_on())
    assert reader.error["error_type"] == "runner_disconnected", "and says so again"


def test_a_stream_may_run_again_where_its_author_says_so(gateway: Start) -> None:
    process = gateway("live.py")
    process.start()
    reader = Reader(process)
    chunks = reader.begin("/ticks/again", {"count": 100, "pause": 0.01})
    until_seen(chunks, 10)
    process.kill_runners()
    list(chunks)
    assert reader.error is None
    first = [n for n in reader.ids if n.startswith("1-")]
    assert reader.ids == first + [f"2-{n}" for n in range(1, 101)]
    assert reader.seen == [*range(len(first)), *range(100)]


def test_when_all_fails_at_once_the_stream_is_ended_honestly(gateway: Start) -> None:
    process = gateway("live.py")
    process.start()
    reader = Reader(process)
    chunks = reader.begin("/ticks", {"count": 1000, "pause": 0.01})
    until_seen(chunks, 20)
    process.kill_everything()
    list(chunks)
    seen = list(reader.seen)
    process.start()
    list(reader.go_on())
    assert reader.error is not None and reader.error["error_type"] == "runner_disconnected"
    assert reader.seen == seen, "what was shown stays true, and nothing is added to it"
    view = httpx2.get(f"{process.url}/api/v1/requests/{reader.request_id}").json()
    assert (view["outcome"], view["attempt"]) == ("error", 1)


def test_a_stop_lets_a_stream_finish_within_its_grace(gateway: Start) -> None:
    process = gateway("live.py", grace=20.0)
    process.start()
    reader = Reader(process)
    chunks = reader.begin("/ticks", {"count": 100, "pause": 0.01})
    until_seen(chunks, 10)
    stopping = threading.Thread(target=process.stop)
    stopping.start()
    list(chunks)
    stopping.join(30)
    assert reader.seen == list(range(100)) and reader.error is None


def test_a_stop_after_its_grace_ends_a_stream_that_was_seen(gateway: Start) -> None:
    process = gateway("live.py", grace=0.3)
    process.start()
    reader = Reader(process)
    chunks = reader.begin("/ticks", {"count": 5000, "pause": 0.01})
    until_seen(chunks, 10)
    assert process.stop() == 0
    list(chunks)
    process.start()
    list(reader.go_on())
    assert reader.error is not None and "stopped" in reader.error["detail"]
    assert reader.seen == list(range(len(reader.seen)))


def test_a_stop_breaks_off_a_stream_that_has_not_begun(gateway: Start) -> None:
    """Its request stays queued, and its reader comes back to the next server."""
    process = gateway("single.py", "live.py", grace=0.3)
    process.start()
    with httpx2.Client(base_url=process.url) as http:
        first = http.post("/queue/acme/single/slow", json={"seconds": 60}).json()["request_id"]
        second = http.post("/queue/acme/single/slow", json={"seconds": 0.1}).json()["request_id"]
    reader = Reader(process)
    reader.request_id = second
    chunks = reader.go_on()
    next(chunks)
    assert process.stop() == 0
    list(chunks)
    assert reader.error is None
    process.start()
    with httpx2.Client(base_url=process.url) as http:
        http.put(f"/queue/acme/single/requests/{first}/cancel")
    list(reader.go_on())
    assert reader.error is None and reader.request_id == second


def test_a_slow_reader_costs_the_gateway_no_memory(gateway: Start) -> None:
    process = gateway("live.py", chunk_buffer_bytes=1024 * 1024)
    process.start()
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        http.post("/acme/live/made", json={})
        own = psutil.Process(process.pid)
        runner = psutil.Process(process.runner_pids()[0])
        before = own.memory_info().rss, runner.memory_info().rss
        with http.stream("POST", "/acme/live/ticks/stream", json={"count": 1500, "size": 60_000}) as answer:
            request_id = answer.headers["x-fal-request-id"]
            ended = http.get(f"{QUEUE}/requests/{request_id}", headers={"prefer": "wait=60"})
            assert ended.status_code == 200
            after = own.memory_info().rss, runner.memory_info().rss
            read = sum(len(piece) for piece in answer.iter_bytes())
    assert read > 90_000_000
    assert max(b - a for a, b in zip(before, after, strict=True)) < 45_000_000, "of 90 MB that nobody had read"


def test_our_client_goes_on_by_itself(gateway: Start) -> None:
    process = gateway("live.py")
    process.start()
    with SyncClient(base_url=process.url) as client:
        seen = []
        for chunk in client.stream("acme/live/ticks", {"count": 200, "pause": 0.01}):
            seen.append(chunk["i"])
            if chunk["i"] == 50:
                process.kill()
                process.start(ready=False)
        assert seen == list(range(200))


def test_our_client_connects_to_another_runner(gateway: Start) -> None:
    process = gateway("live.py")
    process.start()
    results: list[Any] = []
    errors: list[Any] = []
    with SyncClient(base_url=process.url) as client:
        session = client.realtime.connect(
            "acme/live", on_result=results.append, on_error=errors.append, throttle_interval=0
        )

        def until_answered(n: int) -> None:
            end = time.monotonic() + 30
            while {"n": n / 2} not in results and time.monotonic() < end:
                session.send({"n": n})
                time.sleep(0.05)
            assert {"n": n / 2} in results, errors

        until_answered(2)
        process.kill_runners()
        until_answered(4)
        process.kill()
        process.start()
        until_answered(6)
        session.close()
