"""The queue's news: who waits for what, and who is told on the event loop after each commit. Nobody polls.

An engine calls `changed`, `ended`, `failed` and `taken_back`; rooms that want to hear of every request are a `Listener`
each and say so once, by `listen`; who waits for one request uses `wait` or a `Watcher`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from pondage.errors import OutcomeDelayed
from pondage.queue.interface import Claim
from pondage.wire.events import Outcome


class Listener:
    """A room that hears of the queue's commits, on the loop, in their order: be cheap, never raise."""

    def changed(self, request_id: str) -> None:
        """Something was committed for the request: its state, its log, or a delivery that it owes."""

    def ended(self, request_id: str) -> None:
        """Its outcome was committed."""

    def taken_back(self, claim: Claim) -> None:
        """A claim was handed out and its commit then failed: the request waits again, or does not exist, and nothing
        that this attempt says will count."""


class Watcher:
    """One reader of a request's log. See `pondage.queue.interface.Watch`."""

    __slots__ = ("_changed", "_future", "_id", "_news")

    def __init__(self, news: News, request_id: str) -> None:
        self._news = news
        self._id = request_id
        self._changed = False
        self._future: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Watcher:
        self._news.watching.setdefault(self._id, []).append(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mine = self._news.watching.get(self._id, [])
        if self in mine:
            mine.remove(self)
        if not mine:
            self._news.watching.pop(self._id, None)

    async def changed(self, timeout: float) -> bool:
        """Wait until something was committed for the request since the last call; False after `timeout` seconds."""
        if not self._changed and not self._news.closed:
            self._future = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._future,), timeout=timeout)
            self._future = None
        changed, self._changed = self._changed, False
        return changed

    def tell(self) -> None:
        self._changed = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class News:
    """All listeners, readers and waiters of this gateway."""

    def __init__(self) -> None:
        self.watching: dict[str, list[Watcher]] = {}
        self.waiting: dict[str, list[asyncio.Future[Outcome | None]]] = {}
        self._stuck: dict[asyncio.Future[Outcome | None], float] = {}
        """While nothing can be written: who waits, and when each was first seen waiting."""
        self.closed = False
        self._waits = True
        """Whether anybody may wait for an outcome still."""
        self._on_change: list[Callable[[str], None]] = []
        self._on_end: list[Callable[[str], None]] = []
        self._on_taken_back: list[Callable[[Claim], None]] = []

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every request from now on; what it does not listen to costs nothing."""
        kind = type(listener)
        if kind.changed is not Listener.changed:
            self._on_change.append(listener.changed)
        if kind.ended is not Listener.ended:
            self._on_end.append(listener.ended)
        if kind.taken_back is not Listener.taken_back:
            self._on_taken_back.append(listener.taken_back)

    def changed(self, request_id: str) -> None:
        """Something was committed for the request."""
        for changed in self._on_change:
            changed(request_id)
        if self.watching and (watchers := self.watching.get(request_id)):
            for watcher in watchers:
                watcher.tell()

    def ended(self, request_id: str, outcome: Outcome) -> None:
        """The outcome was committed."""
        if self.waiting and (waiters := self.waiting.pop(request_id, None)):
            for future in waiters:
                if not future.done():
                    future.set_result(outcome)
        self.changed(request_id)
        for ended in self._on_end:
            ended(request_id)

    def failed(self, request_id: str, error: BaseException) -> None:
        """The request could not be written and does not exist: whoever waits hears why."""
        for future in self.waiting.pop(request_id, ()):
            if not future.done():
                future.set_exception(error)
        self.changed(request_id)

    def unwritten(self, now: float, patience: float) -> None:
        """Nothing can be written just now. Said again and again, it lets those go who have waited for `patience` since.

        Their requests stay, and end as usual once there is room.
        """
        waiting = [(request_id, future) for request_id, futures in self.waiting.items() for future in futures]
        self._stuck = {future: self._stuck.get(future, now) for _, future in waiting}
        for request_id, future in waiting:
            if now - self._stuck[future] >= patience and not future.done():
                future.set_exception(OutcomeDelayed(
                    f"the server's disk takes nothing more, so what became of request {request_id} is not on record "
                    "yet. It is not lost: its result will be at its URL as soon as there is room"
                ))  # fmt: skip

    def written(self) -> None:
        """Commits succeed again."""
        self._stuck.clear()

    def taken_back(self, claim: Claim) -> None:
        """The commit of a claim has failed."""
        for taken_back in self._on_taken_back:
            taken_back(claim)

    def wait(self, request_id: str) -> asyncio.Future[Outcome | None]:
        """A future of the outcome; give it back by `forget`."""
        future: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        if self.closed or not self._waits:
            future.set_result(None)
        else:
            self.waiting.setdefault(request_id, []).append(future)
        return future

    def forget(self, request_id: str, future: asyncio.Future[Outcome | None]) -> None:
        """Nobody waits on this future any more."""
        waiters = self.waiting.get(request_id)
        if waiters and future in waiters:
            waiters.remove(future)
            if not waiters:
                del self.waiting[request_id]

    def let_go(self) -> None:
        """The server stops: whoever waits for an outcome hears that there is none yet, from now on at once."""
        self._waits = False
        for futures in self.waiting.values():
            for future in futures:
                if not future.done():
                    future.set_result(None)
        self.waiting.clear()

    def close(self) -> None:
        """Let everybody go: no future stays behind."""
        self.closed = True
        self.let_go()
        for watchers in self.watching.values():
            for watcher in watchers:
                watcher.tell()
