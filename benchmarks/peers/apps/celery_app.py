"""The task of Celery, with Redis as its broker and its result backend."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

URL = f"redis://127.0.0.1:{os.environ['BENCH_REDIS']}/0"
app = Celery("celery_app", broker=URL, backend=URL)


@app.task
def add(work: dict[str, Any]) -> dict[str, int]:
    return {"y": work["x"] + 1}
