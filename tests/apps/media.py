"""An app whose endpoints take pictures, in every way in which an endpoint can be written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from pydantic import BaseModel

import pondage


class Input(BaseModel):
    image: pondage.Image
    masks: list[pondage.Image] = []


class Small(pondage.Image):
    max_pixels = 100


class Media(pondage.App, name="acme/media", max_multiplexing=8):
    """Says how wide a picture is; `/calls` counts how often the author's code was reached."""

    def setup(self) -> None:
        self.calls = 0

    def _width(self, image: pondage.Image) -> int:
        self.calls += 1
        width, _ = image.to_pil().size
        return width

    @pondage.endpoint("/calls")
    def count(self) -> int:
        return self.calls

    @pondage.endpoint("/sync")
    def sync(self, input: Input) -> list[int]:
        return [self._width(image) for image in (input.image, *input.masks)]

    @pondage.endpoint("/async")
    async def asynchronous(self, image: pondage.Image) -> int:
        return self._width(image)

    @pondage.endpoint("/generator")
    def generator(self, image: pondage.Image) -> Iterator[int]:
        yield self._width(image)

    @pondage.endpoint("/generator/async")
    async def generator_async(self, image: pondage.Image) -> AsyncIterator[int]:
        yield self._width(image)

    @pondage.endpoint("/batch", max_batch_size=4)
    def batch(self, image: list[pondage.Image]) -> list[int]:
        return [self._width(one) for one in image]

    @pondage.endpoint("/small")
    def small(self, image: Small) -> int:
        return self._width(image)

    @pondage.endpoint("/film")
    def film(self, video: pondage.Video) -> int:
        self.calls += 1
        return len(video.as_bytes())

    @pondage.endpoint("/made")
    def made(self) -> pondage.File:
        return pondage.File.from_bytes(b"made by an app", "text/plain", "made.txt")
