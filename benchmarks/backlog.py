"""A data folder with a backlog, made without a server, and what the queue's verbs cost on it.

python -m benchmarks.backlog FOLDER QUEUED KEYS FINISHED: makes it.
python -m benchmarks.backlog FOLDER: opens the queue on it and prints the microseconds of each verb as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from pondage.clock import SystemClock
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.interface import Filter, NewRequest
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.queue.sqlite.order import STEP
from pondage.queue.sqlite.rows import SQL, Insert, columns
from pondage.settings import Settings
from pondage.wire.events import Outcome
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind

APP = "bench/held"
INPUT = b'{"x": 41, "pad": "' + b"p" * 200 + b'"}'
_AT_ONCE = 20_000
"""Rows in one transaction."""
_TIMES = 300
"""Samples of each verb."""
_OK = Outcome(OutcomeKind.OK, 200, b'{"y": 42}', {"content-type": "application/json"}, inference_time=0.01)


def request(caller: str, now: float) -> NewRequest:
    """As a caller would bring it."""
    return NewRequest(new_request_id(), APP, "/", "call", INPUT, now, caller=caller, expected=None)


async def make(folder: Path, queued: int, keys: int, finished: int) -> None:
    """Fill a new folder: so many requests that have ended, then so many that wait, evenly of so many keys."""
    database = await SqliteDatabase.open(folder)
    now = time.time()
    numbers = itertools.count(1)

    def of(count: int, age: float) -> Iterator[Insert]:
        for n in range(count):
            yield Insert(request(f"key{n % keys}", now - age), next(numbers), n // keys * STEP, None, 0, now - age)

    def end(cursor: Any, new: Insert) -> None:
        cursor.execute(SQL["insert_finished"], columns(new.cold(_OK, new.at + 0.01)))

    def wait(cursor: Any, new: Insert) -> None:
        cursor.execute(SQL["insert"], columns(new.hot()))
        cursor.execute(SQL["insert_input"], (new.seq, new.request.input))

    for rows, put in ((of(finished, 3600.0), end), (of(queued, 60.0), wait)):
        while batch := list(itertools.islice(rows, _AT_ONCE)):
            await database.write(lambda cursor, put=put, batch=batch: [put(cursor, new) for new in batch] and None)
    await database.close()


async def costs(folder: Path) -> dict[str, float]:
    """Median microseconds of each verb, from its call to its answer; `open` is the seconds until the queue is there."""
    clock, settings = SystemClock(), Settings(retention=30 * 86_400.0)
    database = await SqliteDatabase.open(folder)
    began = time.perf_counter()
    queue = await SqliteQueue.open(database, clock, settings, News())
    found = {"open": time.perf_counter() - began}
    mine = [request("key1", clock.wall()) for _ in range(_TIMES)]
    for new in mine:
        await queue.submit(new).receipt
    ids = iter([new.id for new in mine])
    verbs: dict[str, Callable[[], Awaitable[Any]]] = {
        "submit": lambda: queue.submit(request("key1", clock.wall())).receipt,
        "status": lambda: queue.get(mine[0].id),
        "list": lambda: queue.page(Filter(limit=50)),
        "list of a key": lambda: queue.page(Filter(limit=1, caller="key7")),
        "list of what failed": lambda: queue.page(Filter(limit=50, outcome=OutcomeKind.ERROR)),
        "claim": lambda: queue.claim(APP, ["runner"]),
        "cancel": lambda: queue.cancel(next(ids)),
    }
    for name, verb in verbs.items():
        times = []
        for _ in range(_TIMES):
            began = time.perf_counter()
            await verb()
            times.append(time.perf_counter() - began)
        found[name] = statistics.median(times) * 1e6
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        queue.work_ahead(APP, 0, "key1")
        times.append(time.perf_counter() - began)
    found["quote"] = statistics.median(times) * 1e6
    await queue.close()
    await database.close()
    return found


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if len(sys.argv) > 2:
        asyncio.run(make(where, *map(int, sys.argv[2:])))
    else:
        print(json.dumps(asyncio.run(costs(where))))
