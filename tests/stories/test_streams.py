"""Chunks: seen by several, taken up again, never more in memory than a window, ended honestly."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pondage.testing import ServedApp, serve

from ..apps.gates import Gate
from .conftest import APPS

QUEUE = "/queue/acme/live"


@pytest.fixture(scope="module")
def live() -> Iterator[ServedApp]:
    with serve(str(APPS / "live.py"), chunk_buffer_bytes=256 * 1024, keep_alive_interval=0.2) as served:
        yield served


@pytest.fixture
def http(live: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live.url, timeout=60) as client:
        yield client


def read(response: httpx2.Response) -> Iterator[tuple[str, Any]]:
    """`(id, data)` of each event as it comes."""
    rest = ""
    for text in response.iter_text():
        *blocks, rest = (rest + text).split("\n\n")
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                yield fields.get("id", ""), json.loads(fields["data"])


def until(true: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := true():
            return value
        time.sleep(0.02)
    pytest.fail("it did not come about")


LINES = "one \x85 two \u2028 three \u2029 four \x1c five \x0b six \x0c seven ä"
TALKER = f"""
import pondage

class Talker(pondage.App, name="acme/talker"):
    @pondage.endpoint("/")
    def run(self) -> str:
        print({LINES!r})
        pondage.current_request.progress(1, 2, {LINES!r})
        raise ValueError({LINES!r})

    @pondage.endpoint("/parts")
    def parts(self):
        yield {LINES!r}
        raise pondage.FieldException("x", {LINES!r})
"""


def test_no_reader_of_lines_cuts_an_event(tmp_path: Path) -> None:
    """`str.splitlines`, as most of them use it, ends a line at more characters than the two of the standard."""
    (tmp_path / "talker.py").write_text(TALKER)
    with serve(str(tmp_path / "talker.py")) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        ticket = http.post("/queue/acme/talker", json={}).json()
        with http.stream("GET", ticket["status_url"] + "/stream?logs=1") as answer:
            events = [json.loads(line[5:]) for line in answer.iter_lines() if line.startswith("data:")]
        assert LINES in "".join(log["message"] for event in events for log in event["logs"])
        for path in ("/acme/talker/parts/stream", "/queue/acme/talker/parts"):
            answered = http.post(path, json={})
            if "queue" in path:
                answered = http.get(answered.json()["response_url"] + "/stream")
            assert answered.content.isascii()
            chunk, error = [json.loads(line[5:]) for line in answered.text.splitlines() if line.startswith("data:")]
            assert chunk == LINES and error["detail"][0]["msg"] == LINES


def test_several_callers_watch_one_request(http: httpx2.Client) -> None:
    with http.stream("POST", "/acme/live/ticks/stream", json={"count": 60, "pause": 0.01}) as first:
        request_id = first.headers["x-fal-request-id"]

        def watch(n: int) -> list[int]:
            after = {"last-event-id": f"1-{n}"} if n else {}
            with http.stream("GET", f"{QUEUE}/requests/{request_id}/stream", headers=after) as answer:
                return [data["i"] for _, data in read(answer)]

        with ThreadPoolExecutor(6) as pool:
            others = list(pool.map(watch, [0, 0, 5, 10, 20, 0]))
        own = [data["i"] for _, data in read(first)]
    assert own == list(range(60))
    assert others == [list(range(n, 60)) for n in (0, 0, 5, 10, 20, 0)]


def test_an_id_that_is_none_of_ours_is_refused(http: httpx2.Client) -> None:
    request_id = http.post(f"{QUEUE}/ticks", json={}).json()["request_id"]
    for wrong in ("x", "1", "1-x", "-1-2", "1-2-3"):
        answer = http.get(f"{QUEUE}/requests/{request_id}/stream", headers={"last-event-id": wrong})
        assert answer.status_code == 400, wrong


@pytest.mark.parametrize(("path", "header"), [("/ticks", "cancel"), ("/ticks/sync", "cancel"), ("/ticks/cancel", "")])
def test_leaving_cancels_where_it_was_asked_for(http: httpx2.Client, tmp_path: Path, path: str, header: str) -> None:
    mark = tmp_path / "mark"
    asked = {"pondage-on-disconnect": header} if header else {}
    body = {"count": 10_000, "pause": 0.01, "mark": str(mark)}
    with http.stream("POST", f"/acme/live{path}/stream", json=body, headers=asked) as answer:
        request_id = answer.headers["x-fal-request-id"]
        assert next(read(answer))[1]["i"] == 0
    result = http.get(f"{QUEUE}/requests/{request_id}", headers={"prefer": "wait=20"})
    assert result.status_code == 499
    assert until(mark.exists), "its `finally` has run"


@pytest.mark.parametrize(("path", "header"), [("/ticks", ""), ("/ticks/cancel", "keep")])
def test_leaving_keeps_it_otherwise(http: httpx2.Client, path: str, header: str) -> None:
    asked = {"pondage-on-disconnect": header} if header else {}
    with http.stream("POST", f"/acme/live{path}/stream", json={"count": 30, "pause": 0.01}, headers=asked) as answer:
        request_id = answer.headers["x-fal-request-id"]
        last, _ = next(read(answer))
    back = {"last-event-id": last}
    with http.stream("GET", f"{QUEUE}/requests/{request_id}/stream", headers=back) as answer:
        assert [data["i"] for _, data in read(answer)] == list(range(1, 30))


def test_what_leaving_means_is_one_of_two(live: ServedApp, http: httpx2.Client) -> None:
    request_id = http.post(f"{QUEUE}/ticks", json={}).json()["request_id"]
    asked = {"pondage-on-disconnect": "cancle"}
    for answer in (
        http.post("/acme/live/ticks/stream", json={}, headers=asked),
        http.post("/acme/live/ticks", json={}, headers=asked),
        http.post(f"{QUEUE}/ticks", json={}, headers=asked),
        http.get(f"{QUEUE}/requests/{request_id}/stream", headers=asked),
    ):
        assert answer.status_code == 422, answer.text
        [problem] = answer.json()["detail"]
        assert problem["loc"] == ["header", "Pondage-On-Disconnect"] and "'cancle'" in problem["msg"]
    with pytest.raises(InvalidStatus) as refused:
        dial(live, "/acme/live/ticks", additional_headers=asked)
    assert refused.value.response.status_code == 422


def test_who_comes_back_may_ask_again_that_leaving_cancels(http: httpx2.Client, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    body = {"count": 10_000, "pause": 0.01, "mark": str(mark)}
    request_id = http.post(f"{QUEUE}/ticks", json=body).json()["request_id"]
    path = f"{QUEUE}/requests/{request_id}/stream"
    with http.stream("GET", path) as watcher:
        events = read(watcher)
        assert next(events)[1]["i"] == 0
        with http.stream("GET", path, headers={"pondage-on-disconnect": "cancel"}) as answer:
            next(read(answer))
        assert [data for _, data in events][-1]["error_type"] == "client_cancelled"
    assert until(mark.exists)


def test_a_burst_comes_whole_while_nothing_follows(http: httpx2.Client, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    with http.stream("POST", "/acme/live/ticks/burst/stream", json={"count": 3, "gate": str(gate)}) as answer:
        events = read(answer)
        assert [next(events)[1]["i"] for _ in range(3)] == [0, 1, 2]
        gate.open()
        assert [data["i"] for _, data in events] == [3]


def test_a_cancelled_stream_ends_with_the_cancellation(http: httpx2.Client) -> None:
    with http.stream("POST", "/acme/live/ticks/stream", json={"count": 10_000, "pause": 0.01}) as answer:
        events = read(answer)
        next(events)
        http.put(f"{QUEUE}/requests/{answer.headers['x-fal-request-id']}/cancel")
        last = [data for _, data in events][-1]
    assert (last["type"], last["status"], last["error_type"]) == ("error", 499, "client_cancelled")


def test_a_run_limit_ends_a_stream_with_the_limit() -> None:
    with serve(str(APPS / "live.py"), run_timeout=0.5) as served, httpx2.Client(base_url=served.url) as http:
        with http.stream("POST", "/acme/live/ticks/stream", json={"count": 10_000, "pause": 0.01}) as answer:
            last = [data for _, data in read(answer)][-1]
    assert (last["type"], last["status"]) == ("error", 504)


def test_a_reader_that_falls_behind_goes_on_from_the_log(http: httpx2.Client, live: ServedApp) -> None:
    count, size = 2000, 10_000
    with http.stream("POST", "/acme/live/ticks/stream", json={"count": count, "size": size}) as answer:
        request_id = answer.headers["x-fal-request-id"]
        ended = http.get(f"{QUEUE}/requests/{request_id}", headers={"prefer": "wait=60"})
        assert ended.status_code == 200, "nobody has read yet, and the generator has ended"
        assert [data["i"] for _, data in read(answer)] == list(range(count))


def test_comments_come_while_nothing_is_said(http: httpx2.Client) -> None:
    with http.stream("POST", "/acme/live/ticks/stream", json={"count": 2, "pause": 0.7}) as answer:
        text = "".join(answer.iter_text())
    assert text.count(": keep-alive\n\n") >= 2
    assert text.endswith("\n\n")


def test_random_drops_miss_nothing_and_repeat_nothing(live: ServedApp, http: httpx2.Client) -> None:
    """The raw protocol, cut after a random number of bytes, until 300 connections have been dropped."""
    chance = random.Random(4)
    host, port = live.url.removeprefix("http://").split(":")
    drops = 0
    while drops < 300:
        request_id = http.post(f"{QUEUE}/ticks", json={"count": 500, "pause": 0.0005}).json()["request_id"]
        seen: list[int] = []
        last = ""
        while True:
            with socket.create_connection((host, int(port))) as raw:
                after = f"last-event-id: {last}\r\n" if last else ""
                path = f"{QUEUE}/requests/{request_id}/stream"
                raw.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n{after}\r\n".encode())
                budget = chance.randint(200, 4000)
                data = b""
                while len(data) < budget and (part := raw.recv(min(65536, budget - len(data)))):
                    data += part
            for event_id, chunk in re.findall(rb"id: (\S+)\ndata: (.*)\n\n", data):
                last = event_id.decode()
                seen.append(json.loads(chunk)["i"])
            if len(data) < budget:
                break
            drops += 1
        assert seen == list(range(500))


# ---- HTTP over a WebSocket


def dial(live: ServedApp, path: str, **more: Any) -> ClientConnection:
    return connect(live.url.replace("http", "ws") + path, compression=None, **more)


def answer(socket: ClientConnection) -> tuple[dict[str, Any], str, dict[str, Any]]:
    start = json.loads(socket.recv(timeout=20))
    body = ""
    while True:
        text = socket.recv(timeout=20)
        assert isinstance(text, str)
        if text.startswith("{") and (end := json.loads(text)).get("type") == "end":
            return start, body, end
        body += text


def test_bodies_over_a_websocket_are_answered_in_order(live: ServedApp, http: httpx2.Client) -> None:
    with dial(live, "/acme/live/made") as socket:
        for body in ("{}", "{bad", "", "{}"):
            socket.send(body)
        answers = [answer(socket) for _ in range(4)]
    assert [start["status"] for start, _, _ in answers] == [200, 422, 200, 200]
    for start, body, end in answers:
        assert (start["type"], end["type"]) == ("start", "end")
        assert start["request_id"] == end["request_id"] == start["headers"]["x-fal-request-id"]
        assert end["status"] == start["status"] and end["time_to_first_byte_seconds"] > 0
        assert isinstance(json.loads(body), dict)
    view = http.get(f"/api/v1/requests/{answers[0][0]['request_id']}").json()
    assert view["outcome"] == "ok"


def test_a_stream_over_a_websocket(live: ServedApp) -> None:
    with dial(live, "/acme/live/ticks/stream") as socket:
        socket.send(json.dumps({"count": 20}))
        socket.send(json.dumps({"count": 2}))
        for count in (20, 2):
            start, body, _ = answer(socket)
            assert start["headers"]["content-type"].startswith("text/event-stream")
            blocks = [block for block in body.split("\n\n") if block]
            assert [json.loads(block.split("data: ")[1])["i"] for block in blocks] == list(range(count))


def test_leaving_a_websocket_cancels_where_it_was_asked_for(live: ServedApp, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with dial(live, "/acme/live/ticks", additional_headers={"pondage-on-disconnect": "cancel"}) as socket:
        socket.send(json.dumps({"count": 10_000, "pause": 0.01, "mark": str(mark)}))
        socket.send("{bad")
        time.sleep(0.2)
    assert until(mark.exists)


def test_leaving_a_websocket_cancels_also_what_was_not_taken_up(live: ServedApp, http: httpx2.Client) -> None:
    """More calls than run ahead: the gateway reads no further, and hears of the end when it answers."""
    asked = {"pondage-on-disconnect": "cancel"}
    with dial(live, "/acme/live/ticks", additional_headers=asked, close_timeout=0.1) as socket:
        for pause in (0.5, 0.7, 0.9):
            socket.send(json.dumps({"count": 2, "pause": pause}))
        for _ in range(20):
            socket.send(json.dumps({"count": 10_000, "pause": 0.01}))
        until(lambda: len(running(http)) == 10)
    until(lambda: not running(http))


def running(http: httpx2.Client) -> list[str]:
    return [one for runner in http.get("/api/v1/runners").json()["items"] for one in runner["running"]]


def test_calls_of_one_socket_run_at_once(live: ServedApp) -> None:
    with dial(live, "/acme/live/ticks") as socket:
        for _ in range(4):
            socket.send(json.dumps({"count": 2, "pause": 0.3}))
        statuses = [answer(socket)[0]["status"] for _ in range(4)]
    assert statuses == [200] * 4
