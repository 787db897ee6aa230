"""What the engine keeps in memory beside the tables: the lines, who runs, how much is kept. Rebuilt at open."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from pondage.database.interface import Cursor
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.news import News
from pondage.queue.sqlite.moves import LeftRequest
from pondage.queue.sqlite.order import Line
from pondage.queue.sqlite.upkeep import QueueAtOpen
from pondage.wire.events import Outcome


class Memory:
    """Touched on the loop only; early results and commits change it in the order in which they were written."""

    def __init__(self, found: QueueAtOpen, news: News) -> None:
        self.lines = found.lines
        self.last_seq = found.last_seq
        self.kept_bytes = found.kept_bytes
        self.seat = found.seat
        self.running = found.running
        """Running requests and their apps."""
        self.private = found.private
        """Requests whose input and output are to be dropped (`NewRequest.store_io`), and have not been."""
        self.scheduled = Counter[str](found.scheduled)
        """How many requests of each caller wait for their time."""
        self.brought = Counter[str](found.brought)
        """Bytes of each caller's inputs whose requests have not ended."""
        self.news = news

    def line(self, app: str) -> Line:
        line = self.lines.get(app)
        if line is None:
            line = self.lines[app] = Line()
        return line

    def waiting(self, caller: str) -> int:
        """How many requests of a caller wait, whatever for."""
        in_line = sum(line.waiting(caller) for line in self.lines.values() if line.queued)
        return in_line + self.scheduled[caller]

    def came(self, caller: str, size: int) -> None:
        """A request with an input of so many bytes is here."""
        if size:
            self.brought[caller] += size

    def went(self, caller: str, size: int) -> None:
        """It has ended, or was not written after all."""
        if size:
            self.brought[caller] -= size
            if not self.brought[caller]:
                del self.brought[caller]

    def on_schedule(self, caller: str, change: int) -> None:
        """One request more, or less, waits for its time."""
        self.scheduled[caller] += change
        if not self.scheduled[caller]:
            del self.scheduled[caller]

    def started(self, request_id: str, app: str) -> None:
        self.running[request_id] = app
        self.line(app).running += 1

    def stopped(self, request_id: str) -> None:
        """A request runs no more. Safe to call again."""
        app = self.running.pop(request_id, None)
        if app is not None:
            self.lines[app].running -= 1

    def leaves(self, left: LeftRequest) -> None:
        """Before the commit: a request has ended from outside; if it waited, its place is free."""
        if left.waited:
            self.line(left.app).leave(left.rank, left.caller)
        elif left.scheduled:
            self.on_schedule(left.caller, -1)

    def stays(self, left: LeftRequest) -> None:
        """It has not, after all: the commit failed."""
        if left.waited:
            self.line(left.app).back(left.rank, left.caller)
        elif left.scheduled:
            self.on_schedule(left.caller, 1)

    def ended(self, request_id: str, left: LeftRequest, outcome: Outcome) -> None:
        """An outcome was committed."""
        self.stopped(request_id)
        self.went(left.caller, left.brought)
        self.kept_bytes += left.bytes
        self.news.ended(request_id, outcome)


def resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """Settle a future that may have been cancelled meanwhile."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        # Seen: whoever has lost interest meanwhile shall not have it reported by the garbage collector.
        future.exception()


async def decide(
    database: SqliteDatabase,
    operation: Callable[[Cursor], Any],
    early: Callable[[Any], None],
    settled: Callable[[Any, bool], None],
) -> Any:
    """Write something that changes what memory holds: `early(result)` is called before the commit, `settled(result,
    failed)` after it. Where the operation itself failed, or nobody may be told early, there is only `early(None)`:
    nothing was done."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    told = False

    def soon(result: Any) -> None:
        nonlocal told
        told = True
        early(result)

    def committed(result: Any, error: BaseException | None) -> None:
        if told:
            settled(result, error is not None)
        else:
            early(None)
        resolve(future, result, error)

    database.post(operation, committed, early=soon)
    return await future
