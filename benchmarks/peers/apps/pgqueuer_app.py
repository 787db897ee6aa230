"""The worker of pgqueuer, on PostgreSQL, started from Python."""

from __future__ import annotations

import asyncio
import json
import os

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.models import Job


async def main() -> None:
    worker = PgQueuer.from_asyncpg_connection(await asyncpg.connect(os.environ["BENCH_POSTGRES"]))

    @worker.entrypoint("add")
    async def add(job: Job) -> dict[str, int]:
        return {"y": json.loads(job.payload)["x"] + 1}

    await worker.run(batch_size=32, max_concurrent_tasks=64)


if __name__ == "__main__":
    asyncio.run(main())
