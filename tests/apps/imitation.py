"""An app under the name of one of fal's, for programs in which that name is fixed."""

from __future__ import annotations

from pydantic import BaseModel

import pondage

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)


class Output(BaseModel):
    images: list[pondage.Image]
    prompt: str
    seed: int = 7


class Flux(pondage.App, name="fal-ai/flux"):
    @pondage.endpoint("/dev")
    def dev(self, prompt: str) -> Output:
        return Output(images=[pondage.Image.from_bytes(PNG, format="png")], prompt=prompt)
