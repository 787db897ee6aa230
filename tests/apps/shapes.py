"""Methods behind decorators, and answers of every shape."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Annotated, Any

import numpy
from fastapi import Header, HTTPException
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

import pondage


class Input(BaseModel):
    count: int = Field(2, ge=0, alias="howMany")


class Output(BaseModel):
    file_name: str = Field(alias="fileName")


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **more: Any) -> Any:
        print("called")
        return function(*args, **more)

    return wrapper


class Later:
    """An object that is called, and answers later."""

    async def __call__(self, app: Any, input: Input) -> list[int]:
        return [input.count]


async def times(app: Any, factor: int, input: Input) -> int:
    return factor * input.count


class Shapes(pondage.App, name="acme/shapes"):
    later = pondage.endpoint("/object")(Later())
    partial = pondage.endpoint("/partial")(functools.partialmethod(times, 3))

    @pondage.endpoint("/wrapped")
    @logged
    @logged
    async def wrapped(self, input: Input) -> Output:
        return Output(fileName="a" * input.count)

    @pondage.endpoint("/wrapped-sync")
    @logged
    def wrapped_sync(self, input: Input) -> dict[str, Any]:
        return {"n": numpy.int64(input.count)}

    @pondage.endpoint("/wrapped-generator")
    @logged
    def wrapped_generator(self, input: Input) -> Iterator[int]:
        yield from range(input.count)

    @pondage.endpoint("/wrapped-stream")
    @logged
    async def wrapped_stream(self, input: Input) -> AsyncIterator[int]:
        for i in range(input.count):
            yield i

    @pondage.endpoint("/response")
    def response(self, input: Input):  # type: ignore[no-untyped-def]
        async def events() -> AsyncIterator[bytes]:
            for i in range(input.count):
                yield f'data: {{"é": {i}}}\r\n\r'.encode()
                yield b"\n"
            yield 'data: "ü'.encode()[:-1]
            yield 'ü"'.encode()[1:]

        return StreamingResponse(events(), media_type="text/event-stream")

    @pondage.endpoint("/words")
    async def words(self, input: Input):  # type: ignore[no-untyped-def]
        return StreamingResponse(iter(["a "] * input.count), media_type="text/plain")

    @pondage.endpoint("/sometimes")
    def sometimes(self, input: Input):  # type: ignore[no-untyped-def]
        return StreamingResponse(iter([])) if input.count > 5 else {"count": input.count}

    @pondage.endpoint("/typed-generator")
    def typed_generator(self, input: Input) -> list[int]:
        return (i for i in range(input.count))  # type: ignore[return-value]

    @pondage.endpoint("/loose-generator")
    def loose_generator(self, input: Input):  # type: ignore[no-untyped-def]
        return (i for i in range(input.count))

    @pondage.endpoint("/promised")
    def promised(self, input: Input) -> Awaitable[Output]:
        return self.wrapped(input)

    @pondage.endpoint("/own-mistake")
    def own_mistake(self, input: Input) -> int:
        return Input.model_validate({"howMany": "not the caller's"}).count

    @pondage.endpoint("/headers")
    def headers(self, x_token: Annotated[str, Header(min_length=3)]) -> str:
        return x_token

    @pondage.endpoint("/refused")
    async def refused(self, input: Input) -> str:
        raise HTTPException(422, {"code": input.count}, headers={"WWW-Authenticate": "Basic", "Content-Type": "x/y"})

    @pondage.endpoint("/said")
    def said(self, input: Input) -> str:
        raise pondage.AppException([numpy.int64(1), {"why": None}], 402, headers={"X-Price": "3"})

    @pondage.endpoint("/field")
    def field(self, units: float) -> str:
        raise pondage.FieldException("units", "no", billable_units=units if units % 1 else int(units))

    @pondage.endpoint("/batch", max_batch_size=3)
    @logged
    async def batch(self, inputs: list[Input]) -> list[int]:
        return [len(inputs)] * len(inputs)
