"""Charts: never more points than asked for, in the steps that people read, and nothing left out."""

from __future__ import annotations

import random

import pytest

from pondage.gateway.series import MOST_POINTS, points, step_of
from pondage.queue.counts import DAY, HOUR, MINUTE, Rolled, Rollup


@pytest.mark.parametrize(
    ("seconds", "most", "step"),
    [
        (0, 300, MINUTE), (HOUR, 300, MINUTE), (299 * MINUTE, 300, MINUTE), (300 * MINUTE, 300, 2 * MINUTE),
        (DAY, 300, 5 * MINUTE), (2 * DAY, 300, 10 * MINUTE), (7 * DAY, 300, HOUR), (90 * DAY, 300, 12 * HOUR),
        (400 * DAY, 300, 2 * DAY), (HOUR, 61, MINUTE), (HOUR, 1, HOUR), (DAY, 0, DAY),
    ],
)  # fmt: skip
def test_steps(seconds: float, most: int, step: int) -> None:
    assert step_of(seconds, most) == step


@pytest.mark.parametrize("seed", range(20))
def test_no_chart_has_too_many_points_and_each_rollup_is_in_one(seed: int) -> None:
    dice = random.Random(seed)
    since = dice.uniform(1.7e9, 1.8e9)
    until = since + dice.choice([1, 100, 4000, 1e5, 1e6, 1e7]) * dice.random()
    step = step_of(until - since)
    begin = int(since // step * step)
    width = HOUR if step >= HOUR else MINUTE
    rolled = [Rolled("a", at, Rollup(ok=dice.randint(1, 9))) for at in range(begin, int(until) + 1, width)][:5000]
    made = points(rolled, begin, until, step)
    assert len(made) <= MOST_POINTS
    assert sum(rollup.ok for rollup in made.values()) == sum(one.rollup.ok for one in rolled if one.at < until)
    assert all(at <= one.at < at + step for one in rolled for at in made if one.at == at)
