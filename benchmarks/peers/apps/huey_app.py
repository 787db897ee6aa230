"""The task of huey, over Redis or over SQLite with an fsync for each commit."""

from __future__ import annotations

import os
from typing import Any

from huey import RedisHuey, SqliteHuey

if file := os.environ.get("BENCH_SQLITE"):
    huey = SqliteHuey("bench", filename=file, fsync=True)
else:
    huey = RedisHuey("bench", host="127.0.0.1", port=int(os.environ["BENCH_REDIS"]))


@huey.task()
def add(work: dict[str, Any]) -> dict[str, int]:
    return {"y": work["x"] + 1}
