"""A runner as the gateway sees it, and the pure choice of a slot."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

from pondage.queue.interface import NOTHING_SPENT, Claim, Spending
from pondage.wire.frames import AppInfo, Frame


class RunnerPhase(StrEnum):
    """`starting` until `Ready`, then `ready`; `draining` finishes what it has; `lost` is over."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    LOST = "lost"


class Link(Protocol):
    """The connection to a runner, as the dispatcher uses it."""

    def send(self, frame: Frame) -> None:
        """Queue a frame; all that gather in one turn of the loop leave in one write."""
        ...

    def send_later(self, frame: Frame) -> None:
        """Queue a frame that nobody waits for: it leaves with the next one, or after a moment."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether more should be queued now."""
        ...

    async def drained(self) -> None:
        """Wait until the connection's buffer has room."""
        ...

    def close(self) -> None: ...


class Running:
    """An attempt in a runner's hands."""

    __slots__ = ("began", "cancelled_at", "claim", "deadline", "seen_chunk", "shared_before")

    def __init__(self, claim: Claim, deadline: float | None, *, seen_chunk: bool = False) -> None:
        self.claim = claim
        self.deadline = deadline
        """Monotonic time at which the gateway steps in, should the runner not keep the run limit by itself."""
        self.cancelled_at: float | None = None
        self.seen_chunk = seen_chunk
        """Partial output has come, which its caller may have seen."""
        self.began = 0.0
        """Monotonic time at which this gateway handed it out."""
        self.shared_before = 0.0
        """`Runner.shared` as it began."""


class Runner:
    """A runner process: what it runs, and whether it may be given more."""

    def __init__(self, runner_id: str, app: str, *, pid: int, started_at: float, heard_at: float) -> None:
        self.id = runner_id
        self.app = app
        self.pid = pid
        self.started_at = started_at
        self.began = heard_at
        """Monotonic time at which it was started, or came back."""
        self.last_heard = heard_at
        self.phase = RunnerPhase.STARTING
        self.info: AppInfo | None = None
        self.link: Link | None = None
        self.running: dict[str, Running] = {}
        self.alone: deque[Claim] = deque()
        """Suspects, and what was claimed along with them: each waits until nothing else runs here."""
        self.exclusive = False
        """What runs has no neighbours."""
        self.offered = 0
        """Slots that were offered with a submit whose claim is not decided yet."""
        self.replace_at: float | None = None
        """Monotonic time at which the process is ended, because it does not let go of an attempt."""
        self.killed_for: str | None = None
        """The request for which we ended the process ourselves."""
        self.leaving: str | None = None
        """Why it is given no more work, finishes what it has and goes: it can be trusted no longer."""
        self.idle_since = heard_at
        self.memory = 0
        self.devices = 0.0
        """How many devices it holds."""
        self.shared = 0.0
        """Seconds that each of its attempts has been charged for so far, if it was there all the time: while n run
        together, a second counts for 1/n."""
        self._shared_at = heard_at

    def begin(self, running: Running, now: float) -> None:
        """An attempt is in its hands; `now` is monotonic."""
        self._share(now)
        running.began = now
        running.shared_before = self.shared
        self.running[running.claim.request.id] = running

    def end(self, request_id: str, now: float) -> Spending:
        """An attempt is over; what it took. Nothing where it does not run here."""
        running = self.running.get(request_id)
        if running is None:
            return NOTHING_SPENT
        spent = self.spent(running, now)
        del self.running[request_id]
        return spent

    def spent(self, running: Running, now: float) -> Spending:
        """What an attempt that runs here has taken so far."""
        self._share(now)
        seconds = self.shared - running.shared_before
        return Spending(seconds, seconds * self.devices)

    def _share(self, now: float) -> None:
        if self.running:
            self.shared += (now - self._shared_at) / len(self.running)
        self._shared_at = now

    @property
    def slots(self) -> int:
        return self.info.max_multiplexing if self.info else 0

    @property
    def free(self) -> int:
        """How many more attempts it may be given now."""
        if self.phase is not RunnerPhase.READY or self.exclusive or self.alone or self.replace_at is not None:
            return 0
        if self.leaving is not None:
            return 0
        return self.slots - len(self.running) - self.offered


def pick(runners: Iterable[Runner]) -> Runner | None:
    """The runner with the most free slots, or None."""
    best: Runner | None = None
    most = 0
    for runner in runners:
        if (free := runner.free) > most:
            best, most = runner, free
    return best


def offer(runners: Iterable[Runner], limit: int) -> list[str]:
    """Up to `limit` free slots as runner ids, spread evenly: the emptiest runner first, in turns."""
    free = {runner.id: runner.free for runner in runners if runner.free > 0}
    slots: list[str] = []
    while free and len(slots) < limit:
        for runner_id in sorted(free, key=lambda r: -free[r]):
            slots.append(runner_id)
            free[runner_id] -= 1
            if len(slots) == limit:
                break
        free = {r: n for r, n in free.items() if n > 0}
    return slots
