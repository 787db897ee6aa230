"""A caller's trace goes on through gateway, wait, attempts, files and webhook, by the SDK's own in-memory exporter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from pondage import tracer
from pondage.errors import ExtraMissing, SetupError
from pondage.testing import serve

from ..webhook_receiver import receiving

APPS = Path(__file__).parents[1] / "apps"
CALLERS = 0x0AF7651916CD43DD8448EB211C80319C
PARENT = 0xB7AD6B7169203331
TRACEPARENT = f"00-{CALLERS:032x}-{PARENT:016x}-01"


class Told(NamedTuple):
    """What the exporter got, what the callers saw, and what the receiver of webhooks was sent."""

    spans: list[ReadableSpan]
    ids: dict[str, str]
    hook: dict[str, str]
    seen: dict[str, str]
    """The headers that an app saw."""

    def of(self, request: str) -> list[ReadableSpan]:
        """The spans that tell of a request and what hangs on it, in the order of their begin."""
        (whole,) = [span for span in self.spans if _attribute(span, "pondage.request_id") == self.ids[request]
                    and span.name.startswith("request")]  # fmt: skip
        found, inside = [whole], {_id(whole)}
        for span in sorted(self.spans, key=lambda span: span.start_time or 0):
            if span.parent is not None and span.parent.span_id in inside:
                inside.add(_id(span))
                found.append(span)
        return found


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def _attribute(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """A server that traces; several requests; its end, by which everything is exported."""
    exporter, ids = InMemorySpanExporter(), {}
    patch = pytest.MonkeyPatch()
    patch.setattr(tracer, "otlp", lambda url: exporter)
    with receiving() as receiver:
        receiver.behave = lambda came, n: (500 if n == 1 else 204, {})
        hooks: dict[str, Any] = {"webhook_private": True, "webhook_schedule": [0.0, 0.05]}
        with (
            serve(str(APPS / "basic.py"), str(APPS / "desk.py"), traces="http://unused", **hooks) as served,
            httpx2.Client(base_url=served.url, timeout=30) as http,
        ):

            def call(name: str, path: str, body: Any, **more: Any) -> httpx2.Response:
                headers = {"traceparent": TRACEPARENT, "tracestate": "a=b", **more.pop("headers", {})}
                answer = http.post(path, json=body, headers=headers, **more)
                ids[name] = answer.headers["x-fal-request-id"]
                return answer

            call("run", "/acme/echo", {"x": 1})
            call("retried", "/acme/echo/retry", {"until": 2})
            call("failed", "/acme/echo/fail", {})
            call("file", "/acme/desk", {"prompt": "p"})
            call(
                "hook",
                "/queue/acme/echo",
                {"x": 1},
                params={"fal_webhook": receiver.url},
                headers={"prefer": "wait=20"},
            )
            came = receiver.count(2)
            call("unsampled", "/acme/echo", {"x": 1}, headers={"traceparent": TRACEPARENT[:-1] + "0"})
            call("alone", "/acme/echo", {"x": 1}, headers={"traceparent": "nonsense"})
            seen = call("seen", "/acme/desk/said", {}).json()["headers"]
            http.get("/healthz")
            http.get("/metrics")
    patch.undo()
    yield Told(list(exporter.get_finished_spans()), ids, came[-1].headers, seen)


def test_the_callers_trace_goes_on(told: Told) -> None:
    whole, wait, attempt = told.of("run")
    assert (whole.name, wait.name, attempt.name) == ("request acme/echo", "wait", "attempt 1")
    assert {span.context.trace_id for span in (whole, wait, attempt) if span.context} == {CALLERS}
    (call,) = [span for span in told.spans if whole.parent is not None and _id(span) == whole.parent.span_id]
    assert (call.name, call.kind) == ("POST /acme/echo", SpanKind.SERVER)
    assert call.parent is not None and call.parent.span_id == PARENT
    assert _attribute(call, "http.response.status_code") == 200
    assert _attribute(call, "pondage.request_id") == told.ids["run"]
    assert wait.parent is not None and attempt.parent is not None
    assert wait.parent.span_id == attempt.parent.span_id == _id(whole)
    assert whole.start_time == wait.start_time and wait.end_time == attempt.start_time
    assert attempt.end_time == whole.end_time
    assert _attribute(whole, "pondage.outcome") == "ok" and _attribute(attempt, "pondage.runner")
    assert call.start_time and whole.start_time and call.start_time <= whole.start_time


def test_every_attempt_and_every_wait_has_its_span(told: Told) -> None:
    whole, *steps = told.of("retried")
    assert [span.name for span in steps] == ["wait", "attempt 1", "wait", "attempt 2"]
    lost, again = steps[1], steps[3]
    assert lost.status.status_code is StatusCode.ERROR and "too early" in (lost.status.description or "")
    assert again.status.status_code is StatusCode.UNSET and whole.status.status_code is StatusCode.UNSET


def test_a_failed_request_says_so(told: Told) -> None:
    whole, _, attempt = told.of("failed")
    for span in (whole, attempt):
        assert span.status.status_code is StatusCode.ERROR and span.status.description


def test_a_file_hangs_on_the_attempt_that_stored_it(told: Told) -> None:
    _, _, attempt, file = told.of("file")
    assert file.name == "file" and file.parent is not None and file.parent.span_id == _id(attempt)
    assert _attribute(file, "pondage.bytes") > 0


def test_each_try_of_a_webhook_hangs_on_the_request_and_tells_its_receiver(told: Told) -> None:
    whole, *_, first, second = told.of("hook")
    assert (first.name, first.kind) == ("webhook completed", SpanKind.CLIENT)
    for span, number, status in ((first, 1, 500), (second, 2, 204)):
        assert span.parent is not None and span.parent.span_id == _id(whole)
        assert (_attribute(span, "pondage.try"), _attribute(span, "http.response.status_code")) == (number, status)
    assert first.status.status_code is StatusCode.ERROR and second.status.status_code is StatusCode.UNSET
    assert told.hook["traceparent"] == f"00-{CALLERS:032x}-{_id(second):016x}-01"
    assert told.hook["tracestate"] == "a=b"


def test_what_nobody_wants_to_see_is_not_told(told: Told) -> None:
    assert told.ids["unsampled"] not in {_attribute(span, "pondage.request_id") for span in told.spans}
    assert not [span.name for span in told.spans if "healthz" in span.name or "metrics" in span.name]


def test_a_call_without_a_trace_begins_one(told: Told) -> None:
    whole = told.of("alone")[0]
    assert whole.context is not None and whole.context.trace_id != CALLERS
    (call,) = [span for span in told.spans if whole.parent is not None and _id(span) == whole.parent.span_id]
    assert call.parent is None


def test_the_app_sees_a_trace_to_go_on_with(told: Told) -> None:
    (call,) = [span for span in told.spans if span.name == "POST /acme/desk/said"]
    assert told.seen["traceparent"] == f"00-{CALLERS:032x}-{_id(call):016x}-01"


def test_without_the_extra_the_start_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ExtraMissing, match=r"\[otel\]"), serve(str(APPS / "basic.py"), traces="http://127.0.0.1:9"):
        pass


def test_an_address_that_is_none_is_no_start() -> None:
    with pytest.raises(SetupError, match="localhost:4318"), serve(str(APPS / "basic.py"), traces="localhost:4318"):
        pass
