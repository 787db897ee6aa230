"""FastAPI before taskiq."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from taskiq_app import add, broker


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await broker.startup()
    yield
    await broker.shutdown()


app = FastAPI(lifespan=lifespan)


class Input(BaseModel):
    x: int
    pad: str


@app.post("/run")
async def run(input: Input) -> Any:
    task = await add.kiq(input.model_dump())
    return (await task.wait_result(timeout=20)).return_value


@app.post("/submit")
async def submit(input: Input) -> dict[str, str]:
    return {"id": (await add.kiq(input.model_dump())).task_id}
