"""The worker of arq, with its default settings but as many jobs at once as there are callers."""

from __future__ import annotations

import os
from typing import Any

from arq.connections import RedisSettings

REDIS = RedisSettings("127.0.0.1", int(os.environ["BENCH_REDIS"]))


async def add(context: dict[str, Any], work: dict[str, Any]) -> dict[str, int]:
    return {"y": work["x"] + 1}


class WorkerSettings:
    functions = [add]
    redis_settings = REDIS
    max_jobs = 64
