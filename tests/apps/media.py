"""An app whose endpoints take pictures, in every way in which an endpoint can be written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from pydantic import BaseModel

import penstock


class Input(BaseModel):
    image: penstock.Image
    masks: list[penstock.Image] = []


class Small(penstock.Image):
    max_pixels = 100


class Media(penstock.App, name="acme/media", max_multiplexing=8):
    """Says how wide a picture is; `/calls` counts how often the author's code was reached."""

    def setup(self) -> None:
        self.calls = 0

    def _width(self, image: penstock.Image) -> int:
        self.calls += 1
        width, _ = image.to_pil().size
        return width

    @penstock.endpoint("/calls")
    def count(self) -> int:
        return self.calls

    @penstock.endpoint("/sync")
    def sync(self, input: Input) -> list[int]:
        return [self._width(image) for image in (input.image, *input.masks)]

    @penstock.endpoint("/async")
    async def asynchronous(self, image: penstock.Image) -> int:
        return self._width(image)

    @penstock.endpoint("/generator")
    def generator(self, image: penstock.Image) -> Iterator[int]:
        yield self._width(image)

    @penstock.endpoint("/generator/async")
    async def generator_async(self, image: penstock.Image) -> AsyncIterator[int]:
        yield self._width(image)

    @penstock.endpoint("/batch", max_batch_size=4)
    def batch(self, image: list[penstock.Image]) -> list[int]:
        return [self._width(one) for one in image]

    @penstock.endpoint("/small")
    def small(self, image: Small) -> int:
        return self._width(image)

    @penstock.endpoint("/film")
    def film(self, video: penstock.Video) -> int:
        self.calls += 1
        return len(video.as_bytes())

    @penstock.endpoint("/made")
    def made(self) -> penstock.File:
        return penstock.File.from_bytes(b"made by an app", "text/plain", "made.txt")
