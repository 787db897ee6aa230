"""Who stops to read or to send costs the others nothing: what is held for it has a bound, and all comes in the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect

from pondage.testing import ServedApp, serve

APP = """
import asyncio
import pondage

class Large(pondage.App, name="acme/large", max_multiplexing=8):
    @pondage.endpoint("/")
    async def run(self, size: int = 0, pad: str = "") -> dict:
        return {"z": "x" * size, "pad": len(pad)}

    @pondage.endpoint("/stream")
    async def stream(self, n: int, size: int):
        for i in range(n):
            yield {"i": i, "z": "x" * size}

class Single(pondage.App, name="acme/single"):
    @pondage.realtime("/realtime")
    async def echo(self, input: dict) -> dict:
        return {"n": input["n"]}
"""
MB = 1024 * 1024


def _served(folder: Path, **settings: Any) -> Iterator[ServedApp]:
    (folder / "large.py").write_text(APP)
    with serve(str(folder / "large.py"), **settings) as served:
        yield served


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    """Room for two large things of a key, three in all, and little patience."""
    limits = {"held_bytes": 40 * MB, "held_bytes_per_key": 24 * MB, "held_wait": 0.5}
    yield from _served(tmp_path_factory.mktemp("tight"), **limits)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    """As much room, and time."""
    yield from _served(tmp_path_factory.mktemp("patient"), held_bytes=40 * MB, held_bytes_per_key=24 * MB)


@pytest.fixture(scope="module")
def keys(tight: ServedApp) -> list[str]:
    return [make_key(tight), make_key(tight)]


@pytest.fixture(scope="module")
def key(patient: ServedApp) -> str:
    return make_key(patient)


def make_key(served: ServedApp) -> str:
    key_id, secret = served.call(served.server.keys.create("one", scopes=("submit", "read", "files")))
    return f"Key {key_id}:{secret}"


def held(served: ServedApp) -> int:
    return int(served.on_loop(lambda: served.server.http.crowd.budget.held))


def eventually(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


def reader(url: str) -> httpx2.Client:
    """A client in whose system little fits that it does not read."""
    little = httpx2.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)])
    return httpx2.Client(base_url=url, timeout=60, transport=little)


def stuck(client: httpx2.Client, method: str, url: str, **more: Any) -> Any:
    """A call whose answer is not read beyond its head."""
    return client.send(client.build_request(method, url, **more), stream=True)


def test_of_many_who_do_not_read_their_results_the_newest_wait_and_others_do_not(
    tight: ServedApp, keys: list[str]
) -> None:
    mine, other = ({"authorization": key} for key in keys)
    with reader(tight.url) as http:
        asked = http.post("/queue/acme/large", json={"size": 20 * MB}, headers={**mine, "prefer": "wait=20"})
        assert asked.status_code == 200
        url = f"/queue/acme/large/requests/{asked.headers['x-fal-request-id']}/response"
        answer = stuck(http, "GET", url, headers=mine)
        assert answer.status_code == 200 and held(tight) >= 20 * MB
        told = http.get(url, headers=mine)
        assert told.status_code == 503 and "held_bytes" in told.text and told.headers["retry-after"]
        theirs = http.post("/acme/large", json={"size": 12 * MB}, headers=other)
        assert theirs.status_code == 200 and len(theirs.json()["z"]) == 12 * MB
        assert len(json.loads(answer.read())["z"]) == 20 * MB
        assert len(http.get(url, headers=mine).json()["z"]) == 20 * MB
    eventually(lambda: held(tight) == 0)


def test_a_run_whose_result_finds_no_room_never_asks_to_be_repeated(tight: ServedApp, keys: list[str]) -> None:
    mine = {"authorization": keys[0]}
    with reader(tight.url) as http:
        first = stuck(http, "POST", "/acme/large", json={"size": 20 * MB}, headers=mine)
        told = http.post("/acme/large", json={"size": 20 * MB}, headers=mine)
        assert told.status_code == 500 and "can be fetched" in told.text
        first.close()
        eventually(lambda: held(tight) == 0)
        url = f"/queue/acme/large/requests/{told.headers['x-fal-request-id']}/response"
        assert len(http.get(url, headers=mine).json()["z"]) == 20 * MB


def test_bodies_wait_for_room(tight: ServedApp, keys: list[str]) -> None:
    """One is announced and does not come; the next of the same key finds no room, one of another key does."""
    at = urlsplit(tight.url)
    with socket.create_connection((str(at.hostname), int(at.port or 80))) as slow:
        head = f"POST /acme/large HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: {keys[0]}\r\n"
        slow.sendall(f"{head}Content-Length: {14 * MB}\r\n\r\n".encode() + b'{"pad": "')
        eventually(lambda: held(tight) == 14 * MB)
        with reader(tight.url) as http:
            body = {"pad": "x" * 12 * MB}
            told = http.post("/acme/large", json=body, headers={"authorization": keys[0]})
            assert told.status_code == 503 and "held_bytes_per_key" in told.text
            theirs = http.post("/acme/large", json=body, headers={"authorization": keys[1]})
            assert theirs.json()["pad"] == 12 * MB
    eventually(lambda: held(tight) == 0)


def test_a_stream_whose_readers_pause_comes_whole_to_each(patient: ServedApp, key: str) -> None:
    mine = {"authorization": key}
    with reader(patient.url) as http:
        asked = http.post("/queue/acme/large/stream", json={"n": 24, "size": MB}, headers={**mine, "prefer": "wait=30"})
        url = f"/queue/acme/large/requests/{asked.headers['x-fal-request-id']}/stream"
        readers = [stuck(http, "GET", url, headers=mine) for _ in range(12)]
        assert all(one.status_code == 200 for one in readers)
        eventually(lambda: held(patient) > 6 * MB)
        for one in readers:
            lines = [line for line in one.iter_lines() if line.startswith("data: ")]
            assert [json.loads(line[6:])["i"] for line in lines] == list(range(24))
            one.close()
    eventually(lambda: held(patient) == 0)


@pytest.mark.parametrize("span", [None, (MB - 3, 19 * MB + 5)])
def test_a_file_whose_readers_pause_comes_whole_to_each(
    patient: ServedApp, key: str, span: tuple[int, int] | None
) -> None:
    data = b"".join(n.to_bytes(4) for n in range(5 * MB))
    headers = {"authorization": key}
    with reader(patient.url) as http:
        url = http.post("/files/upload", content=data, headers=headers).json()["access_url"]
        start, end = span or (0, len(data))
        more = {"range": f"bytes={start}-{end - 1}"} if span else {}
        readers = [stuck(http, "GET", url, headers=more) for _ in range(6)]
        # Some have memory for two blocks, the others read block by block; all stop, and let go of what they have.
        eventually(lambda: held(patient) > 0)
        for one in readers:
            assert one.read() == data[start:end]
            one.close()
    eventually(lambda: held(patient) == 0)


def test_sessions_that_wait_hold_no_more_than_there_is_room_for(patient: ServedApp, key: str) -> None:
    """What is sent beyond waits in its sender's socket, and comes once the session has a slot."""
    url = patient.url.replace("http://", "ws://") + "/acme/single/realtime"
    with contextlib.ExitStack() as later:
        with connect(url, additional_headers={"authorization": key}, max_size=None) as first:
            first.send('{"n": -1}')
            assert json.loads(first.recv()) == {"n": -1}
            second = later.enter_context(connect(url, additional_headers={"authorization": key}, max_size=None))
            feeding = threading.Thread(target=lambda: [second.send(_numbered(n)) for n in range(40)])
            feeding.start()
            eventually(lambda: held(patient) >= 22 * MB)
            assert held(patient) <= 26 * MB
        got: list[int] = []
        while len(got) < 40:
            message = json.loads(second.recv(timeout=20))
            if "n" in message:
                got.append(message["n"])
        feeding.join()
    assert got == list(range(40))
    eventually(lambda: held(patient) == 0)


def _numbered(n: int) -> str:
    return json.dumps({"n": n, "pad": "x" * MB})


def test_http_over_a_websocket_holds_no_more_than_there_is_room_for(patient: ServedApp, key: str) -> None:
    url = patient.url.replace("http://", "ws://") + "/acme/large"
    most = 0

    async def call() -> list[Any]:
        nonlocal most
        bodies: list[Any] = []
        async with connect_async(url, additional_headers={"authorization": key}, max_size=None) as caller:

            async def feed() -> None:
                for n in range(12):
                    await caller.send(json.dumps({"size": 3 * MB, "pad": "x" * (3 * MB + n)}))

            feeding = asyncio.ensure_future(feed())
            while len(bodies) < 12:
                message = json.loads(await caller.recv())
                if "pad" in message:
                    bodies.append(message)
                    most = max(most, await asyncio.to_thread(held, patient))
            await feeding
        return bodies

    bodies = asyncio.run(call())
    assert [one["pad"] - 3 * MB for one in bodies] == list(range(12))
    assert all(len(one["z"]) == 3 * MB for one in bodies)
    assert 0 < most <= 32 * MB
    eventually(lambda: held(patient) == 0)
