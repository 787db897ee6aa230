"""run, submit, subscribe, status, result, cancel: blocking and async, over a real connection."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

import pondage.client as fal_client
from pondage.client import AsyncClient, Completed, InProgress, Queued, SyncClient
from pondage.client.aio import flow

pytestmark = pytest.mark.anyio


def test_run_sends_the_input_and_returns_the_output(server: Any, client: SyncClient) -> None:
    output = client.run("acme/echo", {"prompt": "ö"}, hint="h", start_timeout=30, headers={"X-Mine": "1"})
    assert output["echo"] == {"prompt": "ö"}
    sent = server.seen[0]
    assert server.paths() == ["POST /acme/echo"]
    assert sent.headers["authorization"] == "Key id:secret"
    assert sent.headers["x-fal-runner-hint"] == "h"
    assert sent.headers["x-fal-request-timeout"] == sent.headers["x-fal-request-start-timeout"] == "30.0"
    assert sent.headers["x-mine"] == "1"
    assert len(sent.headers["idempotency-key"]) == 32


async def test_async_run(server: Any, aclient: AsyncClient) -> None:
    assert (await aclient.run("acme/echo", input=[1], path="/sub"))["echo"] == [1]
    assert server.paths() == ["POST /acme/echo/sub"]


def test_an_input_is_given_once(client: SyncClient) -> None:
    with pytest.raises(TypeError, match="once"):
        client.run("acme/echo", {"a": 1}, input={"a": 1})


def test_no_key_sends_no_authorization(server: Any) -> None:
    with SyncClient(base_url=server.url) as client:
        client.run("acme/echo", {})
    assert "authorization" not in server.seen[0].headers


def test_fal_key_goes_to_fal_only(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_KEY", "dear:secret")
    monkeypatch.setenv("PONDAGE_URL", server.url)
    with SyncClient() as client:
        client.run("acme/echo", {})
    assert "authorization" not in server.seen[0].headers


class Struct(msgspec.Struct):
    echo: dict[str, int]


class Model(pydantic.BaseModel):
    echo: dict[str, int]


@dataclass
class Data:
    echo: dict[str, int]


class Typed(TypedDict):
    echo: dict[str, int]


@pytest.mark.parametrize("kind", [Struct, Model, Data])
def test_typed_outputs(client: SyncClient, kind: Any) -> None:
    for output in (
        client.run("acme/echo", {"n": 1}, output_type=kind),
        client.subscribe("acme/echo", {"n": 1}, output_type=kind),
        client.submit("acme/echo", {"n": 1}).get(output_type=kind),
    ):
        assert isinstance(output, kind) and output.echo == {"n": 1}


def test_a_typed_dict_and_a_list_of_models(server: Any, client: SyncClient) -> None:
    assert client.run("acme/echo", {"n": 1}, output_type=Typed)["echo"] == {"n": 1}

    async def models(request: Request, body: bytes) -> Response:
        return JSONResponse([{"echo": {"n": 2}}])

    server.handlers["POST /acme/list"] = models
    assert client.run("acme/list", {}, output_type=list[Model]) == [Model(echo={"n": 2})]


def test_an_output_that_does_not_fit(client: SyncClient) -> None:
    with pytest.raises(fal_client.OutputMismatch, match="Struct"):
        client.run("acme/echo", {"n": "no number"}, output_type=Struct)


def test_submit_status_result(server: Any, client: SyncClient) -> None:
    server.auto = False
    handle = client.submit("acme/echo", {"n": 1}, webhook_url="http://h/?a=b&c", priority="low")
    assert server.seen[0].query == {"fal_webhook": "http://h/?a=b&c"}
    assert server.seen[0].headers["x-fal-queue-priority"] == "low"
    assert handle.status() == InProgress(logs=None)
    server.requests[handle.request_id]["logs"] = [{"message": "hello"}]
    status = client.status("acme/echo/some/path", handle.request_id, include_logs=True)
    assert isinstance(status, InProgress) and status.logs == [{"message": "hello"}]
    server.requests[handle.request_id]["done"] = True
    assert client.status("acme/echo", handle.request_id) == Completed(None, {"inference_time": 0.5})
    assert client.result("acme/echo", handle.request_id)["echo"] == {"n": 1}
    assert client.get_handle("acme/echo", handle.request_id) == handle


def test_a_foreign_url_in_the_submit_answer_is_not_used(server: Any, client: SyncClient) -> None:
    async def tempting(request: Request, body: bytes) -> Response:
        foreign = dict.fromkeys(("response_url", "status_url", "cancel_url"), "http://elsewhere.test/x")
        return JSONResponse({"request_id": "r1", **foreign})

    server.handlers["POST /queue/acme/echo"] = tempting
    handle = client.submit("acme/echo", {})
    assert handle.status_url == f"{server.url}/queue/acme/echo/requests/r1/status"


def test_subscribe_without_a_callback_is_two_calls(server: Any, client: SyncClient) -> None:
    queued: list[str] = []
    assert client.subscribe("acme/echo", {"n": 1}, on_enqueue=queued.append)["echo"] == {"n": 1}
    assert queued == list(server.requests)
    assert server.paths() == ["POST /queue/acme/echo", f"GET /queue/acme/echo/requests/{queued[0]}"]
    assert server.seen[1].headers["prefer"] == "wait=50"


async def test_subscribe_follows_the_status_stream(server: Any, aclient: AsyncClient) -> None:
    seen: list[Any] = []

    async def update(status: Any) -> None:
        seen.append(status)

    await aclient.subscribe("acme/echo", {}, with_logs=True, on_queue_update=update)
    assert seen[0] == Queued(position=2)
    assert [entry["message"] for entry in seen[2].logs] == ["one", "two"]
    assert [entry["message"] for entry in seen[2].new_logs] == ["two"]
    assert seen[1].progress.total == 4 and seen[1].progress.message == "denoise"
    assert isinstance(seen[3], Completed) and seen[3].metrics == {"inference_time": 0.5}


def test_a_broken_status_stream_is_resumed(server: Any, client: SyncClient) -> None:
    handle = client.submit("acme/echo", {})
    whole = [
        b'id: 7\ndata: {"status":"IN_PROGRESS","logs":[{"message":"one"}]}\n\n',
        b'id: 8\ndata: {"status":"COMPLETED","logs":[{"message":"two"}],"metrics":{}}\n\n',
    ]

    async def broken(request: Request, body: bytes) -> Response:
        last = request.headers.get("last-event-id")
        rest = whole[1:] if last == "7" else [whole[0], whole[1][:20]]
        return StreamingResponse(iter(rest), media_type="text/event-stream")

    server.handlers["GET /queue/acme/echo/requests/*"] = broken
    logs = [s.logs for s in handle.iter_events(with_logs=True) if isinstance(s, InProgress | Completed)]
    assert logs == [[{"message": "one"}], [{"message": "one"}, {"message": "two"}]]
    assert len(server.seen) == 3


def test_a_server_that_is_not_pondage_is_polled(server: Any, client: SyncClient) -> None:
    server.pondage = False
    server.auto = False
    polls: list[Any] = []

    def update(status: Any) -> None:
        polls.append(status)
        if len(polls) == 3:
            server.requests["00000000-0"]["done"] = True

    client.subscribe("acme/echo", {}, on_queue_update=update, interval=0.001)
    assert len(polls) >= 4 and isinstance(polls[-1], Completed)
    assert not any(path.endswith("/stream") for path in server.paths())


def test_a_time_limit_cancels(server: Any, client: SyncClient) -> None:
    server.auto = False
    with pytest.raises(fal_client.FalClientTimeoutError) as caught:
        client.subscribe("acme/echo", {}, client_timeout=1.0)  # it is submitted by then
    assert caught.value.timeout == 1.0
    assert server.requests[str(caught.value.request_id)]["cancelled"]


async def test_the_time_limit_of_a_run_cancels_the_request_that_its_key_names(
    server: Any, aclient: AsyncClient
) -> None:
    server.auto = False
    await aclient.run("acme/echo", {})  # the client meets the server

    async def slow(request: Request, body: bytes) -> Response:
        server.submit(request, body)
        while not server.requests["00000000-0"]["cancelled"]:
            await __import__("asyncio").sleep(0.01)
        return JSONResponse({})

    server.handlers["POST /acme/slow"] = slow
    with pytest.raises(fal_client.TimeoutError) as caught:
        await aclient.run("acme/slow", {"n": 1}, timeout=1.0)
    assert caught.value.request_id == "00000000-0"
    assert list(server.requests) == ["00000000-0"] and server.requests["00000000-0"]["cancelled"]


def test_cancel_of_a_finished_request_is_no_error(server: Any, client: SyncClient) -> None:
    handle = client.submit("acme/echo", {})

    async def late(request: Request, body: bytes) -> Response:
        return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)

    server.handlers["PUT /queue/acme/echo/requests/*"] = late
    handle.cancel()
    client.cancel("acme/echo", handle.request_id)


def test_the_key_stays_the_same_over_the_tries(server: Any, client: SyncClient) -> None:
    answers = iter([503, 429, 200])

    async def shaky(request: Request, body: bytes) -> Response:
        return JSONResponse({"detail": "soon"}, next(answers))

    server.handlers["POST /acme/shaky"] = shaky
    client.run("acme/shaky", {"n": 1})
    keys = {seen.headers["idempotency-key"] for seen in server.seen}
    assert len(server.seen) == 3 and len(keys) == 1
    assert {json.dumps(seen.json) for seen in server.seen} == {'{"n": 1}'}


ERRORS = [
    (400, fal_client.BadRequest), (401, fal_client.Unauthorized), (403, fal_client.Forbidden),
    (404, fal_client.NotFound), (413, fal_client.TooLarge), (422, fal_client.InvalidInput),
    (499, fal_client.Cancelled), (500, fal_client.ServerError), (418, fal_client.HTTPError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), ERRORS)
def test_errors_by_kind(server: Any, client: SyncClient, status: int, kind: Any) -> None:
    async def bad(request: Request, body: bytes) -> Response:
        return JSONResponse({"detail": "no", "error_type": "t"}, status, {"x-fal-request-id": "r9"})

    server.handlers["POST /acme/bad"] = bad
    with pytest.raises(kind) as caught:
        client.run("acme/bad", {})
    error = caught.value
    assert type(error) is kind and issubclass(kind, fal_client.FalClientHTTPError)
    assert (error.status_code, error.message, error.error_type, error.request_id) == (status, "no", "t", "r9")
    assert error.response.json() == {"detail": "no", "error_type": "t"}
    assert len(server.seen) == 1


def test_the_fields_of_a_422(server: Any, client: SyncClient) -> None:
    detail = [{"loc": ["body", "images", 0, "url"], "msg": "Field required", "type": "missing"}]

    async def bad(request: Request, body: bytes) -> Response:
        return JSONResponse({"detail": detail}, 422)

    server.handlers["POST /acme/bad"] = bad
    with pytest.raises(fal_client.ValidationError) as caught:
        client.run("acme/bad", {})
    assert caught.value.message == detail
    assert [(f.path, f.msg, f.type) for f in caught.value.fields] == [("images.0.url", "Field required", "missing")]
    assert str(caught.value) == "422: images.0.url: Field required"


def test_a_limit_of_the_callers_is_not_repeated(server: Any, client: SyncClient) -> None:
    async def late(request: Request, body: bytes) -> Response:
        return JSONResponse({"detail": "late"}, 504, {"x-fal-request-timeout-type": "user"})

    server.handlers["POST /acme/late"] = late
    with pytest.raises(fal_client.StartTimeout):
        client.run("acme/late", {})
    assert len(server.seen) == 1


def test_nobody_there(unused_port: int) -> None:
    with SyncClient(base_url=f"http://127.0.0.1:{unused_port}", max_attempts=2) as client:
        with pytest.raises(fal_client.ConnectionError, match="cannot reach") as caught:
            client.run("acme/echo", {})
    assert caught.value.__cause__ is not None and issubclass(fal_client.ConnectionError, ConnectionError)


@pytest.mark.parametrize("endpoint", ["", "alone", "/x/"])
def test_an_endpoint_names_owner_and_alias(client: SyncClient, endpoint: str) -> None:
    with pytest.raises(ValueError, match="owner/alias"):
        client.run(endpoint, {})


async def test_a_hundred_first_calls_at_once_make_one_pool(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(flow, "_new_client", lambda make=flow._new_client: made.append(make()) or made[-1])
    async with AsyncClient(base_url=server.url) as client:
        await asyncio.gather(*[client.run("acme/echo", n) for n in range(100)])
    assert len(made) == 1


async def test_a_connection_that_was_reset_as_it_opened_is_no_bug_of_ours(
    server: Any, aclient: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the HTTP library raises then under uvloop: it asks None for the name of its peer."""
    pool = await aclient.exchange._pool.make()
    send, tries = pool.send, []

    async def reset_once(*given: Any, **named: Any) -> Any:
        tries.append(1)
        return getattr(None, "getpeername") if len(tries) == 1 else await send(*given, **named)  # noqa: B009

    monkeypatch.setattr(pool, "send", reset_once)
    assert (await aclient.run("acme/echo", 7))["echo"] == 7
    assert len(tries) == 2 and len(server.seen) == 1
