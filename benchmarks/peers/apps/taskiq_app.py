"""The broker and the task of taskiq, over Redis streams (the only one of its Redis brokers that acknowledges)."""

from __future__ import annotations

import os
from typing import Any

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

URL = f"redis://127.0.0.1:{os.environ['BENCH_REDIS']}/0"
broker = RedisStreamBroker(URL).with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=600))


@broker.task
async def add(work: dict[str, Any]) -> dict[str, int]:
    return {"y": work["x"] + 1}
