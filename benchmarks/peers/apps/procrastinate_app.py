"""The task of procrastinate, on PostgreSQL."""

from __future__ import annotations

import os

import procrastinate

connector = procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_POSTGRES"], max_size=10)
app = procrastinate.App(connector=connector, import_paths=["procrastinate_app"])


@app.task(name="add")
async def add(x: int, pad: str) -> dict[str, int]:
    return {"y": x + 1}
