"""fal's Python client, as published, against a real gateway: every call, sync and async."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import fal_client
import fal_client.client as module
import httpx
import pytest
from anyio import to_thread

from pondage.testing import GatewayProcess

from .conftest import APPS, Guarded

pytestmark = pytest.mark.anyio

python = partial(pytest.mark.compat, client="python")


async def call(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Call a method of either client: the sync one's in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **keywords)
    return await to_thread.run_sync(partial(function, *args, **keywords))


async def collect(function: Callable[..., Any], *args: Any, **keywords: Any) -> list[Any]:
    """Everything that an iterator of either client gives."""
    if inspect.isasyncgenfunction(function):
        return [item async for item in function(*args, **keywords)]
    return await to_thread.run_sync(lambda: list(function(*args, **keywords)))


@asynccontextmanager
async def realtime(client: Any, *args: Any, **keywords: Any) -> Any:
    """A realtime connection of either client, with `send` and `recv` to await."""
    opened = client.realtime(*args, **keywords)
    if isinstance(client, fal_client.AsyncClient):
        async with opened as connection:
            yield connection.send, connection.recv
    else:
        connection = await to_thread.run_sync(opened.__enter__)
        try:
            yield partial(call, connection.send), partial(call, connection.recv)
        finally:
            await to_thread.run_sync(opened.__exit__, None, None, None)


def point(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The five assignments that point the package at a server over plain http."""
    host = url.removeprefix("http://")
    monkeypatch.setattr(module, "RUN_URL_FORMAT", f"http://{host}/")
    monkeypatch.setattr(module, "QUEUE_URL_FORMAT", f"http://{host}/queue/")
    monkeypatch.setattr(module, "REALTIME_URL_FORMAT", f"ws://{host}/")
    monkeypatch.setattr(module, "REST_URL", f"http://{host}")
    monkeypatch.setattr(module, "CDN_URL", f"http://{host}")


@pytest.fixture
async def pointed(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The package points at the server. It never closes its connections; here they are."""
    point(monkeypatch, guarded.url)
    opened: list[httpx.Client | httpx.AsyncClient] = []

    class Client(httpx.Client):
        def __init__(self, **keywords: Any) -> None:
            super().__init__(**keywords)
            opened.append(self)

    class AsyncClient(httpx.AsyncClient):
        def __init__(self, **keywords: Any) -> None:
            super().__init__(**keywords)
            opened.append(self)

    monkeypatch.setattr(httpx, "Client", Client)
    monkeypatch.setattr(httpx, "AsyncClient", AsyncClient)
    yield
    for client in opened:
        if isinstance(client, httpx.AsyncClient):
            await client.aclose()
        else:
            client.close()


@pytest.fixture(params=["SyncClient", "AsyncClient"])
def fal(request: pytest.FixtureRequest, guarded: Guarded, pointed: None) -> Any:
    """A client of the package, with the server's key."""
    return getattr(fal_client, request.param)(key=guarded.key)


def read(url: str) -> bytes:
    with urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
        return content


# ---- direct calls


@python("POST /{owner}/{alias}", "x-fal-request-id", call="run")
async def test_run(fal: Any) -> None:
    drawn = await call(fal.run, "acme/desk", {"prompt": "a fox", "guidance": 2.0})
    assert drawn["prompt"] == "a fox" and drawn["guidance"] == 2.0
    assert read(drawn["picture"]["url"]) == b"drawn: a fox"


@python("POST /{owner}/{alias}/{path}", call="run(path=)")
async def test_run_of_a_path(fal: Any) -> None:
    assert (await call(fal.run, "acme/echo", {"x": 2}, path="/sync"))["y"] == 3
    assert (await call(fal.run, "acme/echo/sync", {"x": 3}))["y"] == 4


@python("X-Fal-Runner-Hint", "x-fal-queue-priority", "any custom header", call="run(hint=, headers=)")
async def test_headers_reach_the_app(fal: Any) -> None:
    said = await call(fal.run, "acme/desk/said", {}, hint="sticky", headers={"X-My-Header": "here"}, start_timeout=30)
    headers = said["headers"]
    assert headers["x-my-header"] == "here" and headers["x-fal-runner-hint"] == "sticky"
    assert float(headers["x-fal-request-timeout"]) == 30


@python("POST /{owner}/{alias}/stream", "text/event-stream", call="stream")
async def test_stream(fal: Any) -> None:
    events = await collect(fal.stream, "acme/desk", {"words": 4})
    assert [event["word"] for event in events] == [f"wörd {n}" for n in range(4)]


@python("stream: an error is the last event", call="stream")
async def test_a_stream_that_breaks_says_so_in_its_last_event(fal: Any) -> None:
    events = await collect(fal.stream, "acme/desk", {"words": 4, "fail_at": 2})
    assert [event["n"] for event in events[:2]] == [0, 1]
    assert events[2]["type"] == "error" and events[2]["status"] == 500


# ---- queue


@python(
    "POST /queue/{owner}/{alias}", "GET /queue/{owner}/{alias}/requests/{request_id}",
    "submit.request_id", "submit.response_url", "submit.status_url", "submit.cancel_url",
    call="submit, handle.get, get_handle, result",
)  # fmt: skip
async def test_submit_and_get(fal: Any, guarded: Guarded) -> None:
    handle = await call(fal.submit, "acme/desk", {"prompt": "a hen"}, priority="low")
    assert handle.status_url.startswith(f"{guarded.url}/queue/acme/desk/requests/{handle.request_id}")
    assert (await call(handle.get))["prompt"] == "a hen"
    again = await call(fal.get_handle, "acme/desk", handle.request_id)
    assert (again.response_url, again.status_url, again.cancel_url) == (
        handle.response_url, handle.status_url, handle.cancel_url,
    )  # fmt: skip
    assert (await call(fal.result, "acme/desk", handle.request_id))["prompt"] == "a hen"


@python("GET /queue/{owner}/{alias}/requests/{request_id}/status", "status.logs", "status.metrics", call="status")
async def test_status(fal: Any) -> None:
    handle = await call(fal.submit, "acme/desk", {"prompt": "a hen", "steps": 3})
    await call(handle.get)
    plain = await call(fal.status, "acme/desk", handle.request_id)
    assert isinstance(plain, fal_client.Completed) and plain.logs is None and plain.error is None
    assert plain.metrics["inference_time"] > 0
    logged = await call(fal.status, "acme/desk", handle.request_id, with_logs=True)
    assert [line["message"] for line in logged.logs] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert all(line["labels"]["level"] == "STDOUT" for line in logged.logs)


@python("status.queue_position", call="handle.iter_events")
async def test_iter_events_ends_with_completed(fal: Any) -> None:
    handle = await call(fal.submit, "acme/desk/wait", {"seconds": 0.3})
    events = await collect(handle.iter_events, with_logs=True, interval=0.05)
    assert {type(event) for event in events[:-1]} <= {fal_client.Queued, fal_client.InProgress}
    assert isinstance(events[-1], fal_client.Completed)
    assert [line["message"] for line in events[-1].logs] == ["waiting"]


@python("status: logs are cumulative", call="subscribe(with_logs=, on_enqueue=, on_queue_update=)")
async def test_subscribe_with_logs(fal: Any) -> None:
    ids: list[str] = []
    updates: list[Any] = []
    drawn = await call(
        fal.subscribe, "acme/desk", {"prompt": "a cat", "steps": 3},
        with_logs=True, on_enqueue=ids.append, on_queue_update=updates.append,
    )  # fmt: skip
    assert drawn["prompt"] == "a cat" and len(ids) == 1
    assert isinstance(updates[-1], fal_client.Completed)
    assert [line["message"] for line in updates[-1].logs] == [f"step {n} of 3" for n in (1, 2, 3)]


@python(
    "PUT /queue/{owner}/{alias}/requests/{request_id}/cancel",
    "status.error_type",
    call="handle.status, handle.cancel, cancel",
)
async def test_cancel(fal: Any) -> None:
    handle = await call(fal.submit, "acme/desk/wait", {"seconds": 60})
    while not isinstance(await call(handle.status), fal_client.InProgress):
        pass
    await call(handle.cancel)
    done = None
    while not isinstance(done, fal_client.Completed):
        done = await call(handle.status)
    assert done.error and done.error_type == "client_cancelled"
    with pytest.raises(fal_client.FalClientHTTPError) as refused:
        await call(handle.get)
    assert (refused.value.status_code, refused.value.error_type) == (499, "client_cancelled")
    with pytest.raises(fal_client.FalClientHTTPError) as late:
        await call(fal.cancel, "acme/desk", handle.request_id)
    assert late.value.status_code == 400 and "completed" in late.value.message


@python("X-Fal-Request-Timeout-Type", call="subscribe(client_timeout=)")
async def test_a_client_timeout_cancels(fal: Any) -> None:
    ids: list[str] = []
    with pytest.raises(fal_client.FalClientTimeoutError):
        await call(fal.subscribe, "acme/desk/wait", {"seconds": 60}, client_timeout=1.2, on_enqueue=ids.append)
    done = None
    while not isinstance(done, fal_client.Completed):
        done = await call(fal.status, "acme/desk", ids[0])
    assert done.error_type == "client_cancelled"


@python("fal_webhook", call="submit(webhook_url=)")
async def test_a_webhook_is_taken(fal: Any) -> None:
    handle = await call(fal.submit, "acme/desk", {"prompt": "a hen"}, webhook_url="http://127.0.0.1:9/hook")
    assert (await call(handle.get))["prompt"] == "a hen"


# ---- errors


@python("422 detail: loc, msg, type", call="run: FalClientHTTPError")
async def test_input_that_does_not_fit(fal: Any) -> None:
    for begin in (fal.run, fal.subscribe):
        with pytest.raises(fal_client.FalClientHTTPError) as refused:
            await call(begin, "acme/desk", {"prompt": "a fox", "steps": 1000})
        assert refused.value.status_code == 422
        detail = refused.value.response.json()["detail"]
        assert detail[0]["loc"] == ["body", "steps"] and detail[0]["type"] == "less_than_equal"


@python("X-Fal-Error-Type", "x-fal-request-id on errors", call="run: FalClientHTTPError")
@pytest.mark.parametrize(
    ("endpoint", "arguments", "status"),
    [
        ("acme/desk/refuse", {}, 422),
        ("acme/desk/refuse", {"status": 400}, 400),
        ("acme/desk/refuse", {"status": 500}, 500),
        ("acme/echo/fail", {}, 500),
        ("acme/desk/nowhere", {}, 404),
        ("acme/nothing", {}, 404),
    ],
)
async def test_errors_keep_their_status(fal: Any, endpoint: str, arguments: dict[str, Any], status: int) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as refused:
        await call(fal.run, endpoint, arguments)
    assert refused.value.status_code == status and refused.value.message
    assert refused.value.response_headers["x-fal-request-id"]


@python("401 detail", "Authorization: Key", call="key=")
@pytest.mark.parametrize("client", ["SyncClient", "AsyncClient"])
async def test_a_wrong_key_is_401(client: str, pointed: None) -> None:
    fal = getattr(fal_client, client)(key="any:thing")
    for begin in (fal.run, fal.submit):
        with pytest.raises(fal_client.FalClientHTTPError) as refused:
            await call(begin, "acme/desk", {"prompt": "a fox"})
        assert refused.value.status_code == 401 and refused.value.message == "No user found for Key ID and Secret"


# ---- realtime


@python("WebSocket /{owner}/{alias}/realtime", "POST /tokens/", "msgpack frames", call="realtime(use_jwt=)")
@pytest.mark.parametrize("use_jwt", [True, False])
async def test_realtime(fal: Any, use_jwt: bool) -> None:
    async with realtime(fal, "acme/desk", use_jwt=use_jwt, max_buffering=10) as (send, recv):
        for n in range(3):
            await send({"prompt": f"p{n}", "image_bytes": b"\x01\x02\xff", "scale": 1.0})
            answer = await recv()
            assert answer["prompt"] == f"p{n}" and answer["image"] == b"\xff\x02\x01"
            assert isinstance(answer["scale"], float)


@python("WebSocket: own path", call="realtime(path=)")
async def test_realtime_on_a_path_of_its_own(fal: Any) -> None:
    async with realtime(fal, "acme/desk", path="/telling/realtime") as (send, recv):
        await send({"count": 3})
        assert [(await recv())["n"] for _ in range(3)] == [0, 1, 2]


@python("WebSocket: own path", call="ws_connect")
async def test_a_bare_websocket(fal: Any) -> None:
    if isinstance(fal, fal_client.AsyncClient):
        async with fal.ws_connect("acme/desk", path="/realtime") as socket:
            await socket.send(json.dumps({"prompt": "bare"}))
            answer = await socket.recv()
    else:

        def talk() -> Any:
            with fal.ws_connect("acme/desk", path="/realtime") as socket:
                socket.send(json.dumps({"prompt": "bare"}))
                return socket.recv()

        answer = await to_thread.run_sync(talk)
    assert json.loads(answer)["prompt"] == "bare"


@python("x-fal-error", call="realtime: RealtimeError")
async def test_realtime_says_what_went_wrong(fal: Any) -> None:
    async with realtime(fal, "acme/desk") as (send, recv):
        await send({"prompt": "fail"})
        with pytest.raises(module.RealtimeError, match="INTERNAL_ERROR"):
            await recv()


# ---- files


@python(
    "POST /storage/auth/token", "POST /files/upload", "GET /files/{name}", "X-Fal-File-Name",
    call="upload, upload_file",
)  # fmt: skip
async def test_upload_and_use(fal: Any, tmp_path: Path) -> None:
    path = tmp_path / "höhe.txt"
    path.write_bytes(b"from a file")
    urls = [await call(fal.upload, b"from memory", "text/plain", "a b.txt"), await call(fal.upload_file, path)]
    assert [read(url) for url in urls] == [b"from memory", b"from a file"]
    weighed = await call(fal.run, "acme/desk/weigh", {"file": urls[0], "also": [urls[1]]})
    assert [file["size"] for file in weighed["files"]] == [11, 11]


@python("POST /storage/upload/initiate", "PUT upload_url", call='upload(repository="fal")')
async def test_upload_through_the_older_repository(fal: Any) -> None:
    url = await call(fal.upload, b"older", "application/octet-stream", "older.bin", repository="fal")
    assert read(url) == b"older"


@python("X-Fal-Object-Lifecycle-Preference", call="upload(lifecycle=)")
async def test_upload_with_a_lifecycle(fal: Any) -> None:
    settings = fal_client.StorageSettings(expires_in="1h")
    assert read(await call(fal.upload, b"short", "text/plain", lifecycle=settings)) == b"short"


@python("file inputs as URLs", call="encode, encode_file, encode_image")
async def test_inputs_as_data_uris(fal: Any, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"from a file")
    image = fal_client.encode_image(pytest.importorskip("PIL.Image").new("RGB", (8, 4), "red"), "png")
    uris = [fal_client.encode(b"from memory", "text/plain"), fal_client.encode_file(path), image]
    weighed = await call(fal.run, "acme/desk/weigh", {"file": uris[0], "also": uris[1:]})
    assert [file["size"] for file in weighed["files"][:2]] == [11, 11]


@python("upload_image", call="upload_image")
async def test_upload_of_an_image(fal: Any) -> None:
    image = pytest.importorskip("PIL.Image").new("RGB", (8, 4), "red")
    assert read(await call(fal.upload_image, image, "png")).startswith(b"\x89PNG")


@python(
    "POST /files/upload/multipart", "PUT {access_url}/multipart/{upload_id}/{part}",
    "POST {access_url}/multipart/{upload_id}/complete", call="upload_file of more than 100 MiB",
)  # fmt: skip
async def test_upload_in_parts(fal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own threshold and part size are lowered; `test_upload_of_101_mib` keeps them."""
    monkeypatch.setattr(module, "MULTIPART_THRESHOLD", 1000)
    monkeypatch.setattr(module, "MULTIPART_CHUNK_SIZE", 300)
    content = bytes(range(256)) * 16
    path = tmp_path / "parts.bin"
    path.write_bytes(content)
    for url in (await call(fal.upload_file, path), await call(fal.upload, content, "image/png", "parts.png")):
        assert hashlib.sha256(read(url)).digest() == hashlib.sha256(content).digest()


@python("upload of 101 MiB", call="upload_file")
async def test_upload_of_101_mib(guarded: Guarded, pointed: None, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    size = 101 * 1024 * 1024
    with open(path, "wb") as file:
        file.truncate(size)
        file.write(b"first")
        file.seek(size - 4)
        file.write(b"last")
    url = await call(fal_client.SyncClient(key=guarded.key).upload_file, path)
    digest = hashlib.sha256()
    with urlopen(url, timeout=30) as answer:
        while part := answer.read(1 << 20):
            digest.update(part)
    with open(path, "rb") as file:
        assert digest.digest() == hashlib.file_digest(file, "sha256").digest()


# ---- by environment variables only, over https

_BY_ENVIRONMENT = """
import json, fal_client
events = []
handle = fal_client.submit("acme/desk", {"prompt": "a hen"})
with fal_client.realtime("acme/desk", use_jwt=False) as connection:
    connection.send({"prompt": "p"})
    painted = connection.recv()
print(json.dumps({
    "run": fal_client.run("acme/desk", {"prompt": "a fox"})["prompt"],
    "subscribe": fal_client.subscribe("acme/desk", {"prompt": "a cat"}, with_logs=True, on_queue_update=events.append)
        ["prompt"],
    "logs": [line["message"] for line in events[-1].logs],
    "stream": [event["n"] for event in fal_client.stream("acme/desk", {"words": 3})],
    "get": handle.get()["prompt"],
    "status_url": handle.status_url,
    "painted": painted["prompt"],
}))
"""


@python("FAL_RUN_HOST", "FAL_QUEUE_RUN_HOST", "SSL_CERT_FILE", call="environment only, over https")
def test_by_environment_over_https(tmp_path: Path) -> None:
    authority = tmp_path / "tls"
    with GatewayProcess(
        str(APPS / "desk.py"), data=tmp_path / "data", tls_dev=True, tls_folder=str(authority)
    ) as gateway:
        host = gateway.url.removeprefix("https://").replace("127.0.0.1", "localhost")
        environment = os.environ | {
            "FAL_KEY": "any:thing",
            "FAL_RUN_HOST": host,
            "FAL_QUEUE_RUN_HOST": f"{host}/queue",
            "SSL_CERT_FILE": str(authority / "ca.pem"),
        }
        ran = subprocess.run(
            [sys.executable, "-c", _BY_ENVIRONMENT], env=environment, capture_output=True, text=True, timeout=60
        )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said.pop("status_url").startswith(f"https://{host}/queue/acme/desk/requests/")
    assert said == {
        "run": "a fox", "subscribe": "a cat", "logs": ["step 1 of 2", "step 2 of 2"], "stream": [0, 1, 2],
        "get": "a hen", "painted": "p",
    }  # fmt: skip


# ---- with no setting at all, where fal's names lead to us

_UNDER_FALS_NAMES = """
import socket, sys
port, connect = int(sys.argv[1]), socket.create_connection
socket.create_connection = lambda address, *more, **keywords: connect(
    ("127.0.0.1", port) if address[1] == 443 else address, *more, **keywords)
import json, fal_client
handle = fal_client.submit("acme/desk", {"prompt": "a hen"})
with fal_client.realtime("acme/desk") as connection:
    connection.send({"prompt": "p"})
    painted = connection.recv()
url = fal_client.upload(b"1234", "text/plain")
print(json.dumps({
    "run": fal_client.run("acme/desk", {"prompt": "a fox"})["prompt"],
    "subscribe": fal_client.subscribe("acme/desk", {"prompt": "a cat"}, with_logs=True)["prompt"],
    "stream": [event["n"] for event in fal_client.stream("acme/desk", {"words": 3})],
    "weighed": fal_client.run("acme/desk/weigh", {"file": url})["files"][0]["size"],
    "get": handle.get()["prompt"], "painted": painted["prompt"], "url": url,
    "status": handle.status_url.replace(handle.request_id, "ID"),
}))
"""


@python("fal.run", "queue.fal.run", "rest.fal.ai", "v3.fal.media", call="no setting: a changed name look-up and a CA")
def test_under_fals_own_names(tmp_path: Path) -> None:
    """Nothing is set but the trusted authority and a key; the look-up of names is all that is changed."""
    authority = tmp_path / "tls"
    making = [sys.executable, "-m", "pondage.cli", "keys", "create", "me", "--data", str(tmp_path / "data")]
    key = subprocess.run(making, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    with GatewayProcess(
        str(APPS / "desk.py"), data=tmp_path / "data", tls_dev=True, tls_folder=str(authority)
    ) as gateway:
        environment = os.environ | {"FAL_KEY": key, "SSL_CERT_FILE": str(authority / "ca.pem")}
        ran = subprocess.run(
            [sys.executable, "-c", _UNDER_FALS_NAMES, gateway.url.rpartition(":")[2]],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said.pop("url").startswith("https://v3.fal.media/files/")
    assert said == {
        "run": "a fox", "subscribe": "a cat", "stream": [0, 1, 2], "weighed": 4, "get": "a hen", "painted": "p",
        "status": "https://queue.fal.run/acme/desk/requests/ID/status",
    }  # fmt: skip
