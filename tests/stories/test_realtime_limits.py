"""Sessions under strain: callers that do not read, do not wait, vanish, or come when everything is taken."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pondage.testing import ServedApp, serve

from .conftest import APPS

WINDOW = 256 * 1024


@pytest.fixture(scope="module")
def live() -> Iterator[ServedApp]:
    """Small windows, quick clocks."""
    limits: dict[str, Any] = {"chunk_buffer_bytes": WINDOW, "session_max_message": 1_000_000, "cancel_grace": 0.3}
    with serve(str(APPS / "live.py"), session_buffer_bytes=1_500_000, session_ping=1.0, **limits) as served:
        yield served


@pytest.fixture
def http(live: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live.url, timeout=30) as client:
        yield client


def session(live: ServedApp, path: str = "/acme/live/realtime", **more: Any) -> ClientConnection:
    url = live.url.replace("http", "ws") + path
    return connect(url, **{"compression": None, "max_size": None, "ping_interval": None, "close_timeout": 1, **more})


def say(socket: ClientConnection, value: Any) -> None:
    socket.send(msgspec.msgpack.encode(value))


def hear(socket: ClientConnection) -> Any:
    message = socket.recv(timeout=20)
    return json.loads(message) if isinstance(message, str) else msgspec.msgpack.decode(message)


def until(true: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := true():
            return value
        time.sleep(0.02)
    pytest.fail("it did not come about")


def id_of(socket: ClientConnection) -> str:
    assert socket.response is not None
    return str(socket.response.headers["x-fal-request-id"])


def view(http: httpx2.Client, socket: ClientConnection) -> dict[str, Any]:
    return dict(http.get(f"/api/v1/requests/{id_of(socket)}").json())


def ended(http: httpx2.Client, socket: ClientConnection) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = view(http, socket)
        return found if found["state"] == "COMPLETED" else None

    return dict(until(look))


def test_floats_stay_floats_and_what_is_none_is_left_out(live: ServedApp) -> None:
    with session(live) as socket:
        socket.send(msgspec.msgpack.encode({"n": 2}))
        raw = socket.recv(timeout=20)
        assert raw == b"\x81\xa1n\xcb" + b"\x3f\xf0" + bytes(6), "a map of one double, no nil"


def test_a_connection_has_its_own_state_and_ends_when_it_is_idle(live: ServedApp, http: httpx2.Client) -> None:
    with session(live, "/acme/live/sum/realtime") as one, session(live, "/acme/live/sum/realtime") as other:
        for n, total in ((1, 1.0), (2, 3.0), (3, 6.0)):
            say(one, {"n": n})
            assert hear(one) == {"n": total}
        say(other, {"n": 5})
        assert hear(other) == {"n": 5.0}
        told = hear(one)
        assert (told["type"], told["error"]) == ("x-fal-error", "TIMEOUT")
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(timeout=20)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000
        assert ended(http, one)["outcome"] == "ok"


def test_messages_of_several_connections_share_a_batch(live: ServedApp) -> None:
    together = []
    with ExitStack() as stack:
        sockets = [stack.enter_context(session(live, "/acme/live/batch/realtime")) for _ in range(6)]
        for n in range(4):
            for socket in sockets:
                say(socket, {"n": n})
            answers = [hear(socket) for socket in sockets]
            assert {answer["n"] for answer in answers} == {n}
            together += [answer["together"] for answer in answers]
    assert max(together) > 3


def test_no_control_frame_comes_that_nobody_asked_for(live: ServedApp) -> None:
    with session(live) as socket:
        for n in range(50):
            say(socket, {"n": n})
            assert hear(socket) == {"n": n / 2}
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.3)


@pytest.mark.parametrize("path", ["/acme/live/flood/realtime", "/acme/live/flood/sync/realtime"])
def test_a_caller_that_does_not_read_holds_the_function_and_loses_nothing(
    live: ServedApp, http: httpx2.Client, path: str
) -> None:
    count, size = 2000, 10_000
    with session(live, path, max_queue=1, ping_interval=None) as socket:
        say(socket, {"count": count, "size": size})
        assert hear(socket)["i"] == 0

        def made() -> int:
            return int(http.post("/acme/live/made", json={}).json()["made"])

        before = -1
        while before != (before := made()):
            time.sleep(0.3)
        assert before * size < 10 * 1024 * 1024, "what lies in windows and sockets, not everything"
        assert [hear(socket)["i"] for _ in range(count - 1)] == list(range(1, count))


def test_a_caller_that_never_reads_is_let_go(live: ServedApp, http: httpx2.Client) -> None:
    with session(live, "/acme/live/flood/realtime", max_queue=1) as socket:
        say(socket, {"count": 100_000, "size": 10_000})
        hear(socket)
        assert ended(http, socket)["state"] == "COMPLETED"


def test_a_half_open_connection_is_let_go(live: ServedApp, http: httpx2.Client) -> None:
    """A peer that takes everything in and answers nothing, as a cable that was pulled does."""
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            f"GET /acme/live/realtime HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = raw.recv(4096).decode()
        request_id = head.lower().split("x-fal-request-id: ")[1].split("\r\n")[0]
        until(lambda: http.get(f"/api/v1/requests/{request_id}").json().get("state") == "COMPLETED")


def test_a_caller_that_does_not_wait_loses_its_oldest_messages(live: ServedApp, http: httpx2.Client) -> None:
    with session(live, "/acme/live/busy/realtime") as socket:
        for i in range(40):
            say(socket, {"i": i, "pad": "x"})
        seen = [hear(socket)["i"]]
        while seen[-1] != 39:
            seen.append(hear(socket)["i"])
        assert seen == sorted(seen), "in order"
        assert len(seen) <= 3 + 2, "buffering=3, and what was in work"
    with session(live, "/acme/live/realtime") as large:
        say(large, {"n": 0})
        assert hear(large) == {"n": 0.0}
        say(large, {"n": 1, "note": "slow"})
        for i in range(20):
            say(large, {"n": i, "note": "x" * 400_000})
        answers = [hear(large)["n"]]
        while answers[-1] != 9.5:
            answers.append(hear(large)["n"])
        assert len(answers) < 12, "only so many bytes wait"


def test_a_message_over_the_limit(live: ServedApp) -> None:
    with session(live) as socket:
        socket.send("x" * 1_000_500)
        told = hear(socket)
        assert (told["type"], told["error"]) == ("x-fal-error", "MESSAGE_TOO_LARGE")
        say(socket, {"n": 4})
        assert hear(socket) == {"n": 2.0}
        socket.send("x" * 2_000_000)
        with pytest.raises(ConnectionClosed) as closed:
            hear(socket)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_a_text_that_is_not_utf8_ends_its_connection_and_fills_no_log(
    live: ServedApp, caplog: pytest.LogCaptureFixture
) -> None:
    with session(live) as socket:
        socket.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed) as closed:
            hear(socket)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1007
    assert not [record for record in caplog.records if record.exc_info]


def test_a_message_in_pieces_is_one_message(live: ServedApp) -> None:
    with session(live) as socket:
        socket.send(iter(['{"n"', ":", "", " 4", "}"]))
        assert hear(socket) == {"n": 2.0, "note": None}
        socket.send(iter([b"\x81\xa1", b"n", b"\x06"]))
        assert hear(socket) == {"n": 3.0}


def test_an_answer_to_nobody_is_stopped(live: ServedApp, http: httpx2.Client) -> None:
    with session(live) as socket:
        say(socket, {"n": 1, "note": "wait"})
        until(lambda: http.post("/acme/live/made", json={}).json()["made"] == -1)
    assert ended(http, socket)["error_type"] == "client_disconnected"


def test_an_app_that_hangs_is_replaced_and_its_neighbours_are_told(live: ServedApp, http: httpx2.Client) -> None:
    pid = http.post("/acme/live/made", json={}).json()["pid"]
    with session(live) as neighbour, session(live) as socket:
        say(neighbour, {"n": 1})
        assert hear(neighbour) == {"n": 0.5}
        say(socket, {"n": 1, "note": "hang"})
        request_id = id_of(socket)
        until(lambda: view(http, socket)["state"] == "IN_PROGRESS")
        assert http.put(f"/queue/acme/live/requests/{request_id}/cancel").status_code in {200, 202}
        for one in (socket, neighbour):
            with pytest.raises(ConnectionClosed) as closed:
                hear(one)
            assert closed.value.rcvd is not None and closed.value.rcvd.reason
    assert http.post("/acme/live/made", json={}).json()["pid"] != pid


def test_a_runner_that_dies_closes_its_sessions_with_a_reason(live: ServedApp, http: httpx2.Client) -> None:
    with session(live) as neighbour, session(live) as socket:
        say(neighbour, {"n": 1})
        assert hear(neighbour) == {"n": 0.5}
        say(socket, {"n": 1, "note": "exit"})
        for one in (socket, neighbour):
            with pytest.raises(ConnectionClosed) as closed:
                hear(one)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011 and "code 7" in closed.value.rcvd.reason
            assert ended(http, one)["error_type"] == "runner_disconnected"
    with session(live) as again:
        say(again, {"n": 2})
        while (heard := hear(again)).get("type") == "x-fal-message":
            assert heard["action"] == "queued"  # the next runner takes a moment
        assert heard == {"n": 1.0}


def test_a_session_waits_its_turn_and_is_told_so(live: ServedApp, http: httpx2.Client) -> None:
    with session(live, "/acme/one/realtime") as first:
        first.send('"here"')
        assert hear(first) == "here"
        with session(live, "/acme/one/realtime?max_buffering=2") as second:
            for n in range(5):
                second.send(str(n))
            told = hear(second)
            assert told == {"type": "x-fal-message", "action": "queued", "position": 0}
            assert view(http, second)["state"] == "IN_QUEUE"
            metrics = http.get("/metrics").text
            assert 'pondage_queued{app="acme/one"} 1.0' in metrics
            assert 'pondage_running{app="acme/one"} 1.0' in metrics
            time.sleep(2.5)  # longer than a ping takes to fail: it is answered while the session waits
            first.close()
            assert [hear(second), hear(second)] == [3, 4], "the newest of what it sent meanwhile"


def test_a_waiting_session_can_be_cancelled(live: ServedApp, http: httpx2.Client) -> None:
    with session(live, "/acme/one/realtime") as first, session(live, "/acme/one/realtime") as second:
        first.send("1")
        hear(first)
        assert hear(second)["action"] == "queued"
        assert http.put(f"/queue/acme/one/requests/{id_of(second)}/cancel").status_code in {200, 202}
        told = hear(second)
        while told["type"] == "x-fal-message":
            told = hear(second)
        assert told["type"] == "x-fal-error"
        with pytest.raises(ConnectionClosed) as closed:
            hear(second)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "client_cancelled")


def test_a_waiting_session_whose_start_takes_too_long_is_told_so(live: ServedApp) -> None:
    with session(live, "/acme/one/realtime") as first:
        first.send("1")
        hear(first)
        limit = {"x-fal-request-timeout": "1.2"}
        with session(live, "/acme/one/realtime", additional_headers=limit) as second:
            told = hear(second)
            while told["type"] == "x-fal-message":
                told = hear(second)
            assert (told["type"], told["error"]) == ("x-fal-error", "request_timeout")
            with pytest.raises(ConnectionClosed) as closed:
                hear(second)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013


def test_a_waiting_caller_that_leaves_leaves_the_queue(live: ServedApp, http: httpx2.Client) -> None:
    with session(live, "/acme/one/realtime") as first:
        first.send("1")
        hear(first)
        with session(live, "/acme/one/realtime") as second:
            assert hear(second)["action"] == "queued"
        assert ended(http, second)["outcome"] == "cancelled"


def test_no_slot_in_time_is_said() -> None:
    with serve(str(APPS / "live.py"), session_wait=0.3) as served, session(served, "/acme/one/realtime") as first:
        first.send("1")
        hear(first)
        with session(served, "/acme/one/realtime") as second:
            told = hear(second)
            while told["type"] == "x-fal-message":
                told = hear(second)
            assert told["type"] == "x-fal-error" and "no slot of acme/one" in told["reason"]
            with pytest.raises(ConnectionClosed) as closed:
                hear(second)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013


def test_a_server_that_stops_says_so() -> None:
    with ExitStack() as stack:
        with serve(str(APPS / "live.py")) as served:
            first = stack.enter_context(session(served, "/acme/one/realtime"))
            first.send("1")
            hear(first)
            second = stack.enter_context(session(served, "/acme/one/realtime"))
            assert hear(second)["action"] == "queued"
        for socket, code in ((first, 1001), (second, 1013)):
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    hear(socket)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == code
            assert "stopping" in closed.value.rcvd.reason


def test_a_token_as_subprotocol(live: ServedApp) -> None:
    """A page names its token so, and a browser wants a subprotocol named back."""
    with session(live, subprotocols=["pondage.token.abc", "pondage"]) as socket:
        assert socket.subprotocol == "pondage"
        say(socket, {"n": 1})
        assert hear(socket) == {"n": 0.5}
    with session(live, subprotocols=["pondage.token.abc"]) as socket:
        assert socket.subprotocol == "pondage.token.abc"


@pytest.mark.parametrize("given", ["0", "61", "x", "-1", "1e1"])
def test_a_wrong_max_buffering_is_refused(live: ServedApp, given: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        with session(live, f"/acme/live/realtime?max_buffering={given}"):
            pass
    assert refused.value.response.status_code == 422


def test_many_sessions_open_and_close_without_a_rest(live: ServedApp, http: httpx2.Client) -> None:
    def one(n: int) -> None:
        for k in range(10):
            with session(live) as socket:
                say(socket, {"n": n + k})
                assert hear(socket) == {"n": (n + k) / 2}

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    def running() -> list[Any]:
        ids = [one for runner in http.get("/api/v1/runners").json()["items"] for one in runner["running"]]
        return [http.get(f"/api/v1/requests/{one}").json() for one in ids]

    end = time.monotonic() + 10
    while (left := running()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not left
    assert not live.server.fleet.sessions._channels.all()
