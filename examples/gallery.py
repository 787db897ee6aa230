"""One endpoint for each control, medium, state and failure: a storybook of the pages, and what their tests run on.

    pondage serve examples/gallery.py

It needs no model and nothing beside Pondage.
"""

from __future__ import annotations

import asyncio
import math
import os
import struct
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr

import pondage


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float = Field(1.0, gt=0, le=10, description="In centimetres.")


class Box(BaseModel):
    kind: Literal["box"]
    width: int = Field(ge=1)
    height: int = 3


class Size(BaseModel):
    width: int = Field(512, ge=64, le=4096, multiple_of=8)
    height: int = Field(512, ge=64, le=4096, multiple_of=8)


class Person(BaseModel):
    name: str = Field(min_length=1, max_length=40)
    age: int | None = Field(None, ge=0, le=150)


class Branch(BaseModel):
    label: str
    parts: list[Branch] = []


class Texts(BaseModel):
    prompt: str = Field(description="A longer text.", examples=["a fox in snow", "a boat at dawn"])
    short: str = Field("short", max_length=20)
    pattern: str = Field("ab12", pattern="^[a-z]{2}[0-9]{2}$")
    secret: SecretStr = SecretStr("")
    address: str = Field("https://example.org", json_schema_extra={"format": "uri"})
    colour: str = Field("#0b6e8f", json_schema_extra={"format": "color"})
    day: str = Field("2026-01-31", json_schema_extra={"format": "date"})
    old: str = Field("", deprecated=True)


class Numbers(BaseModel):
    whole: int = 3
    steps: int = Field(28, ge=1, le=50)
    strength: float = Field(0.5, ge=0, le=1)
    open_ended: float = Field(0.1, gt=0, lt=1, multiple_of=0.05)
    seed: int | None = Field(None, ge=0, le=2**64 - 1)
    huge: int = 12345678901234567890


class Choices(BaseModel):
    few: Literal["photo", "film", "ink"] = "photo"
    some: Literal["a", "b", "c", "d", "e", "f", "g"] = "a"
    many: Literal[
        "Amsterdam", "Berlin", "Cairo", "Delhi", "Erfurt", "Fez", "Ghent", "Havana", "Izmir", "Jena", "Kyoto", "Lima",
        "Minsk", "Nairobi",
    ] = "Berlin"  # fmt: skip
    mixed: Literal[1, "two", True, None] = 1
    on: bool = True
    undecided: bool


class Unions(BaseModel):
    shape: Annotated[Circle | Box, Field(discriminator="kind")]
    size: Size | Literal["square", "wide", "tall"] = "square"
    number_or_text: int | str = 1
    maybe: str | None = None
    maybe_person: Person | None = None


class Lists(BaseModel):
    tags: list[str] = Field(["one"], max_length=5)
    people: list[Person] = []
    point: tuple[float, float] = (0.0, 0.0)
    scores: dict[str, int] = {"a": 1}
    tree: Branch | None = None
    nested: list[list[int]] = []
    anything: object = None


class Files(BaseModel):
    picture: pondage.Image | None = None
    pictures: list[pondage.Image] = []
    mask_url: str | None = None
    film: pondage.Video | None = None
    sound: pondage.Audio | None = None
    any_file: pondage.File | None = None


class Everything(BaseModel):
    """All of the above at once: about forty controls."""

    texts: Texts
    numbers: Numbers = Numbers()
    choices: Choices
    unions: Unions
    lists: Lists = Lists()
    files: Files = Files()


class Controls(pondage.App, name="gallery/controls", max_multiplexing=8):
    """What a form can ask for. Each endpoint answers with what it got."""

    @pondage.endpoint("/")
    async def everything(self, input: Everything) -> dict[str, object]:
        """Every control at once."""
        return input.model_dump(mode="json")

    @pondage.endpoint("/texts")
    async def texts(self, input: Texts) -> dict[str, object]:
        return input.model_dump(mode="json")

    @pondage.endpoint("/numbers")
    async def numbers(self, input: Numbers) -> dict[str, object]:
        return input.model_dump(mode="json")

    @pondage.endpoint("/choices")
    async def choices(self, input: Choices) -> dict[str, object]:
        return input.model_dump(mode="json")

    @pondage.endpoint("/unions")
    async def unions(self, input: Unions) -> dict[str, object]:
        return input.model_dump(mode="json")

    @pondage.endpoint("/lists")
    async def lists(self, input: Lists) -> dict[str, object]:
        return input.model_dump(mode="json")

    @pondage.endpoint("/files")
    def files(self, input: Files) -> dict[str, object]:
        """Answers with the size of each file."""
        given = {name: value for name, value in input if isinstance(value, pondage.File)}
        return {name: value.local_path.stat().st_size for name, value in given.items()} | {
            "pictures": [one.local_path.stat().st_size for one in input.pictures]
        }

    @pondage.endpoint("/anything")
    async def anything(self, input: dict[str, Any]) -> dict[str, Any]:
        """Any members, of any kind."""
        return input


def png(width: int, height: int, shade: float = 0.0) -> bytes:
    """A picture made by hand: rings of colour."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            distance = math.hypot(x - width / 2, y - height / 2) / max(width, height)
            rows += bytes(int(127 + 127 * math.sin(distance * 18 + shade + turn)) for turn in (0.0, 2.1, 4.2))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def wav(seconds: float, pitch: float = 220.0) -> bytes:
    """A sound that swells and fades."""
    rate = 16_000
    count = int(rate * seconds)
    samples = (
        int(20_000 * math.sin(math.pi * n / count) * math.sin(2 * math.pi * pitch * n / rate)) for n in range(count)
    )
    data = b"".join(struct.pack("<h", one) for one in samples)
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data
    )


class Pictures(BaseModel):
    images: list[pondage.Image]
    seed: int


class Media(pondage.App, name="gallery/media", max_multiplexing=8):
    """What an output can hold."""

    @pondage.endpoint("/")
    def pictures(
        self,
        prompt: str = "rings",
        steps: Annotated[int, Field(ge=1, le=50)] = 6,
        count: Annotated[int, Field(ge=1, le=8)] = 2,
        seed: int | None = None,
        pause: Annotated[float, Field(ge=0, le=5)] = 0.05,
    ) -> Pictures:
        """Pictures, with progress, log lines and a preview after each step."""
        chosen = seed if seed is not None else len(prompt)
        for step in range(steps):
            print(f"step {step + 1} of {steps}")
            pondage.current_request.progress(step + 1, steps, f"step {step + 1} of {steps}", preview=png(48, 36, step))
            time.sleep(pause)
        made = [pondage.Image.from_bytes(png(192, 144, chosen + n), format="png") for n in range(count)]
        return Pictures(images=made, seed=chosen)

    @pondage.endpoint("/sound")
    def sound(self, seconds: Annotated[float, Field(gt=0, le=10)] = 1.5) -> dict[str, pondage.Audio]:
        return {"audio": pondage.Audio.from_bytes(wav(seconds), content_type="audio/wav", file_name="tone.wav")}

    @pondage.endpoint("/file")
    def file(self, text: str = "hello", name: str = "hello.txt", content_type: str = "text/plain") -> pondage.File:
        return pondage.File.from_bytes(text.encode(), content_type=content_type, file_name=name)

    @pondage.endpoint("/text")
    async def text(self, words: Annotated[int, Field(ge=1, le=100_000)] = 120) -> dict[str, str]:
        return {"text": " ".join(f"word{n}" for n in range(words))}

    @pondage.endpoint("/large")
    async def large(self, megabytes: Annotated[int, Field(ge=1, le=40)] = 1) -> dict[str, list[str]]:
        return {"rows": ["x" * 1000] * (megabytes * 1000)}


class States(pondage.App, name="gallery/states", max_multiplexing=4, max_strikes=2):
    """How a request can go, and how it can end."""

    @pondage.endpoint("/")
    async def wait(self, seconds: Annotated[float, Field(ge=0, le=600)] = 2.0, steps: int = 4) -> dict[str, float]:
        """Works for a while, and says so."""
        for step in range(steps):
            print(f"step {step + 1}")
            pondage.current_request.progress(step + 1, steps)
            await asyncio.sleep(seconds / max(steps, 1))
        return {"seconds": seconds}

    @pondage.endpoint("/words")
    async def words(self, count: Annotated[int, Field(ge=1, le=5000)] = 20, pause: float = 0.05) -> AsyncIterator[str]:
        """Partial output, a word at a time."""
        for n in range(count):
            yield f"word{n} "
            await asyncio.sleep(pause)

    @pondage.endpoint("/numbers")
    def numbers(self, count: int = 5) -> Iterator[dict[str, int]]:
        for n in range(count):
            yield {"n": n}

    @pondage.endpoint("/logs")
    async def logs(self, lines: Annotated[int, Field(ge=0, le=200_000)] = 50) -> dict[str, int]:
        for n in range(lines):
            pondage.current_request.log(f"line {n}", "WARN" if n % 10 == 9 else "INFO")
        return {"lines": lines}

    @pondage.endpoint("/fail")
    async def fail(self, message: str = "no such checkpoint: /models/sd-9") -> dict[str, str]:
        raise RuntimeError(message)

    @pondage.endpoint("/refuse")
    async def refuse(self, status: Annotated[int, Field(ge=400, le=499)] = 418, message: str = "a teapot") -> None:
        raise pondage.AppException(message, status)

    @pondage.endpoint("/field")
    async def field(self, size: int = 0) -> None:
        raise pondage.FieldException("size", "is too small for this model")

    @pondage.endpoint("/retry")
    async def retry(self, until: int = 2) -> dict[str, int]:
        """Fails until the attempt that is asked for."""
        if (attempt := pondage.current_request.attempt) < until:
            raise pondage.Retry(f"attempt {attempt} is too early")
        return {"attempt": attempt}

    @pondage.endpoint("/die")
    def die(self, until: int = 2) -> dict[str, int]:
        """Takes its runner along, until the attempt that is asked for."""
        if (attempt := pondage.current_request.attempt) < until:
            time.sleep(0.2)
            os._exit(7)
        return {"attempt": attempt}


class Turn(BaseModel):
    text: str = "hello"
    number: int = 1
    image: bytes = b""


class Live(pondage.App, name="gallery/live"):
    """A session."""

    @pondage.realtime("/")
    async def echo(self, input: Turn) -> dict[str, object]:
        """Answers each message."""
        return {"text": input.text[::-1], "number": input.number + 1, "bytes": len(input.image)}
