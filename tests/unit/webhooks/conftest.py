"""A real database and queue, a clock that the test moves, and a receiver that answers as the test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pondage.clock import ManualClock
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.interface import NewRequest
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.webhooks.interface import Answer, PostFailed
from pondage.webhooks.service import Webhooks
from pondage.wire.events import Entry, Outcome
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind

HOOK = "https://receiver.example/hook"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Post(NamedTuple):
    url: str
    body: bytes
    headers: Mapping[str, str]
    timeout: float
    at: float


Reply = int | PostFailed | Answer | asyncio.Event


class Receiver:
    """A poster without a network: `replies` by URL, 200 where there is none left; an Event hangs until it is set,
    and the reply after it counts (else 200)."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.posts: list[Post] = []
        self.replies: defaultdict[str, list[Reply]] = defaultdict(list)
        self.always: dict[str, Reply] = {}
        self._arrived = asyncio.Condition()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, keep: int) -> Answer:
        async with self._arrived:
            self.posts.append(Post(url, body, headers, timeout, self._clock.wall()))
            self._arrived.notify_all()
        reply = self.replies[url].pop(0) if self.replies[url] else self.always.get(url, 200)
        if isinstance(reply, asyncio.Event):
            await reply.wait()
            reply = self.replies[url].pop(0) if self.replies[url] else 200
        if isinstance(reply, PostFailed):
            raise reply
        return reply if isinstance(reply, Answer) else Answer(reply, {}, b"thanks"[:keep])

    async def close(self) -> None:
        pass

    async def count(self, number: int) -> list[Post]:
        """Wait until so many posts have come."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.posts) >= number)
        return self.posts


class House:
    """What a test works with."""

    def __init__(self, database: SqliteDatabase, queue: SqliteQueue, clock: ManualClock, webhooks: Webhooks) -> None:
        self.database = database
        self.queue = queue
        self.clock = clock
        self.webhooks = webhooks

    async def submit(self, webhook: str | None = HOOK, *, events: tuple[str, ...] = (), app: str = "local/a") -> str:
        """A request that is running."""
        webhook = webhook and self.webhooks.check(webhook, None)[0]
        new = NewRequest(
            new_request_id(), app, "/", "call", b"{}", self.clock.wall(), webhook=webhook, webhook_events=events
        )
        await self.queue.submit(new, slot="r1").receipt
        return new.id

    async def finish(self, request_id: str, outcome: Outcome | None = None) -> None:
        ok = Outcome(OutcomeKind.OK, 200, b'{"answer":42}', {"content-type": "application/json"})
        assert (await self.queue.complete(request_id, 1, outcome or ok)).verdict == "applied"

    async def tell(self, request_id: str, *entries: Entry) -> None:
        assert await self.queue.append(request_id, 1, entries)

    async def state(self, delivery_id: str, until: Callable[[Any], bool] = lambda delivery: True) -> Any:
        """The delivery and its tries, as soon as `until` holds."""
        async with asyncio.timeout(10):
            while True:
                found = await self.webhooks.outbox.get(delivery_id)
                if found is not None and until(found[0]):
                    return found
                await asyncio.sleep(0.005)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.webhooks.sender.wake()
        self.webhooks.listeners.wake()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def receiver(clock: ManualClock) -> Receiver:
    return Receiver(clock)


@contextlib.asynccontextmanager
async def opened(
    folder: Path, clock: ManualClock, receiver: Receiver, settings: Settings | None = None, *, run: bool = True
) -> AsyncIterator[House]:
    """A house whose sender runs."""
    settings = settings or Settings(webhook_jitter=0.0)
    database = await SqliteDatabase.open(folder, clock)
    news = News()
    queue = await SqliteQueue.open(database, clock, settings, news)
    webhooks = await Webhooks.open(settings, database, queue, news, clock, is_open=lambda: True, poster=receiver)
    running = asyncio.create_task(webhooks.run()) if run else None
    try:
        yield House(database, queue, clock, webhooks)
    finally:
        if running is not None:
            webhooks.sender.stop()
            await running
        await webhooks.close()
        await queue.close()
        await database.close()


@pytest.fixture
async def house(tmp_path: Path, clock: ManualClock, receiver: Receiver) -> AsyncIterator[House]:
    async with opened(tmp_path, clock, receiver) as opened_house:
        yield opened_house
