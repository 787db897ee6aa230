"""An app that does nothing but what its types say: its description can be taken at its word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, Field

import pondage


class Size(BaseModel):
    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)


class Input(BaseModel):
    prompt: Annotated[str, Field(min_length=1, max_length=200)]
    size: Size | Literal["square", "wide"] = "square"
    seed: int | None = Field(default=None, ge=0, lt=2**32)
    tags: list[str] = Field(default=[], max_length=5)


class Output(BaseModel):
    prompt: str
    pixels: int
    seed: int | None


class Typed(pondage.App, name="acme/typed", max_multiplexing=64):
    @pondage.endpoint("/")
    async def run(self, input: Input) -> Output:
        """What the input asks for."""
        pixels = input.size.width * input.size.height if isinstance(input.size, Size) else 512
        return Output(prompt=input.prompt, pixels=pixels, seed=input.seed)

    @pondage.endpoint("/plain")
    def plain(self, words: list[str], times: Annotated[int, Field(ge=1, le=3)] = 1) -> list[str]:
        return words * times

    @pondage.endpoint("/count")
    def count(self, upto: Annotated[int, Field(ge=0, le=5)] = 3) -> Iterator[int]:
        yield from range(upto)
