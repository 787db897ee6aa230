"""What an app hands over as its answer, used as an attack: every call is answered, nothing splits, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.gateway import answers
from pondage.testing import ServedApp, serve
from pondage.wire.events import Outcome, OutcomeKind

APP = str(Path(__file__).parents[1] / "apps" / "odd.py")


@pytest.fixture(scope="module")
def odd() -> Iterator[ServedApp]:
    with serve(APP) as served:
        yield served


HEADERS: list[dict[str, Any]] = [
    {"name": "x-b\r\nset-cookie", "value": "1"},
    {"value": "a\r\nx-evil: 1"},
    {"value": "a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"},
    {"name": "content-length", "value": "3"},
    {"name": "transfer-encoding", "value": "chunked"},
    {"value": "\x00"},
    {"name": ""},
    {"name": "x" * 10_000},
    {"value": "é世\ud7ff"},
    {"name": "connection", "value": "close"},
    {"value": "v" * 200_000},
]
STATUSES = [{"status": n} for n in (100, 101, 199, 200, 204, 205, 304, 600, 999, 0, -1, 10**6)]


@pytest.mark.parametrize("body", [*HEADERS, *STATUSES], ids=lambda body: repr(body)[:40])
def test_an_odd_answer_is_an_answer_and_can_be_read_again(odd: ServedApp, body: dict[str, Any]) -> None:
    # One connection throughout: whatever an answer has too much or too little shows in the next one.
    with httpx2.Client(base_url=odd.url, timeout=30, limits=httpx2.Limits(max_connections=1)) as http:
        answer = http.post("/acme/odd", json=body)
        assert answer.status_code == (500 if "status" in body else 418)
        assert not {"x-evil", "set-cookie"} & set(answer.headers)
        assert answer.headers.get_list("content-length") == [str(len(answer.content))]
        for _ in range(2):
            again = http.get(f"/queue/acme/odd/requests/{answer.headers['x-fal-request-id']}")
            assert (again.status_code, again.content) == (answer.status_code, answer.content)
        assert http.post("/acme/odd/fine", json={}).json() == {"fine": 1}


@pytest.mark.parametrize("text", ["a\r\nx-evil: 1", "\x00", "世", "a" * 100_000, "\x1b]0;x\x07"])
def test_an_odd_error_type_is_none_of_a_header(odd: ServedApp, text: str) -> None:
    with httpx2.Client(base_url=odd.url, timeout=30) as http:
        answer = http.post("/acme/odd/field", json={"type": text, "field": text})
        assert answer.status_code == 422 and "x-evil" not in answer.headers
        assert http.post("/acme/odd/fine", json={}).json() == {"fine": 1}


def test_progress_of_any_size_kills_no_runner(odd: ServedApp) -> None:
    with httpx2.Client(base_url=odd.url, timeout=60) as http:
        for size, times in ((70 * 1024**2, 1), (1024**2, 200)):
            answer = http.post("/acme/odd/progress", json={"size": size, "times": times})
            assert (answer.status_code, answer.json()) == (200, {"times": times})
            events = http.get(f"/api/v1/requests/{answer.headers['x-fal-request-id']}/events").json()["items"]
            assert not [one for one in events if one["kind"] == "retried"]


def test_what_was_stored_before_anybody_looked_is_readable_too() -> None:
    """An outcome of an older version, or of a runner that is not ours."""
    headers = {"x-b\r\nset-cookie": "1", "x-c": "a\r\nx-evil: 1", "content-length": "3", "x-good": "yes", "ü": "1"}
    for status, shown in ((200, 200), (418, 418), (101, 500), (0, 500), (1000, 500)):
        stored = Outcome(OutcomeKind.OK, status, b"{}", headers, error_type="a\r\nx-evil: 1")
        answer = answers.outcome(stored, "0199")
        assert answer.status == shown
        assert {name for name, _ in answer.headers} == {b"x-fal-request-id", b"x-good", b"content-type"}
        assert all(b"\r" not in value and b"\n" not in value for _, value in answer.headers)
