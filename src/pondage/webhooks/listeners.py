"""Temporary targets on laptops: `pondage webhooks listen` fetches what it is owed and reports what became of it.

Its deliveries are rows of the outbox like all others, written with the outcome; while it is away they are held.
"""

from __future__ import annotations

import asyncio
import secrets

from pondage.clock import Clock
from pondage.errors import NotFound, TooMany
from pondage.settings import Settings
from pondage.webhooks import schedule
from pondage.webhooks.interface import Next, Owed, Tried
from pondage.webhooks.outbox import LISTENER, Outbox

AT_ONCE = 20
"""Deliveries that a listener is handed at once."""


class Listeners:
    """The listeners of this gateway. `changed` is set by every commit."""

    def __init__(self, outbox: Outbox, settings: Settings, clock: Clock) -> None:
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._waiting: set[asyncio.Event] = set()
        self.connected: set[str] = set()
        """Listeners that were seen since this gateway started."""

    def wake(self) -> None:
        """Something was committed."""
        for event in self._waiting:
            event.set()

    async def begin(self, app: str, caller: str, owner: str) -> str:
        """Make a listener of the key `owner`, for every request, or one app's or one caller's; returns its id.

        Raises:
            TooMany: the key has as many as it may.
        """
        most = self._settings.max_listeners_per_key
        if owner and await self._outbox.listeners_of(owner) >= most:
            raise TooMany(f"this key has {most} listeners; end one first (setting max_listeners_per_key)")
        listener = secrets.token_hex(16)
        await self._outbox.put_listener(listener, app, caller, owner, self._clock.wall())
        self.connected.add(listener)
        return listener

    async def check(self, listener: str, owner: str) -> None:
        """Whether there is such a listener, and it is this key's.

        Raises:
            NotFound: it is not; another key's is as good as none.
        """
        if await self._outbox.listener_owner(listener) != owner:
            raise NotFound(f"there is no listener {listener}; it was gone for too long")

    async def end(self, listener: str, owner: str) -> None:
        """Forget a listener and what is held for it.

        Raises:
            NotFound: there is no such listener (any more), or it is another key's.
        """
        await self.check(listener, owner)
        self.connected.discard(listener)
        await self._outbox.drop_listeners(listener, 0.0)

    async def fetch(self, listener: str, owner: str, wait: float) -> list[Owed]:
        """What a listener is owed, oldest first, waiting up to `wait` seconds for something.

        Each is lent for as long as a try may take; without a report it is handed out again.

        Raises:
            NotFound: there is no such listener (any more), or it is another key's.
        """
        await self.check(listener, owner)
        await self._outbox.see_listener(listener, self._clock.wall())
        self.connected.add(listener)
        deadline = self._clock.monotonic() + wait
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            while True:
                changed.clear()
                now = self._clock.wall()
                due, next_due = await self._outbox.due(f"{LISTENER}{listener}", now, AT_ONCE)
                left = deadline - self._clock.monotonic()
                if due or left <= 0:
                    break
                try:
                    async with asyncio.timeout(left if next_due is None else min(left, next_due - now + 0.001)):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting.discard(changed)
        lent_until = self._clock.wall() + 2 * self._settings.webhook_timeout
        for owed in due:
            await self._outbox.postpone(owed, lent_until)
        return due

    async def report(self, owed: Owed, tried: Tried, dice: float) -> Next:
        """A listener says how its try went."""
        tries = owed.tries - owed.replayed_tries + 1
        then = schedule.after(tried, tries=tries, since=owed.since, settings=self._settings, dice=dice)
        await self._outbox.record(owed, tried, then, "tried by a listener")
        return then
