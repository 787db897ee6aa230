"""FastAPI before pgqueuer, which keeps a job's state and not its result."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI
from pgqueuer.core.completion import CompletionWatcher
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.queries import Queries
from pydantic import BaseModel

DATABASE = os.environ["BENCH_POSTGRES"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(DATABASE, min_size=4, max_size=10) as pool:
        app.state.queries = Queries(AsyncpgPoolDriver(pool))
        driver = AsyncpgDriver(await asyncpg.connect(DATABASE))
        async with CompletionWatcher(driver, queries=Queries(driver)) as app.state.watcher:
            yield


app = FastAPI(lifespan=lifespan)


class Input(BaseModel):
    x: int
    pad: str


@app.post("/run")
async def run(input: Input) -> dict[str, int]:
    (job,) = await app.state.queries.enqueue("add", input.model_dump_json().encode())
    await app.state.watcher.wait_for(job)
    return {"y": input.x + 1}


@app.post("/submit")
async def submit(input: Input) -> dict[str, int]:
    return {"id": (await app.state.queries.enqueue("add", input.model_dump_json().encode()))[0]}
