"""An app with the interface of a text-to-image model, and no model: for tests of callers.

Input and output have the documented shape of `fal-ai/flux/dev`; the pictures are real PNG files of the asked size, of
a colour that the prompt and the seed decide.
"""

from __future__ import annotations

import colorsys
import hashlib
import random
import time
from collections.abc import AsyncIterator, Iterator

from PIL import Image as Pillow
from PIL import ImageDraw
from pydantic import BaseModel, Field

import pondage
from pondage.toolkit import Image, ImageSizeInput, get_image_size


class Input(BaseModel):
    prompt: str
    seed: int | None = None
    image_size: ImageSizeInput = "landscape_4_3"
    num_images: int = Field(1, ge=1, le=4)
    num_inference_steps: int = Field(4, ge=1, le=50)
    image_url: str | None = None


class Output(BaseModel):
    images: list[Image]
    seed: int
    prompt: str


class Preview(BaseModel):
    step: int
    prompt: str
    seed: int


class Flux(pondage.App, name="fal-ai/flux", max_multiplexing=4):
    @pondage.endpoint("/dev")
    def dev(self, input: Input) -> Output:
        """Pictures of a prompt, after as many logged steps as were asked for."""
        seed = input.seed if input.seed is not None else random.randrange(2**31)
        for step in range(1, input.num_inference_steps + 1):
            print(f"step {step} of {input.num_inference_steps}")
            pondage.current_request.progress(step, input.num_inference_steps)
            time.sleep(0.002)
        images = [Image.from_pil(paint(input, seed + number)) for number in range(input.num_images)]
        return Output(images=images, seed=seed, prompt=input.prompt)

    @pondage.endpoint("/dev/stream")
    def stream(self, input: Input) -> Iterator[Preview]:
        """One chunk for each step."""
        for step in range(1, input.num_inference_steps + 1):
            yield Preview(step=step, prompt=input.prompt, seed=input.seed or 0)

    @pondage.realtime("/dev/realtime")
    async def realtime(self, inputs: AsyncIterator[Input]) -> AsyncIterator[Preview]:
        """One result for each input of a session."""
        step = 0
        async for input in inputs:
            step += 1
            yield Preview(step=step, prompt=input.prompt, seed=input.seed or 0)


def paint(input: Input, seed: int) -> Pillow.Image:
    """A picture that is the same for the same prompt and seed."""
    size = get_image_size(input.image_size)
    hue = hashlib.sha256(f"{input.prompt} {seed}".encode()).digest()[0] / 256
    red, green, blue = (int(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.5, 0.9))
    picture = Pillow.new("RGB", (size.width, size.height), (red, green, blue))
    ImageDraw.Draw(picture).text((8, 8), input.prompt[:80], fill=(20, 20, 20))
    return picture
