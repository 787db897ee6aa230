"""The requests of fal's Java and Kotlin clients 0.7.1 against a real gateway, and what they make of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from pondage.settings import Settings
from pondage.testing import serve

from ...apps.gates import Gate
from . import java as package
from .conftest import APPS, Guarded

java = partial(pytest.mark.compat, client="java")

OKHTTP_READ_LIMIT = 10.0
"""Seconds without a byte after which OkHttp gives up."""


@pytest.fixture(scope="module")
def fal(guarded: Guarded) -> package.Client:
    """`FalClient.withConfig` with credentials and a proxy."""
    return package.Client(f"{guarded.url}/api/fal/proxy", guarded.key)


@pytest.fixture(scope="module")
def brisk() -> Iterator[package.Client]:
    """A server that comments on idle streams ten times a second."""
    with serve(str(APPS / "desk.py"), str(APPS / "sketch.py"), keep_alive_interval=0.1) as served:
        yield package.Client(f"{served.url}/api/fal/proxy")


@java("POST /{owner}/{alias}", "x-fal-request-id", "proxyUrl", call="run")
def test_run(fal: package.Client) -> None:
    output = fal.run("acme/desk", {"prompt": "a fox", "guidance": 2.5})
    assert output.data["prompt"] == "a fox" and output.data["guidance"] == 2.5
    assert len(output.request_id) == 36


@java("GET /{owner}/{alias}", call="run(httpMethod)")
def test_run_by_get(fal: package.Client) -> None:
    assert fal.run("acme/desk/said", {}, "GET").data["headers"] is not None


@java("x-fal-target-url", "headers in any case", call="FalClient.withProxyUrl")
@pytest.mark.parametrize("name", ["x-fal-target-url", "X-FAL-TARGET-URL", "X-Fal-Target-Url", "x-Fal-tArget-uRl"])
def test_the_header_of_the_proxy_in_any_case(guarded: Guarded, name: str) -> None:
    fal = package.Client(f"{guarded.url}/api/fal/proxy", guarded.key, target_header=name)
    assert fal.run("acme/desk", {"prompt": "a fox"}).data["prompt"] == "a fox"


@java(
    "POST /queue/{owner}/{alias}",
    "submit.queue_position",
    "fal_webhook",
    call="queue.submit, queue.status, queue.result",
)
def test_submit(fal: package.Client, guarded: Guarded) -> None:
    enqueued = fal.submit("acme/desk", {"prompt": "a hen"}, webhook="http://127.0.0.1:9/hook?of=me&and=you")
    assert enqueued.response_url == f"{guarded.url}/queue/acme/desk/requests/{enqueued.request_id}"
    while not isinstance(status := fal.status("acme/desk", enqueued.request_id), package.Completed):
        pass
    assert status.logs is None
    assert fal.result("acme/desk", enqueued.request_id).data["prompt"] == "a hen"


@java(
    "GET /queue/{owner}/{alias}/requests/{request_id}/status/stream", "status stream: two Accept headers",
    "status stream: the last event is COMPLETED", "status.logs[].labels.source", call="subscribe",
)  # fmt: skip
def test_subscribe(fal: package.Client) -> None:
    updates: list[package.Update] = []
    output = fal.subscribe("acme/desk", {"prompt": "a cat", "steps": 3}, logs=True, on_update=updates.append)
    assert output.data["prompt"] == "a cat" and output.request_id == updates[-1].request_id
    assert isinstance(updates[-1], package.Completed)
    lines = [log.message for update in updates if not isinstance(update, package.InQueue) for log in update.logs or []]
    assert lines == ["step 1 of 3", "step 2 of 3", "step 3 of 3"], "a stream says each line once"


@java("status stream: comments while nothing happens", call="queue.subscribeToStatus")
def test_an_idle_stream_is_kept_alive(brisk: package.Client, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    assert Settings().keep_alive_interval < OKHTTP_READ_LIMIT / 2
    comments: list[int] = []
    updates: list[package.Update] = []

    def comment() -> None:
        comments.append(len(updates))
        gate.open()

    request_id = brisk.submit("acme/desk/wait", {"gate": str(gate)}).request_id
    brisk.subscribe_to_status("acme/desk", request_id, on_update=updates.append, on_comment=comment)
    assert any(seen < len(updates) for seen in comments), "a comment before the last event"


@java("ids with a namespace", "a request is found by its id alone", call="subscribe")
def test_a_namespace_is_left_out_of_status_urls(brisk: package.Client) -> None:
    assert brisk.subscribe("workflows/acme/story", {"prompt": "a hen"}).data == {"prompt": "a hen"}


@java("failed requests are COMPLETED", "x-fal-request-id on errors", "422 detail: loc, msg, type", call="FalException")
def test_errors(fal: package.Client) -> None:
    for endpoint, input, code in (
        ("acme/desk", {"prompt": "", "steps": 1}, 422),
        ("acme/desk/refuse", {"status": 400}, 400),
        ("acme/echo/fail", {}, 500),
    ):
        for begin in (fal.run, fal.subscribe):
            with pytest.raises(package.FalException, match=f"code: {code}") as refused:
                begin(endpoint, input)
            assert refused.value.request_id


@java("401 detail", "Authorization: Key", call="CredentialsResolver.fromApiKey")
def test_a_wrong_key_is_401(guarded: Guarded) -> None:
    fal = package.Client(f"{guarded.url}/api/fal/proxy", "any:thing")
    with pytest.raises(package.FalException, match="code: 401") as refused:
        fal.run("acme/desk", {"prompt": "a fox"})
    assert refused.value.request_id


@pytest.mark.parametrize(
    "status",
    [
        {"status": "IN_QUEUE", "request_id": "1", "status_url": "", "response_url": "", "cancel_url": ""},
        {"status": "COMPLETED", "request_id": "1", "status_url": "", "response_url": "", "cancel_url": None},
        {"status": "CANCELLED", "request_id": "1", "status_url": "", "response_url": "", "cancel_url": ""},
    ],
)
def test_the_decoder_is_strict(status: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(status, package.Update)
