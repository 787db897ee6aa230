"""When a delivery is tried again, and when it is given up."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondage.settings import Settings
from pondage.webhooks.breaker import Breaker
from pondage.webhooks.interface import Tried
from pondage.webhooks.schedule import after, reason_for, retry_after

SETTINGS = Settings()


def tried(status: int | None, at: float = 1000.0, **more: float | bool) -> Tried:
    return Tried(at, 0.0, status, reason_for(status) if status else "timed out", **more)  # type: ignore[arg-type]


def dues(settings: Settings = SETTINGS, dice: float = 0.0) -> list[float]:
    """When a delivery to a dead receiver is tried, counted from its beginning, until it is given up."""
    at, found = 0.0, [0.0]
    for n in range(1, 10_000):
        then = after(tried(500, at), tries=n, since=0.0, settings=settings, dice=dice)
        if then.state == "dead":
            return found
        at = then.due_at
        found.append(at)
    raise AssertionError("never given up")


def test_the_default_schedule() -> None:
    found = dues()
    assert found[:5] == [0, 2, 6, 15, 40]
    assert len([at for at in found if at <= 7200]) >= 10
    assert found[-1] <= SETTINGS.webhook_window < found[-1] + 1200.1
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert gaps == sorted(gaps)


def test_a_window_of_days() -> None:
    found = dues(Settings(webhook_window=3 * 86_400.0))
    assert found[-1] > 2.9 * 86_400


@given(st.floats(0, 1))
def test_jitter_only_lengthens_and_by_a_tenth_at_most(dice: float) -> None:
    for plain, jittered in zip(dues()[1:8], dues(dice=dice)[1:8], strict=True):
        assert plain <= jittered <= plain * 1.1 + 1e-6


def test_it_is_never_given_up_before_the_least_tries() -> None:
    late = 1000.0 + SETTINGS.webhook_window * 2
    assert after(tried(500, late), tries=9, since=1000.0, settings=SETTINGS, dice=0).state == "owed"
    assert after(tried(500, late), tries=10, since=1000.0, settings=SETTINGS, dice=0).state == "dead"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (200, "done"), (201, "done"), (204, "done"), (299, "done"),
        (301, "owed"), (302, "owed"), (307, "owed"), (308, "owed"), (400, "owed"), (404, "owed"), (409, "owed"),
        (429, "owed"), (500, "owed"), (503, "owed"), (None, "owed"), (410, "dead"),
    ],
)  # fmt: skip
def test_what_an_answer_means(status: int | None, state: str) -> None:
    assert after(tried(status), tries=1, since=1000.0, settings=SETTINGS, dice=0.5).state == state


def test_a_refused_address_is_final() -> None:
    assert after(tried(None, final=True), tries=1, since=1000.0, settings=SETTINGS, dice=0).state == "dead"


def test_a_receiver_may_ask_for_patience() -> None:
    def due(seconds: float) -> float:
        then = after(tried(429, retry_after=seconds), tries=1, since=1000.0, settings=SETTINGS, dice=0)
        return then.due_at - 1000.0

    assert due(0) == 2.0
    assert due(77) == 77.0
    assert due(1e9) == SETTINGS.webhook_window


def test_reading_retry_after() -> None:
    assert retry_after("120", 0) == 120
    assert retry_after(" 5 ", 0) == 5
    assert retry_after("Thu, 01 Jan 1970 00:02:00 GMT", 60.0) == 60
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT", 60.0) == 0
    assert [retry_after(text, 0) for text in (None, "", "soon", "-3", "9" * 40)] == [None] * 5


def test_redirects_say_why_they_are_failures() -> None:
    assert "redirect" in reason_for(302)
    assert reason_for(204) == ""


def test_the_allowance_grows_with_success_and_shrinks_with_failure() -> None:
    breaker = Breaker(SETTINGS)
    seen = []
    for _ in range(5):
        seen.append(breaker.room(0, 0.0))
        breaker.succeeded(0.1)
    assert seen == [1, 2, 4, 8, 8]
    breaker.failed(0.0)
    assert breaker.room(0, 0.0) == 4 and breaker.slow
    assert breaker.room(4, 0.0) == 0


def test_the_breaker_opens_only_after_ten_failures_in_a_row() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(9):
        assert breaker.failed(0.0) == ""
    breaker.succeeded(0.1)
    for _ in range(9):
        assert breaker.failed(0.0) == ""
    assert breaker.room(0, 0.0) == 1
    assert "10 failures in a row" in breaker.failed(5.0)
    assert breaker.room(0, 34.9) == 0
    assert breaker.room(0, 35.0) == 1
    assert breaker.room(1, 35.0) == 0
    assert "11 failures" in breaker.failed(36.0)
    assert breaker.room(0, 65.9) == 0
    assert "answers again after 11" in breaker.succeeded(0.1)
    assert breaker.room(0, 36.0) == 2


def test_a_host_that_takes_long_is_slow() -> None:
    breaker = Breaker(SETTINGS)
    breaker.succeeded(2.5)
    assert breaker.slow
    breaker.succeeded(0.5)
    assert not breaker.slow
