"""Memory that is held for callers: large answers that are not read, large bodies that are not whole.

Small ones are not counted: their number is that of the connections, which has a bound of its own. Where a key has as
much as it may hold, or all have, the newest waits until others have let go; what is held is never taken away.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pondage.errors import Unavailable
from pondage.settings import Settings

T = TypeVar("T")

FREE = 64 * 1024
"""Bytes that are not counted."""
AT_ONCE = 3
"""Large things that are read from the disk at once; what came has its turn of the loop before the next is read."""

Key = str | None
"""Whose bytes they are; None: a caller without a key on a server that wants one. Empty where none is asked for."""


class Budget:
    """Bytes that are held. A caller without a key gets half of what a key gets; on a server that asks for none,
    everybody together gets all."""

    def __init__(self, settings: Settings) -> None:
        self.most = settings.held_bytes
        self._most_of_key = min(settings.held_bytes_per_key, self.most)
        self._patience = settings.held_wait
        self.held = 0
        self._keys: Counter[Key] = Counter()
        self._waiting: deque[tuple[Key, int, asyncio.Future[None]]] = deque()
        self.reading = asyncio.Semaphore(AT_ONCE)

    def of(self, key: Key) -> int:
        """Bytes that are held of one key."""
        return self._keys[key]

    def full(self, key: Key) -> bool:
        """Whether nothing more of this key should be taken in."""
        return self.held >= self.most or self.of(key) >= self._limit(key)

    def _limit(self, key: Key) -> int:
        if key is None:
            return self._most_of_key // 2
        return self._most_of_key if key else self.most

    def _fits(self, key: Key, size: int) -> bool:
        # One thing that is larger than the bounds is let in alone: it would never be.
        mine = self._keys[key]
        return (not mine or mine + size <= self._limit(key)) and (not self.held or self.held + size <= self.most)

    def add(self, key: Key, size: int) -> None:
        """Hold what is here already, whether there is room or not."""
        self.held += size
        self._keys[key] += size

    def take(self, key: Key, size: int) -> bool:
        """Hold something, if there is room and nobody waits for it."""
        if not self._fits(key, size) or any(waits == key for waits, _, _ in self._waiting):
            return False
        self.add(key, size)
        return True

    def give(self, key: Key, size: int) -> None:
        """It is held no longer."""
        if not size:
            return
        self.held -= size
        self._keys[key] -= size
        if self._keys[key] <= 0:
            del self._keys[key]
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        """Let in who waits, the first first; behind one whose key is full come those of others."""
        behind: deque[tuple[Key, int, asyncio.Future[None]]] = deque()
        full: set[Key] = set()
        while self._waiting and self.held < self.most:
            key, size, future = self._waiting.popleft()
            if future.done():
                continue
            if key not in full and self._fits(key, size):
                self.add(key, size)
                future.set_result(None)
                continue
            behind.append((key, size, future))
            if self.of(key) + size <= self._limit(key):
                break  # it is the first that all have to wait for
            full.add(key)
        self._waiting.extendleft(reversed(behind))

    async def wait(self, key: Key, size: int, *, patience: bool = False) -> None:
        """Hold something as soon as there is room.

        Args:
            patience: wait for however long it takes.

        Raises:
            Unavailable: there was none for `held_wait` seconds.
        """
        if self.take(key, size):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, size, future))
        try:
            async with asyncio.timeout(None if patience else self._patience):
                await future
        except TimeoutError:
            if future.done() and not future.cancelled():
                return  # in the last moment
            raise Unavailable(
                f"{size} bytes found no room for {self._patience:g} s among what is held for slow callers; try again "
                "later (settings held_bytes, held_bytes_per_key)",
                headers={"retry-after": "5"},
            ) from None
        except BaseException:
            if future.done() and not future.cancelled():
                self.give(key, size)
            raise
        finally:
            future.cancel()

    async def read(self, key: Key, read: Callable[[], Awaitable[T]], size: Callable[[T], int]) -> tuple[T, int]:
        """Read something whose size is not known before, and hold it; what finds no room is read again once there is,
        however long that takes.

        Returns:
            It, and how many bytes are held for it.
        """
        async with self.reading:
            got = await read()
            held = size(got)
            if held <= FREE:
                return got, 0
            if self.take(key, held):
                return got, held
            del got
        await self.wait(key, held, patience=True)
        try:
            async with self.reading:
                return await read(), held
        except BaseException:
            self.give(key, held)
            raise
