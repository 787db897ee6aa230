"""A seed repeats its faults and its calls."""

from __future__ import annotations

from pondage.torture import schedule


def test_a_seed_repeats_the_schedule() -> None:
    assert schedule.faults(7, 30, 3000) == schedule.faults(7, 30, 3000)
    assert schedule.faults(7, 30, 3000) != schedule.faults(8, 30, 3000)
    assert [schedule.planned(7, n) for n in range(50)] == [schedule.planned(7, n) for n in range(50)]


def test_so_many_kills_as_asked_for_in_order_and_within_the_requests() -> None:
    faults = schedule.faults(1, 30, 3000)
    assert sum(fault.kills for fault in faults) == 30
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert 0 < faults[0].at and faults[-1].at < 3000


def test_thirty_kills_meet_every_fault() -> None:
    kinds = {fault.kind for fault in schedule.faults(3, 30, 3000)}
    assert kinds == {*schedule.KILLS, *schedule.DISTURBANCES}
