"""Realtime endpoints of fal's shapes, and behind decorators."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy
from fastapi import HTTPException
from pydantic import BaseModel, Field

import pondage


class Number(BaseModel):
    n: float
    alone: bool = False

    def can_batch(self, other: Number, size: int) -> bool:
        return not other.alone


class Answer(BaseModel):
    all_of: list[float] = Field(alias="allOf")


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **more: Any) -> Any:
        return function(*args, **more)

    return wrapper


class Sessions(pondage.App, name="acme/sessions", max_multiplexing=1):
    @pondage.realtime("/several", max_batch_size=3)
    def several(self, input: Number, *inputs: Number) -> Answer:
        return Answer(allOf=[number.n for number in (input, *inputs)])

    @pondage.realtime("/several/async", max_batch_size=3)
    @logged
    async def several_async(self, *inputs: Number) -> Answer:
        return Answer(allOf=[number.n for number in inputs])

    @pondage.realtime("/one", max_batch_size=3)
    def one(self, input: Number) -> Answer:
        return Answer(allOf=[input.n])

    @pondage.realtime("/encoded", encode_message=lambda value: json.dumps([type(value).__name__, value]))
    def encoded(self, input: Number) -> Answer:
        return Answer(allOf=[input.n])

    @pondage.realtime("/modal", input_modal=Number, output_modal=Answer)
    def modal(self, input):  # type: ignore[no-untyped-def]
        return {"allOf": [input.n, numpy.float32(0.5)]}

    @pondage.realtime("/refuses")
    @logged
    async def refuses(self, input: Number) -> Answer:
        raise HTTPException(402, {"code": input.n})

    @pondage.realtime("/own-mistake")
    def own_mistake(self, input: Number) -> Answer:
        return Answer.model_validate({"allOf": "not the caller's"})

    @pondage.realtime("/decorated")
    @logged
    async def decorated(self, input: Number) -> AsyncIterator[Number]:
        for i in range(int(input.n)):
            yield Number(n=i)

    @pondage.realtime("/decorated/sync")
    @logged
    def decorated_sync(self, input: Number) -> Iterator[Number]:
        for i in range(int(input.n)):
            yield Number(n=i)

    @pondage.realtime("/in")
    @logged
    async def take(self, numbers: AsyncIterator[Number]) -> Answer:
        return Answer(allOf=[number.n async for number in numbers])
