"""How many runners an app should have: pure, state in, actions out."""

from __future__ import annotations

from typing import NamedTuple


class Demand(NamedTuple):
    """What the plan looks at. Times are monotonic seconds."""

    min_concurrency: int
    max_concurrency: int
    concurrency_buffer: int
    keep_alive: float
    slots: int
    """Requests that one runner takes at once."""
    queued: int
    running: int
    starting: int
    ready: int
    leaving: int
    """Runners whose device failed and whose processes still live: each may still hold what the next one needs."""
    idle: tuple[tuple[str, float], ...]
    """Ready runners with nothing to do: (id, idle since)."""
    not_before: float
    """No start before this moment: the back-off after a crash."""
    now: float


class Plan(NamedTuple):
    start: int
    stop: tuple[str, ...]
    again_at: float | None
    """When to look again, if nothing else happens before."""


def plan(demand: Demand) -> Plan:
    """Enough runners for what waits and runs, plus the buffer, between the app's bounds; idle ones beyond it leave."""
    needed = -(-(demand.queued + demand.running) // max(demand.slots, 1))
    if needed or demand.ready:
        needed += demand.concurrency_buffer
    wanted = max(demand.min_concurrency, min(demand.max_concurrency, needed))
    have = demand.ready + demand.starting
    if have < wanted:
        if demand.now < demand.not_before:
            return Plan(0, (), demand.not_before)
        room = max(demand.max_concurrency, demand.min_concurrency) - have - demand.leaving
        return Plan(max(min(wanted - have, room), 0), (), None)
    surplus = demand.ready - wanted
    stop: list[str] = []
    again_at: float | None = None
    for runner_id, since in sorted(demand.idle, key=lambda pair: pair[1]):
        if len(stop) >= surplus:
            break
        if demand.now - since >= demand.keep_alive:
            stop.append(runner_id)
        else:
            due = since + demand.keep_alive
            again_at = due if again_at is None else min(again_at, due)
    return Plan(0, tuple(stop), again_at)


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait before the next start, after so many failed ones in a row."""
    return 0.0 if failures <= 0 else min(longest, first * float(2 ** min(failures - 1, 30)))


class Wish(NamedTuple):
    """An app that should have more runners. The starts of one that has failed come after everybody else's."""

    app: str
    start: int
    failures: int
    queued: int
    starting: int
    """Processes of it that set up just now, those that count (`STARTING_COUNTS`)."""


STARTING_COUNTS = 30.0
"""Seconds for which a process that sets up counts as starting: long enough for the rush of imports, and short enough
that apps which load for minutes do not keep the others out."""


def stagger(wishes: list[Wish], starting: int, most: int) -> list[str]:
    """Which starts may happen now, as names in their order, so that never more than `most` set up at once.

    One of each app before the second of any; who has callers waiting goes first. Apps that have failed get a quarter of
    the room, at least one place: two hundred that crash do not keep a good one from its processor.
    """
    room = max(most - starting, 0)
    healthy = [wish for wish in wishes if not wish.failures]
    failing = sorted((wish for wish in wishes if wish.failures), key=lambda wish: wish.failures)
    chosen = _in_turns(healthy, room)
    theirs = max(most // 4, 1) - sum(wish.starting for wish in failing)
    return chosen + _in_turns(failing, min(room - len(chosen), theirs))


def _in_turns(wishes: list[Wish], room: int) -> list[str]:
    turns = [
        (turn, not wish.queued, place, wish.app) for place, wish in enumerate(wishes) for turn in range(wish.start)
    ]
    return [app for *_, app in sorted(turns)[: max(room, 0)]]
