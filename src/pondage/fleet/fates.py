"""What becomes of the requests of a runner that is gone. Pure: the dispatcher carries it out.

Nobody knows which of several requests killed a runner: all are suspects and run again alone. Only one that was alone
takes a strike, and only so many strikes are given. A runner that we ended ourselves taints nobody but the request
that we ended it for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pondage.fleet.slots import Running
from pondage.queue.interface import NOTHING_SPENT, Spending
from pondage.wire import outcomes
from pondage.wire.events import Outcome
from pondage.wire.frames import Again, AppInfo

DEVICE = "its device failed"
"""How the reason of a retry begins that a device error is the cause of. It stands in the request's log, where the next
gateway finds it, too."""


class Fate(NamedTuple):
    """`outcome` ends the request; without one it goes back to the queue."""

    request_id: str
    attempt: int
    reason: str
    strike: bool = False
    alone: bool = False
    outcome: Outcome | None = None
    spent: Spending = NOTHING_SPENT


def of_dead_runner(
    running: list[Running],
    *,
    cause: str,
    blameless: bool,
    killed_for: str | None,
    max_strikes: int,
    info: AppInfo | None = None,
) -> list[Fate]:
    """Decide for each attempt that a dead runner held.

    Args:
        running: the attempts it held. Cancelled ones have their outcome already and are passed over.
        cause: how it died, for people.
        blameless: the death says nothing about the requests (a stop of the whole server, a lost gateway).
        killed_for: the request for which we ended the process, if we did.
        max_strikes: so many strikes end a request.
        info: what the app declares; it says whether a stream that showed a chunk may run again.
    """
    suspects = [r for r in running if r.cancelled_at is None]
    culprit_known = len(running) == 1 and killed_for is None
    fates = []
    for attempt in suspects:
        claim = attempt.claim
        request = claim.request
        if request.mode == "session":
            fates.append(_ended(attempt, f"the runner of the session is gone ({cause})"))
        elif attempt.seen_chunk and not may_repeat(info, request.path):
            why = f"the runner is gone ({cause}) after part of the output had been seen; such a stream is not repeated"
            fates.append(_ended(attempt, why))
        elif blameless or (killed_for is not None and killed_for != request.id):
            fates.append(Fate(request.id, claim.attempt, cause, alone=claim.alone))
        elif refuses_retry(request.headers):
            why = f"the runner died ({cause}); the caller asked for no retry"
            fates.append(_ended(attempt, why))
        elif not culprit_known:
            fates.append(Fate(request.id, claim.attempt, f"{cause}, with {len(running)} requests in it", alone=True))
        elif claim.strikes + 1 >= max_strikes:
            why = f"this request has ended its runner {claim.strikes + 1} times, the last time: {cause}"
            fates.append(_ended(attempt, why))
        else:
            fates.append(Fate(request.id, claim.attempt, cause, strike=True, alone=True))
    return fates


def of_unfinished(
    running: Running, again: Again, outcome: Outcome, *, elsewhere_before: bool = False, info: AppInfo | None = None
) -> Fate | None:
    """Decide for an attempt that ended through no fault of its own; None: its outcome stands.

    Args:
        running: the attempt. One that is cancelled has its outcome already.
        again: what the runner asks for.
        outcome: how it ended, if it must.
        elsewhere_before: a device has failed under this request once already.
        info: what the app declares; it says whether a stream that showed a chunk may run again.
    """
    claim = running.claim
    request = claim.request
    if running.cancelled_at is not None or request.mode == "session" or refuses_retry(request.headers):
        return None
    if running.seen_chunk and not may_repeat(info, request.path):
        return None
    why = outcome.error or "no reason was given"
    if again is Again.ALONE and not claim.alone:
        return Fate(request.id, claim.attempt, f"something else in its process ended it ({why})", alone=True)
    if again is Again.ELSEWHERE and not elsewhere_before:
        return Fate(request.id, claim.attempt, f"{DEVICE} ({why})", alone=claim.alone)
    return None


def refuses_retry(headers: Mapping[str, str]) -> bool:
    """Whether the caller asked for no retry."""
    return headers.get("x-fal-no-retry", "").lower() in {"1", "true", "yes"}


def may_repeat(info: AppInfo | None, path: str) -> bool:
    """Whether the author lets a stream run again after its caller has seen chunks: the endpoint says, else the app."""
    if info is None:
        return False
    said = next((endpoint.retry_streams for endpoint in info.endpoints if endpoint.path == path), None)
    return info.retry_streams if said is None else said


def _ended(attempt: Running, why: str) -> Fate:
    claim = attempt.claim
    return Fate(claim.request.id, claim.attempt, why, outcome=outcomes.runner_gone(why))
