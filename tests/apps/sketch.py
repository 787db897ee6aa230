"""What fal's Swift samples talk to: a camera and a drawing in real time. And apps with ids of the older forms."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

import pondage


class Picture(BaseModel):
    content: bytes
    content_type: str
    width: int
    height: int


class Drawn(BaseModel):
    images: list[Picture]
    seed: int
    strength: float
    note: str | None = None


class Stroke(BaseModel):
    prompt: str
    image_bytes: bytes = b""
    strength: float = 0.5
    seed: int = 0
    sync_mode: bool = True


class Frame(BaseModel):
    image: bytes
    timings: dict[str, float]


class Sketch(pondage.App, name="acme/sketch"):
    @pondage.realtime("/realtime")
    async def draw(self, input: Stroke) -> Drawn:
        """As the drawing sample wants it: `images[0]` with its bytes."""
        picture = Picture(content=input.image_bytes[::-1], content_type="image/jpeg", width=512, height=256)
        return Drawn(images=[picture], seed=input.seed, strength=1)

    @pondage.realtime("/camera/realtime")
    async def camera(self, input: dict[str, Any]) -> Frame:
        """As the camera sample wants it: `image` as bytes."""
        return Frame(image=input["image"], timings={"inference": 0})

    @pondage.endpoint("/")
    def run(self, prompt: str = "nothing") -> dict[str, str]:
        return {"prompt": prompt}


class Older(pondage.App, name="110602490/lcm"):
    """`110602490-lcm`, as ids were written."""

    @pondage.realtime("/ws")
    async def live(self, input: Stroke) -> dict[str, Any]:
        return {"prompt": input.prompt}

    @pondage.endpoint("/")
    def run(self, prompt: str = "nothing") -> dict[str, str]:
        return {"prompt": prompt}


class Story(pondage.App, name="workflows/acme/story"):
    """An app in a namespace, which some clients leave out of the URLs they make."""

    @pondage.endpoint("/")
    def run(self, prompt: str = "nothing") -> dict[str, str]:
        print("once upon a time")
        return {"prompt": prompt}
