"""Fair order and places in line, in memory: what would be dear to count in a table.

The order is start-time fair queueing. Each caller's requests of one app and priority are a flow; a request gets the
next start tag of its flow, one `STEP` behind the last, and an idle flow starts again at the virtual time, the tag that
was served last. So a caller who submits 100,000 requests does not starve one who submits three. `rank` is priority and
tag in one integer: the one column that claims walk along.

A place in line that nobody has counted is an estimate: of each flow, the share of its waiting requests that its tags
put before this one. It is exact while one caller waits whose requests leave in order.
"""

from __future__ import annotations

TAG_BITS = 48
_TAG = (1 << TAG_BITS) - 1
STEP = 1000
"""The distance between two requests of one flow. A thousand, so that a dearer request can be worth more than one."""


class Flow:
    """The waiting requests of one caller: `size` of them, with tags from `head` up to, not including, `next`."""

    __slots__ = ("head", "next", "size")

    def __init__(self, tag: int) -> None:
        self.head = tag
        self.next = tag
        self.size = 0

    def before(self, tag: int) -> int:
        """About how many waiting requests of this flow bear a smaller tag."""
        if tag <= self.head:
            return 0
        if tag >= self.next:
            return self.size
        return -(-self.size * (tag - self.head) // (self.next - self.head))


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
        if flow.size == 0:
            flow.head = flow.next = max(flow.next, now)
        tag = flow.next
        flow.next = tag + STEP
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
        self._remove(rank, caller)
        priority, tag = rank >> TAG_BITS, rank & _TAG
        if tag > self._now.get(priority, 0):
            self._now[priority] = tag

    def leave(self, rank: int, caller: str) -> None:
        """A waiting request is gone for good; the last of its flow gives its tag back."""
        flow = self._remove(rank, caller)
        if flow is not None and (rank & _TAG) + STEP == flow.next:
            flow.next = rank & _TAG

    def _remove(self, rank: int, caller: str) -> Flow | None:
        flow = self._flows.get((rank >> TAG_BITS, caller))
        if flow is None or not flow.size:
            return None
        flow.size -= 1
        self.queued -= 1
        if (tag := rank & _TAG) == flow.head:
            flow.head = min(tag + STEP, flow.next)
        return flow

    def back(self, rank: int, caller: str) -> None:
        """A request comes back from a runner, to the place that it had."""
        key, tag = (rank >> TAG_BITS, caller), rank & _TAG
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = Flow(max(tag + STEP, self._now.get(key[0], 0)))
        if flow.size == 0:
            flow.next = max(flow.next, tag + STEP)
            flow.head = tag
        flow.head = min(flow.head, tag)
        flow.size += 1
        self.queued += 1

    def ahead(self, rank: int, caller: str) -> int:
        """About how many requests are claimed before this one."""
        priority, tag = rank >> TAG_BITS, rank & _TAG
        count = 0
        for (other, whose), flow in self._flows.items():
            if other < priority:
                count += flow.size
            elif other == priority:
                # Equal tags go by arrival, which is not known here: of two callers, one is right.
                before = flow.before(tag if whose >= caller else tag + 1)
                count += min(before, flow.size - 1) if whose == caller else before
        return count

    def restore(self, priority: int, caller: str, first: int, last: int, size: int) -> None:
        """At start: a flow that waits, with its lowest and highest rank and how many it has."""
        first, last = first & _TAG, last & _TAG
        flow = self._flows.setdefault((priority, caller), Flow(first))
        flow.head, flow.next = first, max(flow.next, last + STEP)
        flow.size = size
        self.queued += size
        self._now.setdefault(priority, first)

    def ran(self, rank: int, caller: str) -> None:
        """At start, before any `restore`: a request that a runner had; newer ones rank behind it."""
        priority, tag = rank >> TAG_BITS, rank & _TAG
        self._now[priority] = max(self._now.get(priority, 0), tag)
        flow = self._flows.setdefault((priority, caller), Flow(tag))
        flow.head = flow.next = max(flow.next, tag + STEP)

    def _forget_idle(self) -> None:
        for key, flow in list(self._flows.items()):
            if flow.size == 0 and flow.next <= self._now.get(key[0], 0):
                del self._flows[key]
