"""Answers that are made of a stored outcome."""

from __future__ import annotations

import pytest

from pondage.gateway import answers
from pondage.wire.events import Outcome
from pondage.wire.states import OutcomeKind


@pytest.mark.parametrize(
    "headers", [{"x-a": "one\r\nset-cookie: two"}, {"x-a\r\nset-cookie": "1"}, {"x-a": "nul\0"}, {"x-a": "half \udce9"}]
)
def test_no_stored_header_makes_a_result_unreadable(headers: dict[str, str]) -> None:
    stored = Outcome(OutcomeKind.OK, 200, b"1", {"content-type": "text/plain", "x-good": "yes", **headers})
    answer = answers.outcome(stored, "r")
    assert (b"x-good", b"yes") in answer.headers and (b"content-type", b"text/plain") in answer.headers
    assert not any(byte in name + value for name, value in answer.headers for byte in b"\r\n\0")


def test_the_headers_of_an_app_reach_its_caller() -> None:
    stored = Outcome(OutcomeKind.OK, 200, b"1", {"content-type": "application/json", "X-A": "é", "x-b": "tab\tin"})
    headers = dict(answers.outcome(stored, "r").headers)
    assert headers[b"x-a"] == "é".encode("latin-1") and headers[b"x-b"] == b"tab\tin"
