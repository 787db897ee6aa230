"""FastAPI before huey, whose calls block: its endpoints run in threads."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from huey_app import add
from pydantic import BaseModel

app = FastAPI()


class Input(BaseModel):
    x: int
    pad: str


@app.post("/run")
def run(input: Input) -> Any:
    return add(input.model_dump()).get(blocking=True, timeout=20, max_delay=0.02)


@app.post("/submit")
def submit(input: Input) -> dict[str, str]:
    return {"id": add(input.model_dump()).id}
