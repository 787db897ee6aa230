"""The webhooks room as the composition root and the gateway see it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from pondage.clock import Clock
from pondage.database.interface import Database
from pondage.errors import NotFound
from pondage.queue.interface import Queue
from pondage.queue.news import Listener, News
from pondage.settings import Settings
from pondage.webhooks import targets
from pondage.webhooks.interface import Delivery, Figures, NewKey, Next, Owed, Poster, Tried, Try, WebhookTraces, Whose
from pondage.webhooks.keys import Keys
from pondage.webhooks.listeners import Listeners
from pondage.webhooks.outbox import LISTENER, Outbox
from pondage.webhooks.schedule import reason_for
from pondage.webhooks.sender import Sender
from pondage.wire import signing


class ClosingPoster(Poster, Protocol):
    async def close(self) -> None: ...


class Webhooks(Listener):
    """See `pondage.webhooks.interface.WebhooksRoom`: outbox, keys, listeners and the sender.

    Made by `open`; `run` sends, `close` after it has ended.
    """

    def __init__(
        self,
        settings: Settings,
        queue: Queue,
        clock: Clock,
        outbox: Outbox,
        keys: Keys,
        poster: ClosingPoster,
        *,
        used: bool,
        traces: WebhookTraces | None = None,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._clock = clock
        self._poster = poster
        self._used = used
        self.outbox = outbox
        self.keys = keys
        self.sender = Sender(outbox, queue, poster, keys, settings, clock, traces=traces)
        self.listeners = Listeners(outbox, settings, clock)

    @classmethod
    async def open(
        cls,
        settings: Settings,
        database: Database,
        queue: Queue,
        news: News,
        clock: Clock,
        *,
        is_open: Callable[[], bool],
        poster: ClosingPoster | None = None,
        traces: WebhookTraces | None = None,
    ) -> Webhooks:
        """Read or make the keys, and hear of every commit of the queue.

        Args:
            is_open: whether the server asks for no key just now; then webhooks may go to this machine, unless
                `webhook_private` says otherwise.
            traces: where traces of tries go, if anywhere.
        """
        if poster is None:
            from pondage.webhooks.post import OutboundPoster

            poster = OutboundPoster(settings, is_open=is_open)
        outbox = Outbox(database)
        keys = Keys(database, clock)
        await keys.open()
        webhooks = cls(settings, queue, clock, outbox, keys, poster, used=await outbox.used(), traces=traces)
        news.listen(webhooks)
        return webhooks

    def changed(self, request_id: str) -> None:
        """A commit of the queue may owe a delivery. Costs nothing until the first webhook or listener."""
        if self._used:
            self.sender.wake()
            self.listeners.wake()

    def check(self, url: str | None, events: str | None) -> tuple[str | None, tuple[str, ...]]:
        checked = None if url is None else targets.check_target(url)
        self._used = self._used or checked is not None
        return checked, targets.check_events(events)

    def figures(self) -> Figures:
        return self.sender.figures()

    def left_alone(self, origin: str) -> tuple[int, float] | None:
        return self.sender.left_alone(origin)

    async def run(self) -> None:
        """Send until cancelled; tries under way get a few seconds to end."""
        await self.sender.run()

    async def close(self) -> None:
        """Close the connections to receivers."""
        await self._poster.close()

    # ---- for people and programs

    async def page(
        self, *, whose: Whose, state: str | None, since: float | None, until: float | None, before: int, limit: int
    ) -> list[Delivery]:
        return await self.outbox.page(state=state, since=since, until=until, whose=whose, before=before, limit=limit)

    async def of_request(self, request_id: str, whose: Whose) -> list[Delivery]:
        if not whose.holds(await self.outbox.owner(request_id)):
            raise NotFound(f"Request {request_id} not found")
        return await self.outbox.of_request(request_id)

    async def find(self, name: str, whose: Whose) -> tuple[Delivery, list[Try]]:
        found = await self.outbox.get(name)
        if found is None and len(name) >= 4:
            tails = await self.outbox.named(name, whose)
            found = await self.outbox.get(tails[0]) if tails else None
        if found is None or not whose.holds(await self.outbox.owner(found[0].request_id)):
            raise NotFound(f"there is no delivery {name}")
        return found

    async def missed(
        self, *, after: int, target: str | None, whose: Whose, everything: bool, limit: int
    ) -> list[tuple[Owed, str]]:
        return await self.outbox.missed(after=after, target=target, whose=whose, everything=everything, limit=limit)

    async def replay(self, deliveries: list[Delivery]) -> None:
        await self.outbox.replay([delivery.n for delivery in deliveries], self._clock.wall())
        for origin in {delivery.origin for delivery in deliveries}:
            self.sender.hear(origin, self._clock.wall())
        self.listeners.wake()

    async def signed(self, owed: Owed) -> tuple[dict[str, str], bytes] | None:
        body = await self.sender.body(owed)
        if body is None:
            return None
        return self.sender.headers(owed, body, int(self._clock.wall())), body

    async def listen(self, app: str, caller: str, owner: str) -> str:
        self._used = True
        return await self.listeners.begin(app, caller, owner)

    async def fetch(self, listener: str, owner: str, wait: float) -> list[Owed]:
        return await self.listeners.fetch(listener, owner, wait)

    async def end_listener(self, listener: str, owner: str) -> None:
        await self.listeners.end(listener, owner)

    async def listener_tried(self, listener: str, owner: str, delivery_id: str, tried: Tried) -> Next:
        if not tried.reason and tried.status is not None:
            tried = tried._replace(reason=reason_for(tried.status))
        await self.listeners.check(listener, owner)
        owed = await self.outbox.owed(delivery_id)
        if owed is None or owed.origin != f"{LISTENER}{listener}":
            raise NotFound(f"listener {listener} is not owed {delivery_id}")
        return await self.listeners.report(owed, tried, random.random())  # noqa: S311 - jitter, not a secret

    def jwks(self) -> dict[str, Any]:
        return self.keys.jwks()

    def secrets(self, url: str = "") -> list[str]:
        return [signing.secret_text(key) for key in self.keys.secrets(self.origin(url) if url else "")]

    async def rotate(self, kind: str, *, target: str, at_once: bool) -> NewKey:
        key = await self.keys.rotate(kind, target=self.origin(target) if target else "", at_once=at_once)
        secret = signing.secret_text(key.private) if key.kind == "secret" else None
        return NewKey(key.id, key.kind, key.target, key.signs_from, secret)

    def origin(self, url: str) -> str:
        """The origin of a target, by which secrets and hosts are told apart."""
        checked = targets.check_target(url)
        return checked[: checked.index("/", checked.index("://") + 3)]
