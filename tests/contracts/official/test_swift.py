"""The requests of fal's Swift client 0.5.6 against a real gateway, and what it makes of the answers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import msgspec
import pytest

from pondage.testing import serve
from pondage.wire.ids import legacy_endpoint

from . import swift as package
from .conftest import APPS, Guarded
from .raw_http import Elsewhere, send

swift = partial(pytest.mark.compat, client="swift")


@pytest.fixture(scope="module")
def fal(guarded: Guarded) -> package.Client:
    """`FalClient.withProxy`, with a key in the environment."""
    return package.Client(f"{guarded.url}/api/fal/proxy", guarded.key)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[package.Client]:
    """The client as it comes: fal's names lead to a server with a certificate for them."""
    folder = tmp_path_factory.mktemp("tls")
    with serve(str(APPS / "sketch.py"), str(APPS / "desk.py"), tls_dev=True, tls_folder=str(folder)) as served:
        key = ":".join(served.call(served.server.keys.create("swift", scopes=("submit", "read", "files"))))
        trusting = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        yield package.Client(None, key, elsewhere=Elsewhere(urlsplit(served.url).port or 0, trusting))


# ---- run and queue


@swift("POST /{owner}/{alias}", "x-fal-target-url", "proxyUrl", call="run")
def test_run(fal: package.Client) -> None:
    drawn = fal.run("acme/desk", {"prompt": "a fox", "guidance": 2.5})
    assert drawn["prompt"] == "a fox" and drawn["guidance"] == 2.5
    assert fal.run("acme/desk/said") == {"headers": {}}, "an input that is nil is no body; nothing is handed on"


@swift("status.logs", "status.logs[].labels.level", "status.response_url", call="subscribe(includeLogs:)")
def test_subscribe_with_logs(fal: package.Client) -> None:
    updates: list[package.Status] = []
    drawn = fal.subscribe("acme/desk", {"prompt": "a cat", "steps": 3}, logs=True, on_update=updates.append)
    assert drawn["prompt"] == "a cat"
    done = updates[-1]
    assert isinstance(done, package.Completed) and done.logs is not None
    assert [log.message for log in done.logs] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert {log.labels.level for log in done.logs} == {"STDOUT"}


@swift("status.logs[].labels.level", call="subscribe(includeLogs:)")
def test_every_level_of_a_log_is_one_that_it_knows(fal: package.Client) -> None:
    request_id = fal.submit("acme/echo/logs")
    while not isinstance(status := fal.status("acme/echo", request_id, logs=True), package.Completed):
        pass
    assert status.logs is not None
    assert {log.labels.level for log in status.logs} >= {"STDOUT", "WARN", "INFO", "DEBUG"}


@swift("fal_webhook", call="queue.submit(webhookUrl:)")
def test_submit_with_webhook(fal: package.Client, guarded: Guarded) -> None:
    hook = "http://127.0.0.1:9/hook?of=me&and=you"
    request_id = fal.submit("acme/desk", {"prompt": "a hen"}, webhook=hook)
    key = [("authorization", f"Key {guarded.key}")]
    owed = send("GET", f"{guarded.url}/api/v1/webhooks/deliveries?request_id={request_id}", key).json()
    while not owed["items"]:
        owed = send("GET", f"{guarded.url}/api/v1/webhooks/deliveries?request_id={request_id}", key).json()
    assert owed["items"][0]["url"] == hook


@swift(
    "GET /queue/{owner}/{alias}/requests/{request_id}/status", "GET /queue/{owner}/{alias}/requests/{request_id}",
    "status.queue_position", "status: logs is null when not asked for", call="queue.status, queue.response",
)  # fmt: skip
def test_status_and_response(fal: package.Client) -> None:
    request_id = fal.submit("acme/desk/wait", {"seconds": 0.2})
    seen = []
    while not isinstance(status := fal.status("acme/desk/wait", request_id), package.Completed):
        seen.append(status)
    assert all(isinstance(status, package.InQueue | package.InProgress) for status in seen)
    assert status.logs is None
    assert fal.response("acme/desk/wait", request_id) == {"seconds": 0.2}


@swift("ids with a namespace", "a request is found by its id alone", call="subscribe, queue.*")
def test_namespaces_that_it_does_not_know(named: package.Client) -> None:
    """`workflows/acme/story` gives status URLs of `workflows/acme`."""
    updates: list[package.Status] = []
    told = named.subscribe("workflows/acme/story", {"prompt": "a hen"}, logs=True, on_update=updates.append)
    assert told == {"prompt": "a hen"}
    done = updates[-1]
    assert isinstance(done, package.Completed) and done.logs is not None
    assert done.response_url.startswith("https://queue.fal.run/workflows/acme/story/requests/")


@swift("ids of the form 12345-alias", call="run, subscribe")
def test_ids_of_the_older_form(named: package.Client) -> None:
    assert named.run("110602490-lcm", {"prompt": "old"}) == {"prompt": "old"}
    assert named.subscribe("110602490-lcm", {"prompt": "older"}) == {"prompt": "older"}


# ---- files


@swift(
    "POST /storage/upload/initiate without storage_type", "PUT upload_url", "rest.alpha.fal.ai", "GET /files/{name}",
    call="storage.upload",
)  # fmt: skip
def test_upload(fal: package.Client, guarded: Guarded) -> None:
    url = fal.upload(b"\xff\xd8 a photo", "image/jpeg")
    assert url.startswith(f"{guarded.url}/files/")
    got = send("GET", url, [("accept", "*/*")])
    assert got.body == b"\xff\xd8 a photo" and got.headers["content-type"] == "image/jpeg"


@swift("file inputs as URLs", call="run: binary members of a Payload are uploaded")
def test_binary_members_are_uploaded(fal: package.Client) -> None:
    (weighed,) = fal.run("acme/desk/weigh", {"file": b"heavy"})["files"]
    assert weighed["size"] == 5


@swift("https with a private CA", "fal's host names", call="run, storage.upload")
def test_where_fals_names_lead_here(named: package.Client) -> None:
    assert named.run("acme/desk", {"prompt": "a fox"})["prompt"] == "a fox"
    assert named.upload(b"by name", "text/plain").startswith("https://v3.fal.media/files/")


# ---- errors


@swift("401 detail", "422 detail: loc, msg, type", "errors are JSON objects with detail", call="FalError.httpError")
def test_errors(fal: package.Client, guarded: Guarded) -> None:
    with pytest.raises(package.HttpError) as refused:
        fal.run("acme/desk", {"prompt": "a fox", "steps": 1000})
    assert refused.value.status == 422
    with pytest.raises(package.HttpError, match="refused") as refused:
        fal.run("acme/desk/refuse", {"status": 400})
    assert refused.value.status == 400
    stranger = package.Client(f"{guarded.url}/api/fal/proxy", "any:thing")
    with pytest.raises(package.HttpError, match="No user found for Key ID and Secret") as refused:
        stranger.submit("acme/desk", {"prompt": "a fox"})
    assert refused.value.status == 401


@swift("status.error", "failed requests are COMPLETED", call="queue.status, queue.response")
def test_a_failed_request_is_completed(fal: package.Client) -> None:
    request_id = fal.submit("acme/desk/refuse", {"status": 400})
    while not isinstance(fal.status("acme/desk", request_id, logs=True), package.Completed):
        pass
    with pytest.raises(package.HttpError, match="refused"):
        fal.response("acme/desk", request_id)


# ---- realtime


@swift("POST /tokens/", "tokens are a bare JSON string", call="realtime.connect")
def test_a_token_is_a_bare_string(fal: package.Client) -> None:
    token = fal.token("acme/desk")
    assert token.count(".") == 2 and not set(token) & set('{}[]": \n')


@swift(
    "WebSocket /{owner}/{alias}/realtime", "fal_jwt_token in the query", "text frames are answered by text frames",
    call="realtime.connect",
)  # fmt: skip
def test_realtime_as_text(named: package.Client) -> None:
    with named.connect("acme/desk") as connection:
        for n in range(3):
            connection.send({"prompt": f"p{n}"})
            assert connection.receive()["prompt"] == f"p{n}"


@swift(
    "msgpack frames", "msgpack: no nil", "msgpack: floats stay floats", "msgpack: bytes are bin",
    "images carry url or content, content_type, width, height", call="realtime.connect",
)  # fmt: skip
def test_realtime_as_msgpack(named: package.Client) -> None:
    with named.connect("acme/sketch") as connection:
        connection.send({"prompt": "a fox", "image_bytes": b"\x01\x02\xff", "strength": 0.5, "seed": 9})
        drawn = connection.receive()
        assert package.image(drawn["images"][0]) == package.RawImage(b"\xff\x02\x01", "image/jpeg", 512, 256)
        assert type(drawn["strength"]) is float and type(drawn["seed"]) is int
        assert "note" not in drawn, "a member that is null is left out"


@swift("WebSocket: own path", "msgpack: floats stay floats", call="realtime.connect")
def test_realtime_on_a_path_of_its_own(named: package.Client) -> None:
    with named.connect("acme/sketch/camera") as connection:
        connection.send({"image": b"\xff\xd8"})
        frame = connection.receive()
        assert frame["image"] == b"\xff\xd8" and type(frame["timings"]["inference"]) is float


@swift("x-fal-error", call="realtime.connect")
def test_realtime_says_what_went_wrong(named: package.Client) -> None:
    with named.connect("acme/desk") as connection:
        connection.send({"prompt": "fail"})
        with pytest.raises(RuntimeError, match=r"INTERNAL_ERROR: .*out of paint"):
            connection.receive()
        connection.send({"prompt": "again"})
        assert connection.receive()["prompt"] == "again"


@swift("WebSocket /{owner}/{alias}/ws", "ids of the form 12345-alias", call="realtime.connect")
@pytest.mark.parametrize("app", ["110602490-lcm", "110602490/lcm"])
def test_realtime_of_the_older_apps(named: package.Client, app: str) -> None:
    assert package.realtime_url(app, "t") == f"wss://fal.run/{app}/ws?fal_jwt_token=t"
    with named.connect(app) as connection:
        connection.send({"prompt": "old"})
        assert connection.receive() == {"prompt": "old"}


@swift("ids of the form 12345-alias", call="realtime.connect")
@pytest.mark.parametrize("alias", package.LEGACY_REALTIME)
def test_the_six_older_aliases_are_read_as_owner_and_alias(alias: str) -> None:
    url = urlsplit(package.realtime_url(f"110602490-{alias}", "t"))
    endpoint = legacy_endpoint(url.path)
    assert endpoint is not None and (endpoint.app, endpoint.path) == (f"110602490/{alias}", "/ws")


# ---- the judge itself


@pytest.mark.parametrize(
    "status",
    [
        {"status": "FAILED", "logs": None, "response_url": "https://x"},
        {"status": "IN_QUEUE", "queue_position": 0},
        {"status": "IN_QUEUE", "queue_position": "0", "response_url": "https://x"},
        {"status": "IN_PROGRESS"},
        {"status": "COMPLETED", "logs": None},
        {"status": "COMPLETED", "response_url": "https://x", "logs": [{"message": "", "timestamp": "", "labels": {}}]},
        {"status": "IN_PROGRESS", "logs": [{"message": "", "timestamp": "", "labels": {"level": "info"}}]},
    ],
)
def test_the_decoder_is_strict(status: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(status, package.Status)


def test_the_msgpack_decoder_is_strict() -> None:
    for value in (None, {"a": None}, {"a": [{"b": None}]}):
        with pytest.raises(package.Crash):
            package.payload(msgspec.msgpack.encode(value))
    for value in ({"url": "https://x", "width": 1, "height": 1}, {"content": b"", "content_type": "a", "width": 1.5}):
        with pytest.raises(msgspec.ValidationError):
            package.image(value)
