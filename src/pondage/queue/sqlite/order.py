"""Fair order and places in line, in memory: what would be dear to count in a table.

The order is start-time fair queueing. Each caller's requests of one app and priority are a flow; a request gets the
next start tag of its flow, as far behind the last as that one is dear, and an idle flow starts again at the virtual
time, the tag that was served last. So a caller who submits 100,000 requests does not starve one who submits three, nor
does one whose requests take a minute starve one whose requests take a second. `rank` is priority and tag in one
integer: the one column that claims walk along.

A place in line that nobody has counted is an estimate: of each flow, the share of its waiting requests that its tags
put before this one. It is exact while one caller waits whose requests leave in order.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

TAG_BITS = 48
_TAG = (1 << TAG_BITS) - 1
STEP = 1000
"""What a request costs its flow that nobody expects to take so or so long; a thousand a second where somebody does."""


class Flow:
    """The waiting requests of one caller: `size` of them, with tags from `head` up to, not including, `next`; `last` is
    the tag of the newest, -1 where something else may stand behind it."""

    __slots__ = ("head", "last", "next", "size")

    def __init__(self, tag: int) -> None:
        self.head = tag
        self.last = -1
        self.next = tag
        self.size = 0

    def before(self, tag: int) -> int:
        """About how many waiting requests of this flow bear a smaller tag."""
        if tag <= self.head:
            return 0
        if tag >= self.next:
            return self.size
        return -(-self.size * (tag - self.head) // (self.next - self.head))


def step_of(expected: float | None) -> int:
    """What a request costs its flow, of which `expected` is how many seconds it will run."""
    return STEP if expected is None else max(1, round(1000 * expected))


FEW = 32
"""Flows up to which each is looked at for an estimate; of more a summary is made, and made anew after some changes."""


class Summary:
    """All flows of one priority as sums over their heads and ends, so that an estimate costs two look-ups."""

    __slots__ = ("_base", "_ends", "_heads", "size", "work")

    def __init__(self, flows: list[Flow]) -> None:
        self.size = sum(flow.size for flow in flows)
        self.work = sum(flow.next - flow.head for flow in flows)
        self._base = min(flow.head for flow in flows)
        self._heads = _Sums([(flow.head - self._base, flow) for flow in flows])
        self._ends = _Sums([(flow.next - self._base, flow) for flow in flows])

    def before(self, tag: int) -> tuple[float, float]:
        """About how many requests, and how much work, stand before a tag: of each flow, what lies between its head and
        the tag, but for what lies beyond its end."""
        at = tag - self._base
        (size, work), (less_size, less_work) = self._heads.until(at), self._ends.until(at)
        return size - less_size, work - less_work


class _Sums:
    """Sorted places with the sums of what begins at each: requests by tag, and work."""

    __slots__ = ("_at", "_places", "_sizes", "_slopes")

    def __init__(self, flows: list[tuple[int, Flow]]) -> None:
        flows.sort(key=lambda one: one[0])
        self._places = [at for at, _ in flows]
        slopes = [flow.size / (flow.next - flow.head) for _, flow in flows]
        self._slopes = [0.0, *accumulate(slopes)]
        self._sizes = [0.0, *accumulate(slope * at for slope, (at, _) in zip(slopes, flows, strict=True))]
        self._at = [0, *accumulate(self._places)]

    def until(self, at: int) -> tuple[float, float]:
        """The sums over all places before this one, of how far it lies behind each."""
        n = bisect_left(self._places, at)
        return self._slopes[n] * at - self._sizes[n], float(n * at - self._at[n])


class Line:
    """The waiting line of one app, and how many of its requests run."""

    __slots__ = ("_changes", "_flows", "_now", "_summaries", "queued", "running")

    def __init__(self) -> None:
        self.queued = 0
        self.running = 0
        self._changes = 0
        """Since the summaries were made."""
        self._summaries: dict[int, Summary] | None = None
        self._flows: dict[tuple[int, str], Flow] = {}
        self._now: dict[int, int] = {}

    def enter(self, priority: int, caller: str, step: int = STEP) -> int:
        """A new request waits; returns its rank. `step` is what it costs its flow."""
        now = self._now.get(priority, 0)
        flow = self._flows.get((priority, caller))
        if flow is None:
            if len(self._flows) >= 64:
                self._forget_idle()
            flow = self._flows[priority, caller] = Flow(now)
        if flow.size == 0:
            flow.head = flow.next = max(flow.next, now)
        tag = flow.next
        flow.last, flow.next = tag, tag + step
        flow.size += 1
        self._changes += 1
        self.queued += 1
        return priority << TAG_BITS | tag

    def waiting(self, caller: str) -> int:
        """How many requests of a caller wait."""
        flows = (self._flows.get((priority, caller)) for priority in (0, 1))
        return sum(flow.size for flow in flows if flow is not None)

    def pass_by(self, priority: int, caller: str, step: int = STEP) -> int:
        """A new request that goes to a free slot at once, since nobody waits; returns its rank."""
        rank = self.enter(priority, caller, step)
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
        if flow is not None and (rank & _TAG) == flow.last:
            flow.next = flow.last

    def _remove(self, rank: int, caller: str) -> Flow | None:
        flow = self._flows.get((rank >> TAG_BITS, caller))
        if flow is None or not flow.size:
            return None
        flow.size -= 1
        self._changes += 1
        self.queued -= 1
        if (tag := rank & _TAG) == flow.head:
            # Where the next one lies is not known; on the average, this far.
            flow.head = flow.next - (flow.next - tag) * flow.size // (flow.size + 1)
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
        self._changes += 1
        self.queued += 1

    def ahead(self, rank: int, caller: str) -> int:
        """About how many requests are claimed before this one."""
        priority, tag = rank >> TAG_BITS, rank & _TAG
        if len(self._flows) > FEW:
            return min(max(round(self._estimate(priority, tag)[0]), 0), max(self.queued - 1, 0))
        count = 0
        for (other, whose), flow in self._flows.items():
            if other < priority:
                count += flow.size
            elif other == priority:
                # Equal tags go by arrival, which is not known here: of two callers, one is right.
                before = flow.before(tag if whose >= caller else tag + 1)
                count += min(before, flow.size - 1) if whose == caller else before
        return count

    def work_ahead(self, priority: int, caller: str, rank: int | None = None) -> float:
        """About how many seconds of running are claimed before a request: that of `rank`, or one that came now.

        Where requests are not expected to take so or so long, each counts for a second.
        """
        if rank is None:
            flow = self._flows.get((priority, caller))
            now = self._now.get(priority, 0)
            tag = max(flow.next, now) if flow is not None else now
        else:
            tag = rank & _TAG
        if len(self._flows) > FEW:
            return max(self._estimate(priority, tag)[1], 0.0) / 1000
        work = 0
        for (other, _), flow in self._flows.items():
            if flow.size and other <= priority:
                work += max((flow.next if other < priority else min(flow.next, tag)) - flow.head, 0)
        return work / 1000

    def _estimate(self, priority: int, tag: int) -> tuple[float, float]:
        """About how many requests, and how much work, stand before a place among many flows."""
        if self._summaries is None or self._changes * 16 > len(self._flows):
            by_priority: dict[int, list[Flow]] = {}
            for (other, _), flow in self._flows.items():
                if flow.size:
                    by_priority.setdefault(other, []).append(flow)
            self._summaries = {other: Summary(flows) for other, flows in by_priority.items()}
            self._changes = 0
        size = work = 0.0
        for other, summary in self._summaries.items():
            if other < priority:
                size, work = size + summary.size, work + summary.work
            elif other == priority:
                more, further = summary.before(tag)
                size, work = size + more, work + further
        return size, work

    def flows(self) -> list[tuple[int, str, int]]:
        """Who waits: priority, caller, and how many."""
        return [(priority, caller, flow.size) for (priority, caller), flow in self._flows.items() if flow.size]

    def restore(self, priority: int, caller: str, first: int, last: int, size: int) -> None:
        """At start: a flow that waits, with its lowest and highest rank and how many it has."""
        first, last = first & _TAG, last & _TAG
        flow = self._flows.setdefault((priority, caller), Flow(first))
        # A running one may lie behind the last that waits; then no tag is given back.
        flow.head, flow.last = first, last if flow.next <= last + STEP else -1
        flow.next = max(flow.next, last + STEP)
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
