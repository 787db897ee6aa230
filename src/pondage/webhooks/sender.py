"""The webhook sender: a background service that works off the outbox, host by host.

It sleeps until the queue's commit wakes it, a try ends, or something is due. What it knows is a cache of the outbox;
what was owed when the last server ended is due as soon as this one starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable

from pondage.clock import Clock, SteadyWall
from pondage.settings import Settings
from pondage.telemetry import log
from pondage.webhooks import payload, schedule
from pondage.webhooks.hosts import Host, Hosts
from pondage.webhooks.interface import Answer, Figures, Outcomes, Owed, Poster, PostFailed, Tried, WebhookTraces
from pondage.webhooks.keys import Keys
from pondage.webhooks.outbox import Outbox
from pondage.wire import signing

READ_AHEAD = 64
"""Due deliveries of one host that are read at once."""
HEARD_AT_ONCE = 5000
"""New rows that are read at once."""
UPKEEP = 60.0
"""Seconds between two rounds of giving up what is too old; also the longest sleep, for clocks that were moved."""
PAUSE = 5.0
"""Seconds before the outbox is used again that could not be read or written: a full disk, say."""
JUMP = 1.0
"""Seconds from which on a difference between the two clocks is a clock that was set."""
STOP_GRACE = 5.0
"""Seconds that tries under way get at a stop. One that is cut off is owed still, and goes out again."""


class Sender:
    """See the module. `run` until `stop`; `wake` after every commit that may have added a delivery."""

    def __init__(
        self,
        outbox: Outbox,
        outcomes: Outcomes,
        poster: Poster,
        keys: Keys,
        settings: Settings,
        clock: Clock,
        *,
        dice: Callable[[], float] = random.random,
        traces: WebhookTraces | None = None,
    ) -> None:
        self._outbox = outbox
        self._outcomes = outcomes
        self._poster = poster
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._dice = dice
        self._hosts = Hosts(settings)
        self._tries: Counter[str] = Counter()
        self._traces = traces
        self._changed = asyncio.Event()
        self._committed = False
        self._stopping = False
        self._newest = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._progress_at: dict[str, float] = {}
        self._ahead = clock.wall() - clock.monotonic()
        self._steady = SteadyWall(clock)

    def wake(self) -> None:
        """Something was committed that may be a delivery. Cheap; called on the event loop."""
        self._committed = True
        self._changed.set()

    def hear(self, origin: str, due_at: float) -> None:
        """A delivery to this origin was made due anew (a replay)."""
        if host := self._hosts.get(origin):
            host.hear(due_at)
        self._changed.set()

    def stop(self) -> None:
        """Begin no more tries; `run` returns when those under way have ended."""
        self._stopping = True
        self._changed.set()

    def left_alone(self, origin: str) -> tuple[int, float] | None:
        """Failures in a row and seconds left, where the circuit breaker holds a host's deliveries back."""
        return self._hosts.open(origin, self._clock.monotonic())

    def figures(self) -> Figures:
        """How deliveries fare."""
        overdue = self._hosts.overdue(self._clock.wall())
        return Figures(Counter(self._tries), overdue, self._hosts.left_alone(self._clock.monotonic()))

    async def run(self) -> None:
        """Send until stopped."""
        longest = max(schedule.gaps(self._settings.webhook_schedule)) * (1 + self._settings.webhook_jitter)
        # A clock that was set back while no server ran has left deliveries in a future that is far away.
        await self._outbox.due_again(self._clock.wall(), later_than=self._clock.wall() + longest)
        self._newest, heads = await self._outbox.heads()
        for origin, due_at in heads:
            if host := self._hosts.get(origin):
                host.hear(due_at)
        upkeep_at = self._clock.monotonic()
        try:
            while not self._stopping:
                self._changed.clear()
                try:
                    await self._mind_the_clock()
                    if self._committed:
                        self._committed = False
                        await self._hear()
                    await self._begin_all()
                    if self._clock.monotonic() >= upkeep_at:
                        upkeep_at = self._clock.monotonic() + UPKEEP
                        await self._upkeep()
                except Exception:
                    # What is owed stays owed; try again rather than end the server.
                    log.exception("the webhook sender could not read or write its outbox")
                    await asyncio.sleep(PAUSE)
                await self._sleep()
        finally:
            await self._finish()

    async def _mind_the_clock(self) -> None:
        """Where the wall clock was set back, what is owed is due as much earlier."""
        ahead = self._clock.wall() - self._clock.monotonic()
        back, self._ahead = self._ahead - ahead, ahead
        if back > JUMP:
            log.warning("the clock was set back by %.0f s; deliveries that are owed are due as much earlier", back)
            await self._outbox.bring_forward(back)
            for origin, due_at in (await self._outbox.heads())[1]:
                if host := self._hosts.get(origin):
                    host.next_due = due_at

    async def _sleep(self) -> None:
        wait = self._hosts.wait(self._clock.wall(), self._clock.monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UPKEEP if wait is None else min(wait, UPKEEP)):
                await self._changed.wait()

    async def _finish(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_GRACE)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _upkeep(self) -> None:
        now = self._steady.now()
        await self._outbox.expire(now, now - max(self._settings.retention, self._settings.webhook_window))
        await self._outbox.drop_listeners("", now - self._settings.webhook_listener_ttl)

    async def _hear(self) -> None:
        """Learn of the rows that were committed since the last look."""
        while True:
            rows = await self._outbox.heard(self._newest, HEARD_AT_ONCE)
            for number, origin, due_at in rows:
                self._newest = number
                if host := self._hosts.get(origin):
                    host.hear(due_at)
            if len(rows) < HEARD_AT_ONCE:
                return

    async def _begin_all(self) -> None:
        """Begin as many tries as there is room for, in rounds of one for each host, so that none goes short."""
        while not self._stopping:
            begun = False
            for host in self._hosts.ready(self._clock.wall(), self._clock.monotonic()):
                if host.hungry(self._clock.wall()):
                    await self._read_ahead(host)
                if owed := self._hosts.begin(host, self._clock.monotonic()):
                    begun = True
                    task = asyncio.create_task(self._work(host, owed), name=f"webhook {owed.id}")
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            if not begun:
                return

    async def _read_ahead(self, host: Host) -> None:
        without = host.ask()
        limit = READ_AHEAD + len(without)
        try:
            due, next_due = await self._outbox.due(host.origin, self._clock.wall(), limit)
        except BaseException:
            host.more, host.reading = True, False
            raise
        host.take_in(due, next_due, limit=limit, without=without)
        self._hosts.rest(host)

    async def _work(self, host: Host, owed: Owed) -> None:
        """One try from beginning to end; whatever goes wrong, the delivery is owed still."""
        tried: Tried | None = None
        try:
            try:
                if not await self._held_back(host, owed):
                    tried = await self._post(owed)
            finally:
                self._hosts.answered(host, owed)
            if tried is not None:
                await self._settle(host, owed, tried)
        except Exception:
            log.exception("webhook %s: the try could not be recorded", owed.id)
            host.hear(self._clock.wall() + PAUSE)
        finally:
            self._hosts.end(host, owed)
            self._changed.set()

    async def _held_back(self, host: Host, owed: Owed) -> bool:
        """Whether a progress delivery is not to go now: overtaken, or too soon after the one before."""
        if owed.event != "progress":
            return False
        now = self._clock.wall()
        if await self._outbox.drop_if_overtaken(owed, now):
            return True
        earliest = self._progress_at.get(owed.request_id, 0.0) + self._settings.webhook_progress_interval
        if now >= earliest or now < earliest - 2 * self._settings.webhook_progress_interval:
            return False
        await self._outbox.postpone(owed, earliest)
        host.hear(earliest)
        return True

    async def _settle(self, host: Host, owed: Owed, tried: Tried) -> None:
        """Record a try, and what becomes of its delivery."""
        tries = owed.tries - owed.replayed_tries + 1
        then = schedule.after(tried, tries=tries, since=owed.since, settings=self._settings, dice=self._dice())
        note = ""
        if not tried.final:
            breaker = host.breaker
            note = breaker.succeeded(tried.duration) if tried.ok else breaker.failed(self._clock.monotonic())
        self._changed.set()
        if note and host.breaker.failures in (0, self._settings.webhook_breaker):
            log.warning("webhooks to %s: %s", host.origin, note)
        self._tries[then.state] += 1
        if self._traces is not None:
            self._traces.tried(owed, tried)
        await self._outbox.record(owed, tried, then, note)
        if then.state == "owed":
            host.hear(then.due_at)
        if owed.event == "progress":
            self._progress_at[owed.request_id] = self._clock.wall()
        elif owed.event == "completed":
            self._progress_at.pop(owed.request_id, None)

    async def _post(self, owed: Owed) -> Tried:
        """Build, sign and send; an answer or the reason for its lack."""
        sent, began = self._clock.wall(), self._clock.monotonic()
        body = await self.body(owed)
        if body is None:
            return Tried(sent, 0.0, None, "the request is kept no more", final=True)
        settings = self._settings
        timeout = settings.webhook_first_timeout if owed.tries == 0 else settings.webhook_timeout
        headers = self.headers(owed, body, int(sent))
        if self._traces is not None:
            headers.update(await self._traces.headers(owed))
        try:
            answer: Answer | PostFailed = await self._poster.post(
                owed.target, body, headers, timeout=timeout, keep=settings.webhook_body_kept
            )
        except PostFailed as error:
            answer = error
        duration = self._clock.monotonic() - began
        # Counted back from its end: the clock may have been set during the try, and the next one is due by today's.
        return _judged(answer, self._clock.wall() - duration, duration)

    async def body(self, owed: Owed) -> bytes | None:
        """A delivery's body, the same for every try; None where its request is kept no more."""
        if owed.event != "completed":
            return payload.intermediate(owed.request_id, owed.event, owed.seq, owed.entries)
        outcome = await self._outcomes.outcome(owed.request_id)
        return None if outcome is None else payload.completed(owed.request_id, outcome)

    def headers(self, owed: Owed, body: bytes, timestamp: int) -> dict[str, str]:
        """The headers of a try, signed both ways; each try is signed anew, because receivers reject old times."""
        user = owed.caller or self._settings.owner
        return {
            "content-type": "application/json",
            "user-agent": "pondage-webhooks",
            **signing.fal_headers(owed.request_id, user, timestamp, body, self._keys.sign),
            **signing.standard_headers(owed.id, timestamp, body, self._keys.secrets(owed.origin)),
        }


def _judged(answer: Answer | PostFailed, at: float, duration: float) -> Tried:
    if isinstance(answer, PostFailed):
        return Tried(at, duration, None, str(answer), final=answer.final)
    return Tried(
        at=at,
        duration=duration,
        status=answer.status,
        reason=schedule.reason_for(answer.status),
        answer=answer.body,
        retry_after=schedule.retry_after(answer.headers.get("retry-after"), at + duration),
    )
