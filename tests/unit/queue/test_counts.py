"""How counts add up: buckets, quantiles, messages, facts. Pure."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondage.queue import counts
from pondage.queue.counts import BUCKETS, DAY, HOUR, Ended, Errors, Rollup, Spent, Submitted
from pondage.wire.states import OutcomeKind


@given(st.floats(0.001, 9_900.0))
def test_a_duration_is_known_within_nine_percent_above(seconds: float) -> None:
    at = counts.bucket(seconds)
    assert 0 <= at < BUCKETS
    assert seconds <= counts.bound(at) * (1 + 1e-9)
    assert counts.bound(at) <= max(seconds, 0.001) * 2**0.25 * (1 + 1e-9)


@pytest.mark.parametrize(("seconds", "at"), [(0.0, 0), (-1.0, 0), (0.0005, 0), (1e9, BUCKETS - 1)])
def test_what_is_beyond_the_scale_falls_into_its_ends(seconds: float, at: int) -> None:
    assert counts.bucket(seconds) == at


def test_quantiles() -> None:
    assert counts.quantile({}, 0.5) is None
    histogram = {counts.bucket(1.0): 90, counts.bucket(10.0): 10}
    half, most = counts.quantile(histogram, 0.5), counts.quantile(histogram, 0.95)
    assert half is not None and most is not None
    assert math.isclose(half, 1.0, rel_tol=0.2) and math.isclose(most, 10.0, rel_tol=0.2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no file at '/tmp/a1'", "no file at '/tmp/b2'"),
        ("tensor of 512x768 at 0x7f00a1", "tensor of 64x64 at 0xdeadbeef"),
        ("request 01a21e79-2e4b-72c5-b319-0908f84a4f53 failed", "request 01a21e79-2e4b-72c5-b319-0908f84a4f54 failed"),
        ("took  1.5\n s", "took 20 s"),
    ],
)
def test_messages_of_one_kind_are_one(one: str, other: str) -> None:
    assert counts.normalised(one) == counts.normalised(other) != ""


def test_messages_that_differ_in_words_stay_apart() -> None:
    assert counts.normalised("no such file") != counts.normalised("no such host")
    assert len(counts.normalised("x" * 10_000)) <= counts.MESSAGE_CHARS


@pytest.mark.parametrize(("text", "units"), [("2.5", 2.5), ("", 0.0), ("nan", 0.0), ("inf", 0.0), ("many", 0.0)])
def test_units_that_are_no_number_count_nothing(text: str, units: float) -> None:
    assert counts.units({counts.UNITS: text}) == units


def test_facts_are_counted_where_they_belong() -> None:
    at = 3 * DAY + 2 * HOUR + 61
    counted = counts.count(
        [
            Submitted(at, "a/b", "k", 10),
            Ended(at, "a/b", "k", "r1", OutcomeKind.OK, 1.0, 2.0, 3.0, 20, runner=2.0, devices=4.0, units=1.5),
            Ended(at, "a/b", "k", "r2", OutcomeKind.ERROR, 0.0, 0.0, 0.0, 0, error_type="t", error="at 1"),
            Ended(at + 1, "a/b", "k", "r3", OutcomeKind.ERROR, 0.0, 0.0, 0.0, 0, error_type="t", error="at 2"),
            Spent(at, "a/b", "other", 5.0, 5.0),
        ]
    )
    minute = counted.minutes["a/b", 3 * DAY + 2 * HOUR + 60]
    assert (minute.submitted, minute.ok, minute.error, minute.lost, minute.ended) == (1, 1, 2, 1, 3)
    assert sum(minute.runs.values()) == 3
    assert counted.hours["a/b", 3 * DAY + 2 * HOUR].total == 3.0
    usage = counted.usage["k", "a/b", 3 * DAY]
    assert (usage.submitted, usage.ok, usage.error, usage.input_bytes, usage.output_bytes) == (1, 1, 2, 10, 20)
    assert (usage.runner, usage.devices, usage.units) == (2.0, 4.0, 1.5)
    assert counted.usage["other", "a/b", 3 * DAY].runner == 5.0
    ((kind, errors),) = counted.errors.items()
    assert kind == ("a/b", "t", "at #", 3 * DAY + 2 * HOUR)
    assert errors == Errors(2, at, at + 1, "r3")


def test_a_rollup_shares_nothing_with_another() -> None:
    one, other = Rollup(), Rollup(ok=1, runs={3: 1})
    one.add(other)
    one.add(other)
    assert (one.ok, one.runs, other.runs) == (2, {3: 2}, {3: 1})
