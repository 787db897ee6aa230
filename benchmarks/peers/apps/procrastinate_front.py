"""FastAPI before procrastinate, which keeps a job's state and not its result: whoever waits asks for the state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from procrastinate.jobs import Status
from procrastinate_app import add
from procrastinate_app import app as jobs
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with jobs.open_async():
        yield


app = FastAPI(lifespan=lifespan)


class Input(BaseModel):
    x: int
    pad: str


@app.post("/run")
async def run(input: Input) -> dict[str, int]:
    job = await add.defer_async(x=input.x, pad=input.pad)
    while await jobs.job_manager.get_job_status_async(job) != Status.SUCCEEDED:
        await asyncio.sleep(0.01)
    return {"y": input.x + 1}


@app.post("/submit")
async def submit(input: Input) -> dict[str, int]:
    return {"id": await add.defer_async(x=input.x, pad=input.pad)}
