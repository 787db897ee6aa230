"""The client's decisions, without I/O."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import msgspec
import numpy
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pondage.client as fal_client
from pondage.client import context, core, inputs, limits, sessions
from pondage.client.core import Answer, Failure, Options, Repeat, Retries
from pondage.client.deadline import Deadline
from pondage.client.events import EventReader
from pondage.client.outputs import decode_output
from pondage.client.statuses import InProgress, Queued, StatusReader
from pondage.client.target import app_path, endpoint_path, point, request_urls
from pondage.clock import ManualClock

HERE = point(None, None, {})
CLOUD = point("fal", "id:secret", {})


# -- where to


def test_the_default_server() -> None:
    assert HERE.run == "http://127.0.0.1:8000" and HERE.queue == "http://127.0.0.1:8000/queue"
    assert HERE.websocket == "ws://127.0.0.1:8000" and HERE.key is None and not HERE.cloud


@pytest.mark.parametrize("url", ["fal", "https://fal.run", "https://queue.fal.run/"])
def test_fal(url: str) -> None:
    target = point(url, None, {"FAL_KEY": "k:s", "PONDAGE_KEY": "ours"})
    assert target.cloud and target.queue == "https://queue.fal.run" and target.authorization == "Key k:s"
    split = point(url, None, {"FAL_KEY_ID": "k", "FAL_KEY_SECRET": "s"})
    assert split.authorization == "Key k:s"


def test_fal_needs_a_key() -> None:
    with pytest.raises(fal_client.MissingCredentialsError, match="FAL_KEY"):
        point("fal", None, {"PONDAGE_KEY": "ours"})


def test_the_environment() -> None:
    target = point(None, None, {"PONDAGE_URL": "https://host/base/", "PONDAGE_KEY": "a:b", "FAL_KEY": "dear"})
    assert target.run == "https://host/base" and target.websocket == "wss://host/base"
    assert target.authorization == "Key a:b"
    assert point("http://x", "Bearer t", {}).authorization == "Bearer t"


@pytest.mark.parametrize("url", ["host:8000", "ftp://host", "http://", "/path"])
def test_a_bad_url(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        point(url, None, {})


def test_paths() -> None:
    assert endpoint_path("acme/flux/dev", "/stream") == "/acme/flux/dev/stream"
    assert endpoint_path("12345-name") == "/12345/name"
    assert endpoint_path("acme/flux/a b?c") == "/acme/flux/a%20b%3Fc"
    assert app_path("workflows/acme/flow/x/y") == "/workflows/acme/flow"
    assert request_urls(HERE, "acme/flux/dev", "r/1").status == HERE.queue + "/acme/flux/requests/r%2F1/status"


# -- what to send


def submit(**options: Any) -> core.Call:
    return core.submit_call(HERE, {}, "acme/echo", {}, Options(**options))


def test_every_call_that_makes_a_request_has_a_key_of_its_own() -> None:
    keys = {submit().headers["idempotency-key"] for _ in range(50)}
    assert len(keys) == 50 and all(submit().repeat is Repeat.FREELY for _ in range(2))
    assert submit(idempotency_key="mine").headers["idempotency-key"] == "mine"
    assert submit(headers={"Idempotency-Key": "theirs"}).headers["idempotency-key"] == "theirs"


def test_fal_gets_no_key_and_no_repeat() -> None:
    call = core.submit_call(CLOUD, core.base_headers(CLOUD), "acme/echo", {}, Options(on_disconnect="cancel"))
    assert call.repeat is Repeat.UNSENT
    assert set(call.headers) == {"accept", "user-agent", "authorization", "content-type"}


def test_no_post_to_fal_is_repeated_once_it_was_sent() -> None:
    """Not even those that make nothing: whatever the call says, the exchange knows the host."""
    import httpx2

    from pondage.client.blocking.exchange import Exchange

    sent: list[str] = []

    def lost(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.method)
        if request.url.path == "/busy":
            return httpx2.Response(503)
        raise httpx2.ReadError("gone", request=request)

    exchange = Exchange("fal", "id:secret", 5.0, max_attempts=2)
    with httpx2.Client(transport=httpx2.MockTransport(lost)) as client:
        exchange._pool.ready = lambda: client  # type: ignore[method-assign]
        with pytest.raises(fal_client.ConnectionError):
            exchange.send(core.Call("POST", "https://fal.run/x", {}, b""), timeout=1)
        assert exchange.send(core.Call("POST", "https://fal.run/busy", {}, b""), timeout=1).status == 503
        assert sent == ["POST", "POST"]
        with pytest.raises(fal_client.ConnectionError):
            exchange.send(core.Call("GET", "https://fal.run/x", {}), timeout=1)
        assert sent[2:] == ["GET", "GET"]


@pytest.mark.parametrize("options", [{"start_timeout": 1}, {"start_timeout": "soon"}, {"priority": "high"}])
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"start_timeout|priority|float"):
        submit(**options)


def test_a_get_has_no_body() -> None:
    assert core.run_call(HERE, {}, "a/b", {"x": 1}, Options(method="GET")).body is None


class Model(pydantic.BaseModel):
    prompt: str
    seed: int | None = None


def test_inputs() -> None:
    numpy = pytest.importorskip("numpy")
    value = {"m": Model(prompt="x"), "n": numpy.float32(1.5), "a": numpy.arange(3), "t": (1, 2)}
    assert json.loads(inputs.encode_input(value)) == {"m": {"prompt": "x"}, "n": 1.5, "a": [0, 1, 2], "t": [1, 2]}
    with pytest.raises(TypeError, match="object"):
        inputs.encode_input({"s": object()})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(max_size=8) | st.just(Path("x.png")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_every_file_is_found_and_replaced(value: Any) -> None:
    files = inputs.find_files(value)
    assert inputs.has_files(value) == bool(files)
    replaced = inputs.put_urls(value, [f"u{n}" for n in range(len(files))])
    assert not inputs.has_files(replaced)
    assert json.dumps(replaced).count('"u') >= len(files)


@dataclass
class Scene:
    image: Any
    others: list[Any]
    note: str = "n"


class Shot(pydantic.BaseModel):
    scene: Any
    taken: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    url: str | None = None


class Frame(msgspec.Struct, tag="frame", rename="camel"):
    raw_bytes: Any


def test_files_in_models_are_found_and_replaced() -> None:
    shot = Shot(scene=Scene(Path("a.png"), [Frame(b"1"), Frame("no file")]), taken=datetime(2026, 1, 3, tzinfo=UTC))
    value = {"first": MappingProxyType({"shot": shot}), "second": b"2"}
    assert inputs.has_files(value)
    assert [file.source for file in inputs.find_files(value)] == [Path("a.png"), b"1", b"2"]
    assert json.loads(inputs.encode_input(inputs.put_urls(value, ["u1", "u2", "u3"]))) == {
        "first": {
            "shot": {
                "taken": "2026-01-03T00:00:00Z",
                "scene": {
                    "image": "u1",
                    "others": [{"type": "frame", "rawBytes": "u2"}, {"type": "frame", "rawBytes": "no file"}],
                    "note": "n",
                },
            }
        },
        "second": "u3",
    }
    assert not inputs.has_files(Scene("a.png", [Shot(scene=1)]))


class Strength(pydantic.BaseModel):
    value: float
    more: list[float] = []


@dataclass
class Weights:
    rows: list[float]


class Scale(msgspec.Struct):
    by: float


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"strength": float("nan"), "seed": None}, "strength is nan"),
        ({"a": [{"b": float("-inf")}]}, "a.0.b is -inf"),
        ({"model": Strength(value=1.0, more=[0.5, float("inf")])}, "model.more.1 is inf"),
        ({"rows": Weights([0.5, float("nan")])}, "rows.rows.1 is nan"),
        (Scale(float("inf")), "by is inf"),
        ({"row": numpy.array([0.5, numpy.nan])}, "row.1 is nan"),
        ({"one": numpy.float32("inf")}, "one is inf"),
        ({"one": numpy.float64("nan")}, "one is nan"),
        (MappingProxyType({"x": float("nan")}), "x is nan"),
    ],
)
def test_what_json_does_not_have_is_named_and_not_sent(value: Any, place: str) -> None:
    options = Options()
    sends: list[Callable[[], object]] = [
        lambda: core.run_call(HERE, {}, "acme/echo", value, options),
        lambda: core.submit_call(HERE, {}, "acme/echo", value, options),
        lambda: core.stream_call(HERE, {}, "acme/echo", value, options._replace(path="/stream")),
        lambda: sessions.encode_message(value),
    ]
    for send in sends:
        with pytest.raises(fal_client.NotFinite, match=place) as raised:
            send()
        assert isinstance(raised.value, ValueError)


def test_null_is_not_confused_with_it() -> None:
    assert inputs.encode_input({"seed": None, "text": "null NaN"}) == b'{"seed":null,"text":"null NaN"}'
    assert sessions.decode_message(sessions.encode_message({"seed": None, "raw": b"\xcb\x7f\xf8"})) == {
        "seed": None,
        "raw": b"\xcb\x7f\xf8",
    }


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_start_limit_is_a_finite_number(seconds: float) -> None:
    with pytest.raises(ValueError, match="start_timeout"):
        core.start_timeout_headers(seconds)


def test_types_by_the_first_bytes() -> None:
    assert inputs.type_of_bytes(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert inputs.type_of_bytes(b"RIFF\0\0\0\0WEBP") == "image/webp"
    assert inputs.type_of_bytes(b"\0\0\0\x18ftypheic") == "image/heic"
    assert inputs.type_of_bytes(b"\0\0\0\x18ftypM4A ") == "audio/mp4"
    assert inputs.type_of_bytes(b"RIFF\0\0\0\0AVI ") == "video/x-msvideo"
    assert inputs.type_of_bytes(b"") == "application/octet-stream"


# -- again or not


def tries(repeat: Repeat = Repeat.FREELY, attempts: int = 4) -> Retries:
    return Retries(repeat, attempts, lambda: 0.0)


def test_waits_double_and_end() -> None:
    retries = tries()
    assert [retries.after_failure(Failure.LOST) for _ in range(4)] == [0.25, 0.5, 1.0, None]
    long = tries(attempts=20)
    assert max(long.after_failure(Failure.LOST) or 0 for _ in range(19)) == limits.BACKOFF_MAX


@given(st.floats(0, 1, exclude_max=True))
def test_jitter_shortens_by_half_at_most(random: float) -> None:
    wait = Retries(Repeat.FREELY, 2, lambda: random).after_failure(Failure.LOST)
    assert wait is not None and limits.BACKOFF / 2 <= wait <= limits.BACKOFF


def test_what_may_not_be_repeated() -> None:
    assert tries(Repeat.UNSENT).after_failure(Failure.LOST) is None
    assert tries(Repeat.UNSENT).after_failure(Failure.UNSENT) is not None
    assert tries(Repeat.UNSENT).after_answer(503, {}) is None
    assert tries().after_answer(500, {}) is None
    assert tries().after_answer(504, {"x-fal-request-timeout-type": "user"}) is None
    assert tries().after_answer(503, {"x-fal-retryable": "false"}) is None


def test_retry_after() -> None:
    assert tries().after_answer(429, {"retry-after": "7"}) == 7
    assert tries().after_answer(429, {"retry-after": "3600"}) is None
    assert tries().after_answer(429, {"retry-after": "Tue, 24 Nov 2026 02:00:00 GMT"}) == 0.25


# -- what an answer means


def test_results_that_are_not_there_yet() -> None:
    assert core.still_running(Answer(202, {}, b"{}"))
    assert core.still_running(Answer(400, {}, b'{"detail":"Request is still in progress"}'))
    assert not core.still_running(Answer(400, {}, b'{"detail":"bad"}'))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"request_id":1}'])
def test_a_submit_answer_that_is_none(body: bytes) -> None:
    with pytest.raises(fal_client.OutputMismatch):
        core.read_ticket(HERE, "a/b", Answer(200, {}, body))


def test_an_error_without_json() -> None:
    with pytest.raises(fal_client.ServerError, match="502: <h1>nginx") as caught:
        core.raise_for_status(Answer(502, {"x-fal-error-type": "t"}, b"<h1>nginx"))
    assert caught.value.error_type == "t"


def test_outputs() -> None:
    assert decode_output(b'{"a": NaN}')["a"] != 0
    with pytest.raises(fal_client.OutputMismatch, match="JSON"):
        decode_output(b"no")
    with pytest.raises(fal_client.OutputMismatch, match="Model"):
        decode_output(b"{}", Model)
    assert decode_output(b'[{"prompt":"x"}]', list[Model])[0].prompt == "x"


def test_polled_logs_are_cumulative() -> None:
    reader = StatusReader(with_logs=True, only_new=False)
    first = reader.read(b'{"status":"IN_PROGRESS","logs":[{"message":"a"}]}')
    second = reader.read(b'{"status":"IN_PROGRESS","logs":[{"message":"a"},{"message":"b"}]}')
    assert isinstance(first, InProgress) and isinstance(second, InProgress)
    assert second.logs == [{"message": "a"}, {"message": "b"}] and second.new_logs == [{"message": "b"}]
    assert first.logs == first.new_logs == [{"message": "a"}]


def test_statuses() -> None:
    reader = StatusReader(with_logs=False, only_new=True)
    assert reader.read(b'{"status":"IN_QUEUE","queue_position":3}') == Queued(3)
    assert reader.read(b'{"status":"IN_PROGRESS","logs":null}') == InProgress(None)
    for bad in (b'{"status":"DANCING"}', b"{}", b"no"):
        with pytest.raises(fal_client.OutputMismatch):
            reader.read(bad)


STREAM = b': hi\r\n\r\nid: 1\ndata: {"a":\ndata: 1}\n\nevent: error\r\ndata:x\r\n\r\nid: 2\n\ndata: \xc3\xb6\n\n'


@given(st.sets(st.integers(1, len(STREAM) - 1)))
def test_events_do_not_depend_on_how_the_bytes_are_cut(cuts: set[int]) -> None:
    reader = EventReader()
    edges = [0, *sorted(cuts), len(STREAM)]
    seen = [tuple(event) for a, b in itertools.pairwise(edges) for event in reader.feed(STREAM[a:b])]
    assert seen == [(b'{"a":\n1}', "message", "1"), (b"x", "error", "1"), ("ö".encode(), "message", "2")]


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_in_pieces_of_any_size(begin: bytes, piece: int, end: bytes) -> None:
    """And of every kind of line; characters at which Python's `splitlines` would cut are none."""
    text = "a\x85b\u2028c\x0bd\x1ce".encode()
    stream = begin + end.join(
        [b"id: 1", b"data: " + text, b"", b"data:x", b"data: y", b"", b":c", b"", b"data: z", b"", b""]
    )
    reader = EventReader()
    seen = [event.data for at in range(0, len(stream), piece) for event in reader.feed(stream[at : at + piece])]
    seen += [event.data for event in reader.feed(b"\n")]  # a last \r might have been the first half of \r\n
    assert seen == [text, b"x\ny", b"z"]


def test_a_large_event_is_put_together_once() -> None:
    reader = EventReader()
    piece = b"x" * 1000
    assert list(reader.feed(b"data: ")) == []
    for _ in range(2000):
        assert list(reader.feed(piece)) == []
    assert len(reader._held) == 2001, "nothing was copied meanwhile"
    [event] = reader.feed(b"\n\n")
    assert len(event.data) == 2_000_000


def test_a_deadline() -> None:
    clock = ManualClock()
    deadline = Deadline(2.0, clock)
    assert deadline.bound(5) == 2 and deadline.bound(None) == 2 and deadline.bound(1) == 1
    clock.advance(1.5)
    deadline.check()
    clock.advance(0.5)
    with pytest.raises(fal_client.FalClientTimeoutError, match="2 seconds"):
        deadline.check("r")
    assert Deadline(None, clock).remaining() is None


# -- inside an app


@pytest.fixture
def forget_app() -> Iterator[None]:
    yield
    fal_client.set_get_current_app(lambda: None)


def test_an_app_passes_its_token_on(forget_app: None) -> None:
    request = SimpleNamespace(headers={"x-fal-cdn-token": "t", "other": "o"})
    fal_client.set_get_current_app(lambda: SimpleNamespace(current_request=request))
    assert submit().headers["x-fal-cdn-token"] == "t" and "other" not in submit().headers
    context.take_headers({"x-fal-cdn-token": "new"})
    assert submit().headers["x-fal-cdn-token"] == "new"
    fal_client.set_get_current_app(lambda: SimpleNamespace(current_request=None))
    headers: dict[str, str] = {}
    context.add_headers(headers)
    assert headers == {}


# -- sessions


def test_frames() -> None:
    read = sessions.read_frame
    assert read(sessions.encode_message({"b": b"\0"})) == sessions.Result({"b": b"\0"})
    assert read('{"n":1}') == sessions.Result({"n": 1}) and read("[1]") == sessions.Result([1])
    assert read("hello") == sessions.Result({"type": "text", "payload": "hello"})
    assert isinstance(read('{"type":"x-fal-message","action":"timings"}'), sessions.Notice)
    assert isinstance(read('{"type":"x-fal-error","error":"TIMEOUT","reason":"r"}'), sessions.Quiet)
    assert isinstance(read('{"status":"error","error":"Unauthorized"}'), sessions.Stranger)
    fault = read('{"type":"x-fal-error","error":"E","reason":"r"}')
    assert isinstance(fault, sessions.Fault) and (fault.error.error, fault.error.reason) == ("E", "r")
    with pytest.raises(fal_client.OutputMismatch):
        read(b"\xc1")


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=30))
def test_a_throttled_outbox_keeps_its_distance_and_sends_the_last(steps: list[tuple[float, bool]]) -> None:
    outbox = sessions.Outbox(throttle=1.0, size=8)
    now, sent, times, last = 100.0, [], [], None
    for n, (passed, put) in enumerate(steps):
        now += passed
        if put:
            outbox.put(n)
            last = n
        message, wait = outbox.take(now)
        if message is not None:
            sent.append(message)
            times.append(now)
        else:
            assert wait is None or 0 < wait <= 1
    now += 1.0
    message, _ = outbox.take(now)
    sent += [] if message is None else [message]
    assert not sent or sent[-1] == last
    assert sent == sorted(set(sent)) and len(sent) + outbox.dropped == sum(put for _, put in steps)
    assert all(b - a >= 1.0 for a, b in itertools.pairwise(times))


def test_without_a_throttle_the_oldest_are_dropped() -> None:
    outbox = sessions.Outbox(throttle=0, size=3)
    for n in range(5):
        outbox.put(n)
    outbox.put_back("late")
    assert [outbox.take(0)[0] for _ in range(4)] == [2, 3, 4, None] and outbox.dropped == 3


def test_socket_urls() -> None:
    assert sessions.socket_url(HERE, "a/b", "/realtime", None, "t") == "ws://127.0.0.1:8000/a/b/realtime"
    assert sessions.socket_headers(HERE, "t") == {"authorization": "Bearer t"}
    assert sessions.socket_url(CLOUD, "a/b", "/realtime", 3, "t") == (
        "wss://fal.run/a/b/realtime?fal_jwt_token=t&max_buffering=3"
    )
    assert sessions.socket_headers(CLOUD, "t") == {}
    assert sessions.socket_headers(CLOUD, None) == {"authorization": "Key id:secret"}
    assert json.loads(sessions.token_call(CLOUD, {}, "a/b/c", 9).body or b"") == {  # type: ignore[arg-type]
        "allowed_apps": ["b"],
        "token_expiration": 9,
    }


@pytest.mark.parametrize("body", [b'"t"', b'{"token":"t"}', b'{"detail":"t"}'])
def test_tokens(body: bytes) -> None:
    assert sessions.read_token(Answer(200, {}, body)) == "t"


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'""'])
def test_no_token(body: bytes) -> None:
    with pytest.raises(fal_client.OutputMismatch):
        sessions.read_token(Answer(200, {}, body))


# -- times


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (1_900_000_000, "1900000000.0"),
        (datetime(2030, 1, 1, tzinfo=UTC), str(datetime(2030, 1, 1, tzinfo=UTC).timestamp())),
    ],
)
def test_times_are_sent_as_seconds(value: Any, sent: str) -> None:
    call = core.submit_call(HERE, {}, "acme/echo", {}, Options(start_at=value, deadline=value, payload_ttl=60))
    assert (call.headers["pondage-start-at"], call.headers["pondage-deadline"]) == (sent, sent)
    assert call.headers["pondage-payload-ttl"] == "60.0"


@pytest.mark.parametrize("name", ["start_at", "deadline", "payload_ttl"])
def test_times_that_cannot_be_kept_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        core.submit_call(HERE, {}, "acme/echo", {}, Options(**{name: float("nan")}))
    with pytest.raises(ValueError, match="fal's cloud"):
        core.submit_call(CLOUD, {}, "acme/echo", {}, Options(**{name: 2_000_000_000.0}))
