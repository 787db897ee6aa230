"""How many runners an app should have."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pondage.fleet.plan import Demand, Plan, Wish, backoff, plan, stagger


def demand(**more: Any) -> Demand:
    given: dict[str, Any] = {
        "min_concurrency": 1, "max_concurrency": 4, "concurrency_buffer": 0, "keep_alive": 60.0, "slots": 2,
        "queued": 0, "running": 0, "starting": 0, "ready": 0, "leaving": 0, "idle": (), "not_before": 0.0, "now": 100.0,
    }  # fmt: skip
    return Demand(**{**given, **more})


def test_the_least_is_kept_without_work() -> None:
    assert plan(demand()) == Plan(1, (), None)
    assert plan(demand(min_concurrency=0)) == Plan(0, (), None)


def test_what_waits_starts_runners_by_slots() -> None:
    assert plan(demand(queued=3, min_concurrency=0)).start == 2
    assert plan(demand(queued=100)).start == 4, "never more than max_concurrency"
    assert plan(demand(queued=3, starting=2)).start == 0, "those that set up count"


def test_the_buffer_is_added_once_there_is_work() -> None:
    assert plan(demand(queued=2, concurrency_buffer=1)).start == 2


def test_a_crash_delays_the_next_start() -> None:
    assert plan(demand(queued=1, not_before=105.0)) == Plan(0, (), 105.0)


def test_the_next_one_waits_for_the_place_of_a_runner_whose_device_failed() -> None:
    assert plan(demand(max_concurrency=1, queued=1, leaving=1)) == Plan(0, (), None), "it may hold the device still"
    assert plan(demand(max_concurrency=1, queued=1)).start == 1
    assert plan(demand(queued=8, leaving=1)).start == 3
    assert plan(demand(queued=8, leaving=9)).start == 0


def test_idle_runners_leave_after_their_time_the_oldest_first() -> None:
    idle = (("young", 99.0), ("old", 10.0))
    assert plan(demand(ready=2, idle=idle)).stop == ("old",)
    assert plan(demand(ready=2, idle=(("a", 90.0), ("b", 95.0)))) == Plan(0, (), 150.0)


@given(
    queued=st.integers(0, 50), running=st.integers(0, 50), starting=st.integers(0, 5), ready=st.integers(0, 5),
    least=st.integers(0, 3), extra=st.integers(0, 3), slots=st.integers(1, 8),
)  # fmt: skip
def test_the_bounds_hold(
    queued: int, running: int, starting: int, ready: int, least: int, extra: int, slots: int
) -> None:
    idle = tuple((str(n), 0.0) for n in range(ready))
    made = plan(
        demand(
            queued=queued,
            running=running,
            starting=starting,
            ready=ready,
            slots=slots,
            idle=idle,
            min_concurrency=least,
            max_concurrency=max(least, 1) + extra,
        )
    )
    after = ready + starting + made.start - len(made.stop)
    assert not (made.start and made.stop)
    if made.start:
        assert least <= after <= max(least, 1) + extra
    if made.stop:
        assert ready - len(made.stop) >= least


def test_backoff_doubles_up_to_its_limit() -> None:
    assert [backoff(n, 1.0, 60.0) for n in (0, 1, 2, 3, 10, 1000)] == [0.0, 1.0, 2.0, 4.0, 60.0, 60.0]


def test_starts_are_staggered_the_healthy_first() -> None:
    bad = [Wish(f"bad{n}", 1, n + 1, 5, 0) for n in range(200)]
    good = [Wish("a", 3, 0, 0, 0), Wish("b", 1, 0, 0, 0), Wish("c", 1, 0, 7, 0)]
    assert stagger([*bad, *good], 0, 4) == ["c", "a", "b", "a"], "callers first, one of each before the second of any"
    assert stagger([*bad, *good], 4, 4) == []
    assert stagger(bad, 0, 8) == ["bad0", "bad1"], "a quarter of the room, the least broken first"
    assert stagger([Wish("bad", 1, 3, 0, 1)], 1, 4) == [], "what sets up already counts"
    assert stagger([Wish("bad", 5, 3, 0, 0)], 0, 1) == ["bad"]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=12),
    st.integers(0, 12),
    st.integers(1, 12),
)
def test_the_room_is_kept_and_used(apps: list[tuple[int, int, int, int]], starting: int, most: int) -> None:
    wishes = [Wish(str(n), start, failures, queued, now) for n, (start, failures, queued, now) in enumerate(apps)]
    chosen = stagger(wishes, starting, most)
    assert len(chosen) <= max(most - starting, 0)
    healthy = sum(wish.start for wish in wishes if not wish.failures)
    taken = sum(not wishes[int(name)].failures for name in chosen)
    assert taken == min(healthy, max(most - starting, 0)), "a failing app never takes a healthy one's place"
