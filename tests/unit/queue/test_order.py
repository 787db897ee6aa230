"""Fair order and places, against a model that sorts and counts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pondage.queue.sqlite import order
from pondage.queue.sqlite.order import STEP, TAG_BITS, Line, step_of


def test_one_caller_is_served_in_order() -> None:
    line = Line()
    ranks = [line.enter(0, "") for _ in range(5)]
    assert ranks == sorted(ranks)
    assert [line.ahead(rank, "") for rank in ranks] == [0, 1, 2, 3, 4]
    line.claimed(ranks[0], "")
    assert [line.ahead(rank, "") for rank in ranks[1:]] == [0, 1, 2, 3]
    assert line.queued == 4


def test_a_flood_does_not_starve_others() -> None:
    line = Line()
    flood = [line.enter(0, "flood") for _ in range(1000)]
    for rank in flood[:10]:
        line.claimed(rank, "flood")
    few = line.enter(0, "few")
    assert line.ahead(few, "few") <= 1
    assert few < flood[12]


def test_an_idle_caller_earns_no_credit() -> None:
    line = Line()
    first = line.enter(0, "a")
    line.claimed(first, "a")
    for _ in range(100):
        line.claimed(line.enter(0, "b"), "b")
    late = [line.enter(0, "a") for _ in range(50)]
    steady = [line.enter(0, "b") for _ in range(50)]
    assert sum(rank < steady[10] for rank in late) <= 12


def test_low_priority_comes_after_all_normal() -> None:
    line = Line()
    low = line.enter(1, "")
    normal = [line.enter(0, "") for _ in range(3)]
    assert max(normal) < low
    assert line.ahead(low, "") == 3


def test_who_comes_back_is_next() -> None:
    line = Line()
    ranks = [line.enter(0, "") for _ in range(5)]
    for rank in ranks[:3]:
        line.claimed(rank, "")
    line.back(ranks[1], "")
    assert line.ahead(ranks[1], "") == 0
    assert line.ahead(ranks[4], "") == 2


def test_two_requests_of_a_flow_leave_room_for_dearer_ones() -> None:
    line = Line()
    assert [line.enter(0, "") for _ in range(3)] == [0, STEP, 2 * STEP]


def test_a_request_that_was_not_written_leaves_no_hole() -> None:
    line = Line()
    first, failed = line.enter(0, ""), line.enter(0, "")
    line.leave(failed, "")
    assert line.enter(0, "") == failed
    assert line.ahead(failed, "") == 1
    assert line.ahead(first, "") == 0


def test_a_claimed_request_keeps_its_rank_for_itself() -> None:
    line = Line()
    (rank,) = (line.enter(0, "") for _ in range(1))
    line.claimed(rank, "")
    assert line.enter(0, "") > rank


def test_idle_callers_are_forgotten() -> None:
    line = Line()
    for n in range(1000):
        line.claimed(line.enter(0, f"k{n}"), f"k{n}")
        line.claimed(line.enter(0, "steady"), "steady")
    assert len(line._flows) < 200


def test_a_tag_is_not_given_back_under_a_running_request() -> None:
    line = Line()
    line.ran(1000, "k")
    line.restore(0, "k", 0, 0, 1)
    line.leave(0, "k")
    assert line.enter(0, "k") > 1000


def test_fair_is_by_expected_seconds() -> None:
    """Who brings requests of a minute gets as much of the runner's time as who brings requests of a second."""
    line = Line()
    dear = [line.enter(0, "dear", step_of(60.0)) for _ in range(10)]
    cheap = [line.enter(0, "cheap", step_of(1.0)) for _ in range(300)]
    order = sorted([*((rank, 60.0) for rank in dear), *((rank, 1.0) for rank in cheap)])
    seconds = {60.0: 0.0, 1.0: 0.0}
    for _, cost in order[:200]:
        seconds[cost] += cost
    assert abs(seconds[60.0] - seconds[1.0]) <= 60.0


def test_work_ahead_is_in_expected_seconds() -> None:
    line = Line()
    first = line.enter(0, "a", step_of(10.0))
    second = line.enter(0, "a", step_of(5.0))
    assert line.work_ahead(0, "a", first) == 0.0
    assert line.work_ahead(0, "a", second) == 10.0
    assert line.work_ahead(0, "a") == 15.0, "one that came now"
    assert line.work_ahead(1, "b") == 15.0, "low priority waits for all of it"
    assert line.work_ahead(0, "b") == 0.0, "a new caller is first"
    line.claimed(first, "a")
    line.claimed(second, "a")
    assert line.work_ahead(1, "b") == 0.0


def test_nothing_costs_less_than_a_thousandth() -> None:
    assert (step_of(None), step_of(0.0), step_of(1e-9), step_of(2.5)) == (STEP, 1, 1, 2500)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["enter", "enter", "claim", "claim", "leave", "back", "restart"]), max_size=60), st.data()
)
def test_places_of_one_caller_are_in_order_and_within_the_line(steps: list[str], data: st.DataObject) -> None:
    """Exact where nothing left from the middle or came back; else an estimate that never leaves the line."""
    line = Line()
    waiting: list[int] = []
    running: list[int] = []
    whole = True
    for step in steps:
        if step == "enter":
            rank = line.enter(0, "k")
            assert rank not in waiting and rank not in running
            assert rank > max(waiting + running, default=-1)
            waiting.append(rank)
        elif step == "claim" and waiting:
            rank = waiting.pop(0)
            line.claimed(rank, "k")
            running.append(rank)
        elif step == "leave" and waiting:
            whole = False
            rank = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            line.leave(rank, "k")
        elif step == "back" and running:
            whole = False
            rank = running.pop(data.draw(st.integers(0, len(running) - 1)))
            line.back(rank, "k")
            waiting = sorted([*waiting, rank])
        elif step == "restart":
            line = Line()
            for rank in running:
                line.ran(rank, "k")
            if waiting:
                line.restore(0, "k", waiting[0], waiting[-1], len(waiting))
        assert line.queued == len(waiting)
        places = [line.ahead(rank, "k") for rank in waiting]
        assert places == sorted(places)
        assert all(0 <= place < len(waiting) for place in places)
        assert places[:1] in ([], [0]) or not whole
        if whole:
            assert places == list(range(len(waiting)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2), st.integers(1, 5000)), min_size=80, max_size=300))
def test_many_flows_are_estimated_like_few(entries: list[tuple[int, int, int]]) -> None:
    line = Line()
    ranks = [(line.enter(priority, f"k{caller}", step), f"k{caller}") for caller, priority, step in entries]
    flows = len(line.flows())
    near: list[tuple[float, float]] = []
    few = order.FEW
    try:
        for order.FEW in (10**6, 0):
            found = [(line.ahead(*one), line.work_ahead(one[0] >> TAG_BITS, one[1], one[0])) for one in ranks]
            near = near or found
    finally:
        order.FEW = few
    for (ahead, work), (about, about_work) in zip(near, found, strict=True):
        assert abs(ahead - about) <= flows + 1
        assert abs(work - about_work) < 1e-6 * max(work, 1.0)


def test_one_request_beside_a_hundred_thousand_starts_after_at_most_one_of_them() -> None:
    line = Line()
    flood = [line.enter(0, "flood") for _ in range(100_000)]
    for rank in flood[:64]:
        line.claimed(rank, "flood")
    lone = line.enter(0, "lone")
    assert sum(rank < lone for rank in flood[64:]) <= 1
