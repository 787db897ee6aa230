"""The requests of fal's Dart client 0.3.0 against a real gateway, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec
import pytest

from pondage.testing import serve

from . import dart as package
from .conftest import APPS, Guarded
from .raw_http import send

dart = partial(pytest.mark.compat, client="dart")


@pytest.fixture(scope="module")
def fal(guarded: Guarded) -> package.Client:
    """`FalClientImpl` with a key and a proxy."""
    return package.Client(f"{guarded.url}/api/fal/proxy", guarded.key)


@pytest.fixture(scope="module")
def keyless() -> Iterator[package.Client]:
    """`FalClient.withProxy`: a server on loopback asks for no key."""
    with serve(str(APPS / "sketch.py")) as served:
        yield package.Client(f"{served.url}/api/fal/proxy")


@dart("POST /{owner}/{alias}", "x-fal-request-id", "proxyUrl", "application/json; charset=utf-8", call="run")
def test_run(fal: package.Client) -> None:
    output = fal.run("acme/desk", {"prompt": "ein Füchslein", "guidance": 2.5})
    assert output.data["prompt"] == "ein Füchslein" and output.data["guidance"] == 2.5
    assert len(output.request_id) == 36
    assert fal.run("acme/desk/said").data == {"headers": {}}, "an input that is null is no body"


@dart("GET /{owner}/{alias}", call="run(method:)")
def test_run_by_get(fal: package.Client) -> None:
    assert fal.run("acme/desk", {"prompt": "by get"}, "GET").data["prompt"] == "by get"


@dart(
    "GET /queue/{owner}/{alias}/requests/{request_id}/status", "status.response_url", "status.logs",
    call="subscribe(logs:, onQueueUpdate:)",
)  # fmt: skip
def test_subscribe(fal: package.Client) -> None:
    updates: list[package.Status] = []
    output = fal.subscribe("acme/desk", {"prompt": "a cat", "steps": 3}, logs=True, on_update=updates.append)
    assert output.data["prompt"] == "a cat" and output.request_id
    done = updates[-1]
    assert isinstance(done, package.Completed) and done.logs is not None
    assert [log.message for log in done.logs] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]


@dart(
    "POST /queue/{owner}/{alias}", "GET /queue/{owner}/{alias}/requests/{request_id}", "fal_webhook",
    call="queue.submit, queue.status, queue.result",
)  # fmt: skip
def test_queue(fal: package.Client) -> None:
    request_id = fal.submit("acme/desk", {"prompt": "a hen"}, webhook="http://127.0.0.1:9/hook?of=me&and=you")
    while not isinstance(status := fal.status("acme/desk", request_id), package.Completed):
        pass
    assert status.logs is None
    assert fal.result("acme/desk", request_id).data["prompt"] == "a hen"


@dart("no header where no key is needed", call="FalClient.withProxy")
def test_without_a_key(keyless: package.Client) -> None:
    assert keyless.run("acme/sketch", {"prompt": "free"}).data == {"prompt": "free"}


@dart("ids with a namespace", "a request is found by its id alone", call="subscribe")
def test_a_namespace_is_left_out_of_status_urls(keyless: package.Client) -> None:
    assert keyless.subscribe("workflows/acme/story", {"prompt": "a hen"}).data == {"prompt": "a hen"}


@dart(
    "POST /storage/upload/initiate without storage_type", "PUT upload_url", "rest.alpha.fal.ai", "file inputs as URLs",
    call="storage.upload; XFiles of the input are uploaded",
)  # fmt: skip
def test_upload(fal: package.Client) -> None:
    url = fal.upload(package.File("a photo.jpg", b"\xff\xd8", "image/jpeg"))
    got = send("GET", url, [])
    assert got.body == b"\xff\xd8" and got.headers["content-type"] == "image/jpeg"
    (weighed,) = fal.run("acme/desk/weigh", {"file": package.File("heavy.bin", b"heavy")}).data["files"]
    assert weighed["size"] == 5


@dart("X-Fal-User-Agent", "CORS", call="in a browser")
def test_on_the_web(guarded: Guarded) -> None:
    fal = package.Client(f"{guarded.url}/api/fal/proxy", guarded.key, in_browser=True)
    assert fal.run("acme/desk", {"prompt": "a fox"}).data["prompt"] == "a fox"
    wanted = "authorization,content-type,x-fal-target-url,x-fal-user-agent"
    asked = [
        ("origin", "http://localhost:4000"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", wanted),
    ]
    allowed = send("OPTIONS", f"{guarded.url}/api/fal/proxy", asked)
    assert allowed.ok and allowed.headers["access-control-allow-origin"] == "http://localhost:4000"
    assert set(wanted.split(",")) <= set(allowed.headers["access-control-allow-headers"].split(", "))


# ---- errors


@dart("422: status, message, body", "422 detail: loc, msg, type", call="ValidationException")
def test_a_422_has_the_members_that_it_reads(fal: package.Client) -> None:
    for begin in (fal.run, fal.subscribe):
        with pytest.raises(package.ValidationException, match="100") as refused:
            begin("acme/desk", {"prompt": "a fox", "steps": 1000})
        assert refused.value.status == 422 and refused.value.body[0]["loc"] == ["body", "steps"]
    with pytest.raises(package.ValidationException, match="not for this model"):
        fal.run("acme/desk/refuse")


@dart("errors are JSON objects with detail", "401 detail", call="FalApiException")
def test_every_error_is_an_object(fal: package.Client, guarded: Guarded) -> None:
    stranger = package.Client(f"{guarded.url}/api/fal/proxy", "any:thing")
    for caller, endpoint, status in (
        (fal, "acme/desk/refuse?status=400", 400),
        (fal, "acme/echo/fail", 500),
        (fal, "acme/desk/nowhere", 404),
        (fal, "acme/nothing", 404),
        (stranger, "acme/desk", 401),
    ):
        path, _, query = endpoint.partition("?")
        input = {"status": int(query.partition("=")[2])} if query else {}
        with pytest.raises(package.FalApiException) as refused:
            caller.run(path, input)
        assert refused.value.status == status and isinstance(refused.value.body["detail"], str), endpoint
    with pytest.raises(package.FalApiException) as refused:
        fal.status("acme/desk", "0199c000-0000-7000-8000-000000000000")
    assert (refused.value.status, refused.value.body["status"]) == (404, "NOT_FOUND")


@dart("a result before its time is 400", call="queue.result")
def test_a_result_before_its_time(fal: package.Client) -> None:
    request_id = fal.submit("acme/desk/wait", {"seconds": 1.0})
    with pytest.raises(package.FalApiException) as refused:
        fal.result("acme/desk", request_id)
    assert (refused.value.status, refused.value.body["detail"]) == (400, "Request is still in progress")


@pytest.mark.parametrize(
    "status",
    [
        {"status": "IN_QUEUE", "queue_position": 1},
        {"status": "IN_PROGRESS", "logs": []},
        {"status": "COMPLETED", "response_url": None},
        {"status": "ERROR", "response_url": "https://x"},
    ],
)
def test_the_decoder_is_strict(status: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(status, package.Status)


def test_the_decoder_of_errors_is_strict() -> None:
    with pytest.raises(msgspec.ValidationError):
        package.ValidationException({"detail": [{"loc": ["body"], "msg": "", "type": ""}]})
