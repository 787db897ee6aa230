"""The slots of one runner: a value with an invariant. No clock, no connection, no queue."""

from __future__ import annotations

from collections import deque

from pondage.queue.interface import Claim


class Running:
    """An attempt in a runner's hands."""

    __slots__ = ("began", "cancelled_at", "claim", "deadline", "preview", "seen_chunk", "shared_before", "soft")

    def __init__(self, claim: Claim, deadline: float | None, *, seen_chunk: bool = False) -> None:
        self.claim = claim
        self.deadline = deadline
        """Monotonic time at which the gateway steps in, should the runner not keep the run limit by itself."""
        self.cancelled_at: float | None = None
        self.soft = False
        """It was only told that it is cancelled: no process is ended for it before its run limit."""
        self.seen_chunk = seen_chunk
        """Partial output has come, which its caller may have seen."""
        self.preview = b""
        """The newest picture that it shows of its work."""
        self.began = 0.0
        """Monotonic time at which this gateway handed it out."""
        self.shared_before = 0.0
        """`Runner.shared` as it began."""


class Slots:
    """What is in each slot of a runner: nothing, an offer to the queue, or an attempt; and who waits to run alone.

    This holds between any two moves (`broken` says what does not):

    1. A request is here once: its attempt runs, or its claim waits.
    2. What is offered, runs or waits is never more than there are slots, but where a runner came back with more.
    3. Where one runs alone, nothing else runs.
    4. A claim waits only behind an attempt that runs.
    """

    __slots__ = ("alone", "offered", "running", "total", "waiting")

    def __init__(self, total: int = 0) -> None:
        self.total = total
        """As the runner has said when it was ready; 0 before."""
        self.running: dict[str, Running] = {}
        self.offered = 0
        """Slots that were offered to the queue, which has not answered yet."""
        self.alone = False
        """What runs has no neighbours."""
        self.waiting: deque[Claim] = deque()
        """Suspects, and what was claimed along with them: each waits until nothing else runs here."""

    @property
    def free(self) -> int:
        """How many more attempts may be taken now."""
        if self.alone or self.waiting:
            return 0
        return max(self.total - len(self.running) - self.offered, 0)

    def offer(self, count: int = 1) -> None:
        """Free slots are offered to the queue."""
        self.offered += count

    def answered(self, count: int = 1) -> None:
        """The queue has answered offers, with a claim or without."""
        self.offered -= count

    def begin(self, running: Running) -> None:
        """An attempt takes a slot."""
        self.running[running.claim.request.id] = running

    def wait(self, claim: Claim) -> None:
        """A claim waits until it can run alone; `next_alone` says when."""
        self.waiting.append(claim)

    def takes_neighbours(self) -> bool:
        """Whether a claim may begin beside what runs: not while a suspect runs or waits."""
        return not self.alone and not self.waiting

    def next_alone(self) -> Claim | None:
        """The claim that begins now and alone, for which nothing else runs any more."""
        if not self.waiting or self.running:
            return None
        self.alone = True
        return self.waiting.popleft()

    def end(self, request_id: str) -> Running | None:
        """An attempt leaves its slot; None where it has none here."""
        running = self.running.pop(request_id, None)
        if not self.running:
            self.alone = False
        return running

    def drop(self, request_id: str) -> None:
        """A claim waits no longer: its request has ended."""
        if self.waiting:
            self.waiting = deque(claim for claim in self.waiting if claim.request.id != request_id)

    def give_back(self) -> list[Claim]:
        """All that waits leaves."""
        left = list(self.waiting)
        self.waiting.clear()
        return left

    def broken(self) -> str:
        """Which part of the invariant does not hold; empty while all does."""
        waiting = [claim.request.id for claim in self.waiting]
        if len({*self.running, *waiting}) != len(self.running) + len(waiting):
            return "a request is here twice"
        taken = self.offered + len(self.running) + len(waiting)
        if self.offered < 0 or (taken > self.total and taken != len(self.running)):
            return f"{self.offered} offered, {len(self.running)} running and {len(waiting)} waiting of {self.total}"
        if self.alone and len(self.running) != 1:
            return f"{len(self.running)} run where one runs alone"
        if waiting and not self.running:
            return "a claim waits for nothing"
        return ""
