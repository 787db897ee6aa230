"""What a delivery says of every kind of outcome and event."""

from __future__ import annotations

import json

import pytest

from pondage.webhooks.payload import completed, intermediate
from pondage.wire.events import Log, Outcome, Progress, Started
from pondage.wire.states import OutcomeKind


def test_the_output_is_passed_on_as_it_is() -> None:
    body = b'{"big":12345678901234567890123,"float":1.10,"text":"\\u00e9"}'
    assert body in completed("r", Outcome(OutcomeKind.OK, 200, body))


@pytest.mark.parametrize("body", [b"\x89PNG", b'{"a":NaN}', b'{"a":1', b'{"a":"\xff"}', b"", b'"\xed\xa0\x80"'])
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    told = json.loads(completed("r", Outcome(OutcomeKind.OK, 200, body, {"content-type": "image/png"})))
    assert told["status"] == "OK" and told["payload"] is None and told["payload_error"]


def test_an_error_has_its_body_and_a_sentence() -> None:
    told = json.loads(completed("r", Outcome(OutcomeKind.ERROR, 422, b'{"detail":[]}')))
    assert told == {
        "request_id": "r", "gateway_request_id": "r", "status": "ERROR", "error": "Invalid status code: 422",
        "payload": {"detail": []},
    }  # fmt: skip
    lost = Outcome.failure(500, "the runner died", "runner_disconnected")
    assert json.loads(completed("r", lost))["error"] == "the runner died"


def test_intermediate_events() -> None:
    started = json.loads(intermediate("r", "started", 2, [Started(1.5, "n1")]))
    assert started == {
        "request_id": "r", "gateway_request_id": "r", "type": "started", "status": "IN_PROGRESS", "event": 2,
        "timestamp": "1970-01-01T00:00:01.500+00:00",
    }  # fmt: skip
    progress = json.loads(intermediate("r", "progress", 3, [Progress(1.0, 1, 4, "a"), Progress(2.0, 3, 4, "b")]))
    assert progress["progress"] == {"step": 3, "total": 4, "message": "b"}
    logs = json.loads(intermediate("r", "log", 5, [Log(1.0, "INFO", "x", "stdout"), Log(2.0, "ERROR", "y")]))
    assert [(line["level"], line["message"], line["source"]) for line in logs["logs"]] == [
        ("INFO", "x", "stdout"),
        ("ERROR", "y", ""),
    ]
