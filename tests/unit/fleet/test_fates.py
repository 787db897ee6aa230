"""What becomes of a dead runner's requests."""

from __future__ import annotations

from typing import Any

from pondage.fleet.fates import DEVICE, Fate, of_dead_runner, of_unfinished
from pondage.fleet.slots import Running
from pondage.queue.interface import Claim, NewRequest
from pondage.wire.events import Outcome
from pondage.wire.frames import Again, AppInfo, EndpointInfo


def running(name: str, *, strikes: int = 0, mode: Any = "call", headers: dict[str, str] | None = None) -> Running:
    request = NewRequest(name, "acme/echo", "/", mode, b"{}", 0.0, headers=headers or {})
    return Running(Claim(request, 1, "r1", strikes=strikes), None)


def fates(*held: Running, **more: Any) -> dict[str, Fate]:
    given = {"cause": "killed", "blameless": False, "killed_for": None, "max_strikes": 3}
    return {fate.request_id: fate for fate in of_dead_runner(list(held), **{**given, **more})}


def test_a_request_that_was_alone_takes_the_strike() -> None:
    fate = fates(running("a"))["a"]
    assert fate.strike and fate.alone and fate.outcome is None


def test_the_last_strike_ends_it_with_an_error_that_says_so() -> None:
    outcome = fates(running("a", strikes=2))["a"].outcome
    assert outcome is not None
    assert (outcome.status, outcome.error_type) == (500, "runner_disconnected")
    assert "3 times" in (outcome.error or "")


def test_of_several_nobody_is_struck_and_all_run_again_alone() -> None:
    decided = fates(running("a", strikes=2), running("b"))
    assert all(fate.alone and not fate.strike and fate.outcome is None for fate in decided.values())
    assert decided.keys() == {"a", "b"}


def test_a_stop_of_the_server_taints_nobody() -> None:
    fate = fates(running("a", strikes=2), blameless=True)["a"]
    assert not fate.strike and not fate.alone and fate.outcome is None


def test_neighbours_of_the_request_that_we_killed_for_run_again_freely() -> None:
    cancelled = running("a")
    cancelled.cancelled_at = 1.0
    decided = fates(cancelled, running("b"), killed_for="a")
    assert decided.keys() == {"b"}, "a cancelled request has its outcome already"
    assert not decided["b"].alone and not decided["b"].strike


def test_a_stream_that_was_seen_is_not_repeated_unless_the_author_asks() -> None:
    seen = running("a", mode="stream")
    seen.seen_chunk = True
    outcome = fates(seen)["a"].outcome
    assert outcome is not None and outcome.error_type == "runner_disconnected"
    assert fates(seen, blameless=True)["a"].outcome is not None, "not even where nobody is to blame"
    for app, endpoint, again in ((True, None, True), (False, True, True), (True, False, False)):
        info = AppInfo("acme/echo", [EndpointInfo("/", "stream", retry_streams=endpoint)], retry_streams=app)
        assert (fates(seen, info=info)["a"].outcome is None) is again, (app, endpoint)


def test_a_session_ends_with_its_runner() -> None:
    outcome = fates(running("a", mode="session"))["a"].outcome
    assert outcome is not None and outcome.error_type == "runner_disconnected"


def test_a_caller_may_ask_for_no_retry() -> None:
    outcome = fates(running("a", headers={"x-fal-no-retry": "1"}))["a"].outcome
    assert outcome is not None and "asked for no retry" in (outcome.error or "")


def ended(again: Again, held: Running | None = None, **more: Any) -> Fate | None:
    return of_unfinished(held or running("a"), again, Outcome.failure(500, "why", "runner_server_error"), **more)


def test_one_that_a_neighbour_ended_runs_again_alone_and_only_once() -> None:
    fate = ended(Again.ALONE)
    assert fate is not None and fate.alone and not fate.strike and "why" in fate.reason
    claim = running("a").claim
    was_alone = Running(Claim(claim.request, 2, "r1", alone=True), None)
    assert ended(Again.ALONE, was_alone) is None


def test_one_whose_device_failed_runs_once_more_without_a_strike() -> None:
    fate = ended(Again.ELSEWHERE)
    assert fate is not None and not fate.strike and fate.reason.startswith(DEVICE)
    assert ended(Again.ELSEWHERE, elsewhere_before=True) is None


def test_what_may_not_run_again_keeps_its_outcome() -> None:
    for again in (Again.ALONE, Again.ELSEWHERE):
        cancelled, seen = running("a"), running("a", mode="stream")
        cancelled.cancelled_at, seen.seen_chunk = 1.0, True
        for held in (cancelled, seen, running("a", mode="session"), running("a", headers={"x-fal-no-retry": "1"})):
            assert ended(again, held) is None
        repeats = AppInfo("acme/echo", [], retry_streams=True)
        assert ended(again, seen, info=repeats) is not None
