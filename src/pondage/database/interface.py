"""What the engines that keep tables may ask of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Cursor(Protocol):
    """One SQL statement at a time; rows are tuples."""

    notes: list[Any]
    """On the writer's: what the operations of a transaction leave to be written at its end, in one piece."""

    def execute(self, sql: str, bindings: tuple[Any, ...] | dict[str, Any] = ()) -> Any:
        """Run one statement; iterate over the answer for its rows."""
        ...


class Database(Protocol):
    """A database with one writer, whose operations are committed in groups."""

    def write(
        self,
        operation: Callable[[Cursor], T],
        *,
        early: Callable[[T], None] | None = None,
        lazy: bool = False,
    ) -> asyncio.Future[T]:
        """Run `operation` in the next transaction; the future resolves after the commit is on disk.

        The operation runs in the writer's thread, together with others in one transaction, and may be run again from
        the start if another operation of its group fails: it must touch nothing but the cursor. `early(result)` is
        called on the event loop before the commit. A `lazy` operation waits for company: it does not start a
        transaction by itself before a few milliseconds have passed. If it raises, only its own effect is undone.

        Raises (from the future):
            StorageFull: the disk is full. Whatever the operation raises.
        """
        ...

    async def read(self, operation: Callable[[Cursor], T]) -> T:
        """Run `operation` on a reading connection, in a thread, on one consistent snapshot of committed data."""
        ...
