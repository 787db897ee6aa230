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
        return Plan(wanted - have, (), None)
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
