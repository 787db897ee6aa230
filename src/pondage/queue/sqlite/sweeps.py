"""What is done every second: limits enforced, scheduled requests let go, what is old dropped; a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pondage.clock import Clock, SteadyWall
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.interface import Swept
from pondage.queue.sqlite import upkeep
from pondage.queue.sqlite.memory import Memory, decide, resolve
from pondage.queue.sqlite.order import step_of
from pondage.queue.stored import unpack_head
from pondage.settings import Settings


class Sweeps:
    """`steady` is what deleting goes by; start limits, deadlines and start times go by a clock of their own, which does
    not jump ahead either, and begins with the machine's."""

    def __init__(
        self, database: SqliteDatabase, clock: Clock, settings: Settings, memory: Memory, steady: SteadyWall
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._memory = memory
        self._steady = steady
        self._due = SteadyWall(clock)
        self._loop = asyncio.get_running_loop()

    async def sweep(self) -> Swept:
        """See `pondage.queue.interface.Queue.sweep`."""
        due, now, kept = self._due.now(), self._clock.wall(), self._steady.now()
        swept: list[str] = []
        released: set[str] = set()

        async def expire() -> int:
            expired = await self._expire(due)
            swept.extend(one.request_id for one in expired)
            return len(expired)

        async def release() -> int:
            found, outlived = await self._database.read(lambda c: upkeep.due(c, due, kept))
            released.update(await self._release(found))
            if outlived:
                forgotten, size = await self._database.write(lambda c: upkeep.forget_outlived(c, kept), lazy=True)
                self._memory.kept_bytes -= size
                return max(forgotten, len(found))
            return len(found)

        async def drop() -> int:
            excess = self._memory.kept_bytes - self._settings.retention_bytes
            retention = self._settings.retention
            count, size = await self._database.write(lambda c: upkeep.drop_old(c, kept, retention, excess), lazy=True)
            self._memory.kept_bytes -= size
            return count

        await _in_parts(expire)
        await _in_parts(release)
        dropped = await _in_parts(drop)
        if self._memory.private:
            forgotten, size = await self._database.write(lambda c: upkeep.forget_private(c, now), lazy=True)
            self._memory.private.difference_update(forgotten)
            self._memory.kept_bytes -= size
        return Swept(swept, dropped, frozenset(released))

    async def _release(self, found: list[upkeep.Due]) -> frozenset[str]:
        """Put scheduled requests whose time has come into their lines; the apps whose lines have grown."""
        if not found:
            return frozenset()
        places: list[tuple[upkeep.Due, int]] = []
        for one in found:
            head = unpack_head(one.head)
            line = self._memory.line(one.app)
            places.append((one, line.enter(head.priority, one.caller, step_of(head.expected))))

        def leave(released: set[int]) -> None:
            for one, rank in places:
                if one.seq not in released:
                    self._memory.line(one.app).leave(rank, one.caller)
                else:
                    self._memory.on_schedule(one.caller, -1)

        def settled(released: set[int], failed: bool) -> None:
            for one, rank in places:
                if one.seq in released and failed:
                    self._memory.line(one.app).leave(rank, one.caller)
                    self._memory.on_schedule(one.caller, 1)
                elif one.seq in released:
                    self._memory.news.changed(one.id)

        ranks = [(one.seq, rank) for one, rank in places]
        await decide(
            self._database,
            lambda cursor: upkeep.release(cursor, ranks),
            lambda released: leave(released or set()),
            settled,
        )
        return frozenset(one.app for one, _ in places)

    def _expire(self, now: float) -> asyncio.Future[list[upkeep.Expired]]:
        future: asyncio.Future[list[upkeep.Expired]] = self._loop.create_future()

        def early(expired: list[upkeep.Expired]) -> None:
            for _, left, _ in expired:
                self._memory.leaves(left)

        def settled(expired: list[upkeep.Expired] | None, error: BaseException | None) -> None:
            for request_id, left, outcome in expired or ():
                if error is None:
                    self._memory.ended(request_id, left, outcome)
                else:
                    self._memory.stays(left)
            resolve(future, expired, error)

        self._database.post(lambda cursor: upkeep.expire(cursor, now), settled, early=early)
        return future


async def _in_parts(part: Callable[[], Awaitable[int]]) -> int:
    """Do a part of something until one finds less than it may take; how many it found in all."""
    count = 0
    for _ in range(upkeep.PARTS):
        found = await part()
        count += found
        if found < upkeep.BATCH:
            break
        await asyncio.sleep(upkeep.BREATH)
    return count
