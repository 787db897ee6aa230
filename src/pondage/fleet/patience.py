"""Who does not wait for an app that cannot run: direct callers, and requests that say `on_fault=fail`.

A request whose app does not import, or whose `setup()` fails, waits for the author, and its status says why. Somebody
who holds a connection open cannot read that: after `fault_patience` the request ends with the reason.
"""

from __future__ import annotations

from collections import defaultdict

from pondage.clock import Clock
from pondage.queue.interface import Filter, NewRequest, Queue
from pondage.settings import Settings
from pondage.wire import outcomes
from pondage.wire.events import Outcome
from pondage.wire.states import State

HEADER = "pondage-on-fault"
FAIL, WAIT = "fail", "wait"
_PAGE = 200


class Patience:
    """The requests that wait and would rather fail. All methods are called on the loop."""

    def __init__(self, queue: Queue, clock: Clock, settings: Settings) -> None:
        self._queue = queue
        self._clock = clock
        self._seconds = settings.fault_patience
        self._began = clock.wall()
        self._waiting: defaultdict[str, dict[str, float]] = defaultdict(dict)
        """By app and id: since when, in monotonic seconds."""
        self._faults: dict[str, float] = {}
        """Since when an app has had a fault."""
        self._read: set[str] = set()
        """Apps whose requests of the gateway before were looked at."""

    def waits(self, request: NewRequest, *, direct: bool) -> None:
        """A request could not be started at once."""
        said = request.headers.get(HEADER)
        if said == FAIL or (direct and said != WAIT):
            self._waiting[request.app][request.id] = self._clock.monotonic()

    def started(self, app: str, request_id: str) -> None:
        """It waits no longer, for whatever reason."""
        if waiting := self._waiting.get(app):
            waiting.pop(request_id, None)

    def has(self, app: str) -> bool:
        """Whether something is kept of this app."""
        return bool(self._waiting.get(app)) or app in self._faults

    async def look(self, app: str, fault: str | None, *, all_fail: bool) -> None:
        """End the requests of an app that have waited long enough for it.

        Args:
            fault: why it cannot run; None while it can.
            all_fail: the app says `on_fault="fail"` for all of its requests.
        """
        now = self._clock.monotonic()
        if fault is None:
            self._faults.pop(app, None)
            if not self._queue.depth(app).queued:
                self._waiting.pop(app, None)
            return
        since = self._faults.setdefault(app, now)
        if now - since < self._seconds:
            return
        outcome = outcomes.cannot_run(app, fault)
        if all_fail:
            await self._end_all(app, outcome)
        elif app not in self._read:
            self._read.add(app)
            await self._read_older(app)
        for request_id, begun in list(self._waiting[app].items()):
            if now - begun >= self._seconds:
                await self._queue.fail(request_id, outcome)
                self.started(app, request_id)

    async def _end_all(self, app: str, outcome: Outcome) -> None:
        latest = self._clock.wall() - self._seconds
        while True:
            page = await self._queue.page(Filter(app, state=State.QUEUED, until=latest, limit=_PAGE))
            ended = [await self._queue.fail(view.id, outcome) for view in page.items]
            if not any(ended):
                return

    async def _read_older(self, app: str) -> None:
        """What the gateway before had taken says in its headers whether it fails."""
        cursor: str | None = None
        while True:
            page = await self._queue.page(
                Filter(app, state=State.QUEUED, until=self._began, limit=_PAGE, cursor=cursor)
            )
            for view in page.items:
                brought = await self._queue.input(view.id)
                if brought is not None and brought.headers.get(HEADER) == FAIL:
                    self._waiting[app].setdefault(view.id, float("-inf"))
            cursor = page.next_cursor
            if cursor is None:
                return
