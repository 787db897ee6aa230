"""The hosts that are owed deliveries, and which may be served next. Pure: what there is to know is told to it."""

from __future__ import annotations

from collections import deque

from pondage.settings import Settings
from pondage.webhooks.breaker import Breaker
from pondage.webhooks.interface import Owed
from pondage.webhooks.outbox import LISTENER

UNRECORDED = 8
"""Tries of a host that may be answered and not recorded yet, for each one that may be under way."""
REMEMBERED = 10_000
"""Hosts whose record is kept while they are owed nothing."""


class Host:
    """One origin. `waiting` are due deliveries that were read ahead; `more`: the outbox may hold others that are due;
    `next_due`: wall time at which the first of the rest is due, None if nothing is known to be; `blocked`: one of them
    waits for another one of its request; `reading`: the outbox is being asked. `under_way` are those that were taken up
    and not recorded yet, `posting` of them wait for their answers."""

    __slots__ = ("blocked", "breaker", "more", "next_due", "origin", "posting", "reading", "under_way", "waiting")

    def __init__(self, origin: str, settings: Settings) -> None:
        self.origin = origin
        self.breaker = Breaker(settings)
        self.waiting: deque[Owed] = deque()
        self.under_way: dict[int, Owed] = {}
        self.more = False
        self.blocked = False
        self.reading = False
        self.posting = 0
        self.next_due: float | None = None

    def hear(self, due_at: float) -> None:
        """A delivery will be due."""
        self.next_due = due_at if self.next_due is None else min(self.next_due, due_at)

    def hungry(self, now: float) -> bool:
        """Whether the outbox must be asked for more."""
        return not self.waiting and (self.more or (self.next_due is not None and self.next_due <= now))

    def has_work(self, now: float) -> bool:
        return bool(self.waiting) or self.hungry(now)

    def ask(self) -> frozenset[int]:
        """Before the outbox is read: what is heard from here on is kept. Returns what is under way.

        The answer may still show as owed what ends while it is read, so it must be taken in without these.
        """
        self.more = False
        self.next_due = None
        self.reading = True
        return frozenset(self.under_way)

    def take_in(self, due: list[Owed], next_due: float | None, *, limit: int, without: frozenset[int]) -> None:
        """What the outbox answered when asked for `limit` deliveries."""
        self.reading = False
        self.waiting.extend(owed for owed in due if owed.n not in without)
        self.more = self.more or len(due) >= limit
        if next_due is not None:
            self.hear(next_due)

    @property
    def idle(self) -> bool:
        """Nothing is owed or under way."""
        busy = self.waiting or self.under_way or self.more or self.blocked or self.reading
        return not busy and self.next_due is None


class Hosts:
    """All hosts, and the shares that they have in the concurrency."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hosts: dict[str, Host] = {}
        self._resting: dict[str, Host] = {}
        """Hosts that are owed nothing, with what is known of them; the longest at rest is forgotten first."""
        self._busy: set[tuple[str, str]] = set()
        self._posting = 0
        self._slow: set[int] = set()
        """Deliveries that count as slow until they are answered, because their hosts were when they began."""

    def get(self, origin: str) -> Host | None:
        """The host of an origin, made if it is not known; None for listeners, who fetch for themselves."""
        if origin.startswith(LISTENER):
            return None
        host = self._hosts.get(origin)
        if host is None:
            host = self._resting.pop(origin) if origin in self._resting else Host(origin, self._settings)
            self._hosts[origin] = host
        return host

    def open(self, origin: str, now: float) -> tuple[int, float] | None:
        """Failures in a row and seconds left, where a host is left alone; None where it is not."""
        host = self._hosts.get(origin)
        until = None if host is None else host.breaker.open_until
        return None if host is None or until is None or until <= now else (host.breaker.failures, until - now)

    def left_alone(self, now: float) -> int:
        """How many hosts are left alone just now."""
        held = (host.breaker.open_until for host in self._hosts.values())
        return sum(until is not None and until > now for until in held)

    def overdue(self, wall: float) -> float:
        """For how many seconds the delivery has been due that waits the longest, as far as is known."""
        due = [owed.due_at for host in self._hosts.values() for owed in (*host.under_way.values(), *host.waiting)]
        due += [host.next_due for host in self._hosts.values() if host.next_due is not None]
        return max(wall - min(due, default=wall), 0.0)

    def ready(self, wall: float, monotonic: float) -> list[Host]:
        """Hosts that may begin one more try now, those with the fewest under way first."""
        ready = [host for host in self._hosts.values() if host.has_work(wall) and self._room(host, monotonic)]
        ready.sort(key=lambda host: host.posting)
        return ready

    def _room(self, host: Host, monotonic: float) -> bool:
        most = self._settings.webhook_concurrency
        if self._posting >= most or (host.breaker.slow and len(self._slow) >= max(1, most // 2)):
            return False
        if len(host.under_way) >= self._settings.webhook_per_host * UNRECORDED:
            return False
        return host.breaker.room(host.posting, monotonic) > 0

    def begin(self, host: Host, monotonic: float) -> Owed | None:
        """Take one waiting delivery into work; None where the host has no room or nothing that may go now."""
        while host.waiting and self._room(host, monotonic):
            owed = host.waiting.popleft()
            key = (owed.request_id, owed.target)
            if key in self._busy:
                # One request's deliveries go one after another; it is read again when the other one ended.
                host.blocked = True
                continue
            self._busy.add(key)
            host.under_way[owed.n] = owed
            host.posting += 1
            self._posting += 1
            if host.breaker.slow:
                self._slow.add(owed.n)
            return owed
        return None

    def answered(self, host: Host, owed: Owed) -> None:
        """A try has its answer, or will have none: the host may be given another one while this one is recorded."""
        host.posting -= 1
        self._posting -= 1
        self._slow.discard(owed.n)

    def end(self, host: Host, owed: Owed) -> None:
        """A try was recorded."""
        self._busy.discard((owed.request_id, owed.target))
        host.under_way.pop(owed.n, None)
        if owed.event != "completed" or host.blocked:
            host.more, host.blocked = True, False
        self.rest(host)

    def rest(self, host: Host) -> None:
        """Put a host aside that is owed nothing just now."""
        if host.idle and self._hosts.pop(host.origin, None) is not None:
            self._resting[host.origin] = host
            if len(self._resting) > REMEMBERED:
                del self._resting[next(iter(self._resting))]

    def wait(self, wall: float, monotonic: float) -> float | None:
        """Seconds until something is due or a host is to be tried again; None: nothing is known to come."""
        soonest: float | None = None
        for host in self._hosts.values():
            if host.has_work(wall):
                if host.breaker.open_until is not None and host.breaker.open_until > monotonic:
                    seconds = host.breaker.open_until - monotonic
                elif self._room(host, monotonic):
                    seconds = 0.0
                else:
                    continue  # the end of a try wakes the sender
            elif host.next_due is not None:
                seconds = host.next_due - wall
            else:
                continue
            soonest = seconds if soonest is None else min(soonest, seconds)
        return soonest
