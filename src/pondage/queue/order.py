"""Fair order and places in line, in memory: what would be dear to count in a table.

The order is start-time fair queueing. Each caller's requests of one app and priority are a flow; a request gets the
next start tag of its flow, and an idle flow starts again at the virtual time, the tag that was served last. So a caller
who submits 100,000 requests does not starve one who submits three. `rank` is priority and tag in one integer: the one
column that claims walk along.

A place in line is a difference of tags, corrected by the few tags that are out of sequence: those that left from the
middle (`gone`) and those that came back behind the head (`early`). It never counts waiting requests.
"""

from __future__ import annotations

from bisect import bisect_left, insort

TAG_BITS = 48
_TAG = (1 << TAG_BITS) - 1
_GAP = 1000
"""At a restart, a larger hole in a flow's tags is no run of cancelled requests but the space before a returned one."""


class Flow:
    """The waiting requests of one caller: tags from `head` up to, not including, `next`."""

    __slots__ = ("early", "gone", "head", "next", "size")

    def __init__(self, tag: int) -> None:
        self.head = tag
        self.next = tag
        self.early: list[int] = []
        self.gone: list[int] = []
        self.size = 0

    def remove(self, tag: int) -> None:
        self.size -= 1
        if tag == self.head:
            self.head += 1
            passed = 0
            for other in self.gone:
                if other != self.head:
                    break
                self.head += 1
                passed += 1
            del self.gone[:passed]
        elif tag > self.head:
            insort(self.gone, tag)
        elif (at := bisect_left(self.early, tag)) < len(self.early) and self.early[at] == tag:
            del self.early[at]

    def before(self, tag: int) -> int:
        """How many waiting requests of this flow bear a smaller tag."""
        count = bisect_left(self.early, tag)
        if tag > self.head:
            count += min(tag, self.next) - self.head - bisect_left(self.gone, tag)
        return count


class Line:
    """The waiting line of one app, and how many of its requests run."""

    __slots__ = ("_flows", "_now", "queued", "running")

    def __init__(self) -> None:
        self.queued = 0
        self.running = 0
        self._flows: dict[tuple[int, str], Flow] = {}
        self._now: dict[int, int] = {}

    def enter(self, priority: int, caller: str) -> int:
        """A new request waits; returns its rank."""
        now = self._now.get(priority, 0)
        flow = self._flows.get((priority, caller))
        if flow is None:
            if len(self._flows) >= 64:
                self._forget_idle()
            flow = self._flows[priority, caller] = Flow(now)
        if flow.size == 0 and flow.next < now:
            flow.next = now
        if flow.size == 0:
            flow.head = flow.next
            flow.gone.clear()
        tag = flow.next
        flow.next = tag + 1
        flow.size += 1
        self.queued += 1
        return priority << TAG_BITS | tag

    def pass_by(self, priority: int, caller: str) -> int:
        """A new request that goes to a free slot at once, since nobody waits; returns its rank."""
        rank = self.enter(priority, caller)
        self.claimed(rank, caller)
        return rank

    def claimed(self, rank: int, caller: str) -> None:
        """A waiting request was given to a runner: virtual time moves on."""
        self.leave(rank, caller)
        priority, tag = rank >> TAG_BITS, rank & _TAG
        if tag > self._now.get(priority, 0):
            self._now[priority] = tag

    def leave(self, rank: int, caller: str) -> None:
        """A waiting request waits no more."""
        flow = self._flows.get((rank >> TAG_BITS, caller))
        if flow is not None and flow.size:
            flow.remove(rank & _TAG)
            self.queued -= 1

    def back(self, rank: int, caller: str) -> None:
        """A request comes back from a runner, to the place that it had."""
        key, tag = (rank >> TAG_BITS, caller), rank & _TAG
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = Flow(max(tag + 1, self._now.get(key[0], 0)))
        if flow.size == 0:
            flow.next = max(flow.next, tag + 1)
            flow.head = flow.next
            flow.gone.clear()
        if tag < flow.head:
            insort(flow.early, tag)
        elif (at := bisect_left(flow.gone, tag)) < len(flow.gone) and flow.gone[at] == tag:
            del flow.gone[at]
        flow.size += 1
        self.queued += 1

    def ahead(self, rank: int, caller: str) -> int:
        """How many requests are claimed before this one; exact while one caller and one priority wait."""
        priority, tag = rank >> TAG_BITS, rank & _TAG
        count = 0
        for (other, whose), flow in self._flows.items():
            if other < priority:
                count += flow.size
            elif other == priority:
                # Equal tags go by arrival, which is not known here: count one half of the cases right.
                count += flow.before(tag if whose >= caller else tag + 1)
        return count

    def restore(self, rank: int, caller: str) -> None:
        """At start: a request that waits. Called in the order of ranks."""
        key, tag = (rank >> TAG_BITS, caller), rank & _TAG
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = Flow(tag)
            self._now.setdefault(key[0], tag)
        flow.size += 1
        self.queued += 1
        if tag < flow.head:
            insort(flow.early, tag)
            return
        hole = tag - flow.next
        if hole > _GAP:
            gone = set(flow.gone)
            flow.early += [t for t in range(flow.head, flow.next) if t not in gone]
            flow.gone.clear()
            flow.head = tag
        elif hole > 0:
            flow.gone += range(flow.next, tag)
        flow.next = tag + 1

    def ran(self, rank: int, caller: str) -> None:
        """At start, before any `restore`: a request that a runner had; newer ones rank behind it."""
        priority, tag = rank >> TAG_BITS, rank & _TAG
        self._now[priority] = max(self._now.get(priority, 0), tag)
        flow = self._flows.setdefault((priority, caller), Flow(tag))
        flow.head = flow.next = max(flow.next, tag + 1)

    def _forget_idle(self) -> None:
        for key, flow in list(self._flows.items()):
            if flow.size == 0 and flow.next <= self._now.get(key[0], 0):
                del self._flows[key]
