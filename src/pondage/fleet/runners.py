"""A runner as the gateway sees it, and the pure choice of a slot."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

from pondage.fleet.slots import Running, Slots
from pondage.queue.interface import NOTHING_SPENT, Spending
from pondage.wire.frames import AppInfo, Frame, Heartbeat


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
        self.slots = Slots()
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
        self.slots.begin(running)

    def end(self, request_id: str, now: float) -> Spending:
        """An attempt is over; what it took. Nothing where it does not run here."""
        running = self.slots.running.get(request_id)
        if running is None:
            return NOTHING_SPENT
        spent = self.spent(running, now)
        self.slots.end(request_id)
        return spent

    def spent(self, running: Running, now: float) -> Spending:
        """What an attempt that runs here has taken so far."""
        self._share(now)
        seconds = self.shared - running.shared_before
        return Spending(seconds, seconds * self.devices)

    def _share(self, now: float) -> None:
        if running := self.slots.running:
            self.shared += (now - self._shared_at) / len(running)
        self._shared_at = now

    def declares(self, info: AppInfo) -> None:
        """It is ready, and says what its app declares."""
        self.info = info
        self.slots.total = info.max_multiplexing

    def heartbeat(self, frame: Heartbeat) -> None:
        """It lives, and says how much memory it has taken."""
        self.memory = frame.memory

    @property
    def running(self) -> dict[str, Running]:
        """The attempts that it has, by request."""
        return self.slots.running

    @property
    def free(self) -> int:
        """How many more attempts it may be given now."""
        if self.phase is not RunnerPhase.READY or self.replace_at is not None or self.leaving is not None:
            return 0
        return self.slots.free


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
