"""Slots: who is offered, and who is not."""

from __future__ import annotations

from pondage.fleet.runners import Runner, RunnerPhase, offer, pick
from pondage.fleet.slots import Running
from pondage.queue.interface import Claim, NewRequest
from pondage.wire.frames import AppInfo


def runner(name: str, slots: int, busy: int = 0) -> Runner:
    made = Runner(name, "acme/echo", pid=1, started_at=0.0, heard_at=0.0)
    made.phase = RunnerPhase.READY
    made.declares(AppInfo("acme/echo", [], max_multiplexing=slots))
    for n in range(busy):
        request = NewRequest(f"{name}{n}", "acme/echo", "/", "call", b"{}", 0.0)
        made.running[request.id] = Running(Claim(request, 1, name), None)
    return made


def test_the_emptiest_is_picked() -> None:
    assert pick([runner("a", 4, 2), runner("b", 4, 1)]) is not None
    assert pick([runner("a", 4, 2), (b := runner("b", 4, 1))]) is b
    assert pick([runner("a", 1, 1)]) is None


def test_offers_are_spread_in_turns() -> None:
    assert sorted(offer([runner("a", 2), runner("b", 2, 1)], 3)) == ["a", "a", "b"]
    assert offer([runner("a", 2), runner("b", 2)], 2) != ["a", "a"]
    assert offer([runner("a", 5)], 0) == []


def test_nothing_more_for_who_starts_drains_or_holds_a_suspect() -> None:
    for change in ("phase", "alone", "replace", "waiting"):
        one = runner("a", 4)
        if change == "phase":
            one.phase = RunnerPhase.DRAINING
        elif change == "alone":
            one.slots.alone = True
        elif change == "replace":
            one.replace_at = 1.0
        else:
            one.slots.wait(Claim(NewRequest("s", "acme/echo", "/", "call", b"{}", 0.0), 1, "a", alone=True))
        assert one.free == 0, change


def test_an_offer_under_way_takes_its_slot() -> None:
    one = runner("a", 2)
    one.slots.offer()
    assert one.free == 1
