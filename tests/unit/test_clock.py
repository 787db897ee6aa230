"""Time for what cannot be undone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pondage.clock import ManualClock, SteadyWall


def test_it_goes_with_time_and_not_with_the_clock_that_is_set() -> None:
    clock = ManualClock(1000.0)
    steady = SteadyWall(clock)
    clock.advance(10)
    assert steady.now() == 1010
    clock.jump(86_400)
    assert steady.now() == 1010
    clock.advance(10)
    assert steady.now() == 1030, "it catches up at twice the pace"
    clock.jump(-86_400)
    assert steady.now() == 1020, "and is never ahead of the clock"


def test_it_begins_where_the_world_was_last_seen() -> None:
    clock = ManualClock(1000.0)
    assert SteadyWall(clock, since=400.0).now() == 400
    assert SteadyWall(clock, since=5000.0).now() == 1000


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1e6, 1e6)), max_size=20))
def test_it_never_runs_ahead_and_never_jumps(steps: list[tuple[float, float]]) -> None:
    clock = ManualClock(1e9)
    steady = SteadyWall(clock)
    before = steady.now()
    for seconds, jump in steps:
        clock.advance(seconds)
        clock.jump(jump)
        now = steady.now()
        assert now <= clock.wall() and now - before <= 2 * seconds + 1e-6
        before = now
