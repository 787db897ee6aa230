"""FastAPI before Celery, whose calls block: its endpoints run in threads."""

from __future__ import annotations

from typing import Any

from celery_app import add
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Input(BaseModel):
    x: int
    pad: str


@app.post("/run")
def run(input: Input) -> Any:
    return add.delay(input.model_dump()).get(timeout=20)


@app.post("/submit")
def submit(input: Input) -> dict[str, str]:
    return {"id": add.delay(input.model_dump()).id}
