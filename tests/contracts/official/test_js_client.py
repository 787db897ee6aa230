"""fal's JavaScript clients, as published, in Node against a real gateway: every call, in each way of pointing them."""

from __future__ import annotations

from functools import partial

import pytest

from .conftest import Case, Guarded

js = partial(pytest.mark.compat, client="js")
old = partial(pytest.mark.compat, client="js-serverless")
every_way = pytest.mark.parametrize("way", ["middleware", "fetch", "proxy"])

STEPS = ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
STROKES = [{"prompt": f"p{n}", "image": [255, n], "scale": 1.5} for n in (1, 2, 3)]
WORDS = [{"n": n, "word": f"wörd {n}"} for n in range(4)]


# ---- direct calls


@js("POST /{owner}/{alias}", "x-fal-request-id", "requestMiddleware", "fetch", "proxyUrl", call="run")
@every_way
def test_run(case: Case, way: str) -> None:
    ran = case("run", way)
    assert ran["data"]["prompt"] == "a fox" and ran["picture"] == "drawn: a fox"
    assert len(ran["requestId"]) == 36


@js("GET /{owner}/{alias}", call='run(method: "get")')
@every_way
def test_run_by_get(case: Case, way: str) -> None:
    assert "headers" in case("runByGet", way)["data"]


@js("POST /{owner}/{alias}/stream", "text/event-stream", call="stream")
@every_way
def test_stream(case: Case, way: str) -> None:
    streamed = case("stream", way)
    assert streamed["events"] == WORDS and streamed["done"] == WORDS[-1]


@js("fal_jwt_token in the query", "POST /tokens/", call='stream(connectionMode: "client")')
def test_stream_with_a_token(case: Case) -> None:
    assert case("streamFromBrowser", "fetch")["events"] == WORDS


@js("stream: an error is the last event", call="stream")
@every_way
def test_a_stream_that_breaks_says_so_in_its_last_event(case: Case, way: str) -> None:
    events = case("streamThatBreaks", way)["events"]
    assert events[:2] == WORDS[:2]
    assert events[2]["type"] == "error" and events[2]["status"] == 500


# ---- queue


@js("GET /queue/{owner}/{alias}/requests/{request_id}/status", call='subscribe(mode: "polling")')
@every_way
def test_subscribe_by_polling(case: Case, way: str) -> None:
    done = case("subscribePolling", way)
    assert done["data"]["prompt"] == "a cat" and done["enqueued"] == [done["requestId"]]
    assert done["states"][-1] == "COMPLETED" and set(done["states"]) <= {"IN_QUEUE", "IN_PROGRESS", "COMPLETED"}
    assert done["logs"] == STEPS and done["level"] == "STDOUT"
    assert done["metrics"]["inference_time"] > 0


@js("GET /queue/{owner}/{alias}/requests/{request_id}/status/stream", call='subscribe(mode: "streaming")')
@every_way
def test_subscribe_by_streaming(case: Case, way: str) -> None:
    done = case("subscribeStreaming", way)
    assert done["data"]["prompt"] == "a cat" and done["states"][-1] == "COMPLETED"
    assert done["logs"] == STEPS


@js(
    "POST /queue/{owner}/{alias}", "GET /queue/{owner}/{alias}/requests/{request_id}", "fal_webhook",
    call="queue.submit, queue.status, queue.subscribeToStatus, queue.result",
)  # fmt: skip
@every_way
def test_queue(case: Case, guarded: Guarded, way: str) -> None:
    said = case("queue", way)
    request_id = said["submitted"]["request_id"]
    base = f"{guarded.url}/queue/acme/desk/requests/{request_id}"
    for body in (said["submitted"], said["completed"]):
        assert (body["response_url"], body["status_url"], body["cancel_url"]) == (
            base, f"{base}/status", f"{base}/cancel",
        )  # fmt: skip
    assert said["submitted"]["status"] == "IN_QUEUE" and isinstance(said["submitted"]["queue_position"], int)
    assert said["completed"]["status"] == "COMPLETED"
    assert said["result"]["data"]["prompt"] == "a hen" and said["result"]["requestId"] == request_id


@js("status stream: logs are new entries only", call="queue.streamStatus")
@every_way
def test_stream_of_the_status(case: Case, way: str) -> None:
    said = case("streamStatus", way)
    assert said["states"][-1] == "COMPLETED" and said["logs"] == 1


@js("PUT /queue/{owner}/{alias}/requests/{request_id}/cancel", "status.error_type", call="queue.cancel")
@every_way
def test_cancel(case: Case, way: str) -> None:
    said = case("cancel", way)
    assert said["status"]["error_type"] == "client_cancelled"
    assert said["result"]["kind"] == "ApiError" and said["result"]["status"] == 499


@js("abort", call="subscribe(abortSignal)")
def test_abort(case: Case) -> None:
    assert case("abort")["refused"] is True


@js(
    "x-fal-queue-priority", "X-Fal-Runner-Hint", "X-Fal-Request-Timeout", "X-Fal-Object-Lifecycle-Preference",
    "any custom header", call="queue.submit(priority, hint, startTimeout, headers, storageSettings)",
)  # fmt: skip
@every_way
def test_headers_reach_the_app(case: Case, way: str) -> None:
    headers = case("headers", way)
    assert headers["x-my-header"] == "here" and headers["x-fal-runner-hint"] == "sticky"
    assert float(headers["x-fal-request-timeout"]) == 30
    assert "3600" in headers["x-fal-object-lifecycle-preference"]


# ---- files


@js("POST /storage/upload/initiate", "PUT upload_url", "X-Fal-Object-Lifecycle", call="storage.upload")
@every_way
def test_upload(case: Case, guarded: Guarded, way: str) -> None:
    said = case("upload", way)
    assert said["href"].startswith(f"{guarded.url}/files/")
    assert said["text"] == "from a blob" and said["type"].startswith("text/plain")


@js("file inputs as URLs", call="run: Blobs in the input are uploaded")
@every_way
def test_blobs_of_an_input_are_uploaded(case: Case, way: str) -> None:
    assert [file["size"] for file in case("uploadByItself", way)] == [3, 5]


@js("POST /storage/upload/initiate-multipart", "PUT {upload_url}/{part}", "POST {upload_url}/complete",
    call="storage.upload of more than 90 MiB")  # fmt: skip
@pytest.mark.parametrize("way", ["middleware", "proxy"])
def test_upload_in_parts(case: Case, way: str) -> None:
    assert case("uploadInParts", way) == {"size": 91 * 1024 * 1024 + 3, "same": True}


# ---- errors


@js("422 detail: loc, msg, type", "x-fal-request-id on errors", "X-Fal-Error-Type", call="ApiError, ValidationError")
@every_way
def test_errors(case: Case, way: str) -> None:
    said = case("errors", way)
    validation = said["validation"]
    assert (validation["kind"], validation["status"]) == ("ValidationError", 422)
    assert validation["fields"][0]["loc"] == ["body", "steps"] and validation["fields"][0]["type"] == "less_than_equal"
    assert "100" in validation["message"] and validation["requestId"]
    assert said["queued"]["kind"] == "ValidationError" and said["queued"]["fields"][0]["loc"] == ["body", "prompt"]
    assert said["policy"]["fields"][0]["type"] == "content_policy_violation"
    assert (said["teapot"]["kind"], said["teapot"]["status"]) == ("ApiError", 418)
    assert said["teapot"]["body"]["detail"] == "refused"
    assert (said["crash"]["status"], said["unknown"]["status"]) == (500, 404)


@js("401 detail", "Authorization: Key", call="credentials")
@every_way
def test_a_wrong_key_is_401(case: Case, way: str) -> None:
    for refused in case("wrongKey", way).values():
        assert (refused["kind"], refused["status"]) == ("ApiError", 401)
        assert refused["body"]["detail"] == "No user found for Key ID and Secret"


# ---- realtime


@js("WebSocket /{owner}/{alias}/realtime", "max_buffering", "msgpack frames", call="realtime.connect")
@every_way
def test_realtime(case: Case, way: str) -> None:
    assert case("realtime", way) == STROKES


@js("POST /tokens/realtime", call="realtime.connect(tokenProvider)")
def test_realtime_with_tokens_of_a_back_end(case: Case) -> None:
    assert case("realtimeWithOwnTokens") == {"asked": ["acme/desk/realtime"], "results": STROKES}


@js("text frames are answered by text frames", call="realtime.connect(encodeMessage)")
def test_realtime_as_text(case: Case) -> None:
    assert case("realtimeText")[0]["prompt"] == "as text"


@js("WebSocket: own path", call="realtime.connect(path)")
def test_realtime_with_many_answers(case: Case) -> None:
    assert case("realtimeManyAnswers") == [{"n": 0}, {"n": 1}, {"n": 2}]


@js("x-fal-error", call="realtime.connect(onError)")
def test_realtime_says_what_went_wrong(case: Case) -> None:
    said = case("realtimeError")
    assert said["kind"] == "ApiError" and said["message"].startswith("INTERNAL_ERROR")


@js("a wrong token is refused at the handshake", call="realtime.connect(onError)")
def test_realtime_with_a_wrong_token(case: Case) -> None:
    assert case("realtimeWrongToken")["refused"] is True


# ---- the predecessor


@old("POST /{owner}/{alias}", call="run")
def test_old_run(case: Case) -> None:
    assert case("oldRun")["prompt"] == "a fox"


@old("GET /queue/{owner}/{alias}/requests/{request_id}/status", call="subscribe")
def test_old_subscribe(case: Case) -> None:
    said = case("oldSubscribe")
    assert said["data"]["prompt"] == "a cat" and said["states"][-1] == "COMPLETED" and said["logs"] == STEPS


@old("POST /queue/{owner}/{alias}", call="queue.submit, queue.status, queue.result")
def test_old_queue(case: Case) -> None:
    assert case("oldQueue")["prompt"] == "a hen"


@old("POST /{owner}/{alias}/stream", call="stream")
def test_old_stream(case: Case) -> None:
    assert case("oldStream") == WORDS[:3]


@old("POST /storage/upload/initiate without storage_type", "rest.alpha.fal.ai", call="storage.upload")
def test_old_upload(case: Case) -> None:
    assert case("oldUpload") == {"text": "older", "size": 9}


@old("WebSocket /{owner}/{alias}/realtime", call="realtime.connect")
def test_old_realtime(case: Case) -> None:
    said = case("oldRealtime")
    assert (said["prompt"], said["scale"]) == ("p", 0.5)


@old("422 detail: loc, msg, type", call="ValidationError")
def test_old_error(case: Case) -> None:
    said = case("oldError")
    assert (said["name"], said["status"]) == ("ValidationError", 422)
    assert said["fields"][0]["loc"] == ["body", "steps"]
