"""FastAPI before arq."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool
from arq_app import REDIS
from fastapi import FastAPI
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.pool = await create_pool(REDIS)
    yield


app = FastAPI(lifespan=lifespan)


class Input(BaseModel):
    x: int
    pad: str


@app.post("/run")
async def run(input: Input) -> Any:
    job = await app.state.pool.enqueue_job("add", input.model_dump())
    return await job.result(timeout=20)


@app.post("/submit")
async def submit(input: Input) -> dict[str, str]:
    return {"id": (await app.state.pool.enqueue_job("add", input.model_dump())).job_id}
