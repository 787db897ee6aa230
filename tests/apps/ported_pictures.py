"""A text-to-image app as its author wrote it for fal; only the imports name another package."""

import math
from typing import Literal

from fastapi import Request, Response
from PIL import Image as PILImage
from pydantic import BaseModel

import pondage as fal
from pondage.exceptions import AppException, FieldException
from pondage.toolkit.image import Image, ImageField, ImageSize, ImageSizeInput, get_image_size
from pondage.toolkit.pydantic import FalBaseModel, Field, Hidden
from pondage.toolkit.types import ImageInput
from pondage.toolkit.utils import FAL_MODEL_WEIGHTS_DIR


class TextToImageInput(FalBaseModel):
    FIELD_ORDERS = ["prompt", "image_url", "image_size"]

    seed: int | None = Field(default=None, description="Seed of the random numbers.")
    num_images: int = Field(default=1, ge=1, le=4)
    image_size: ImageSizeInput = Field(default="square_hd", examples=[ImageSize(width=1024, height=1024)])
    prompt: str = Field(title="Prompt", description="What to draw.", examples=["a fox in the snow"])
    image_url: ImageInput | None = ImageField(default=None, description="What to begin with.")
    output_format: Literal["jpeg", "png"] = "jpeg"
    sync_mode: bool = Field(default=False)
    debug: bool = Hidden(Field(default=False))


class Output(BaseModel):
    images: list[Image] = Field(description="The pictures.")
    seed: int
    has_nsfw_concepts: list[bool]
    prompt: str


@fal.cached
def palette(name: str) -> dict[str, int]:
    print(f"loading the palette {name}")
    return {"hue": sum(name.encode()) % 256}


class Sana(
    fal.App,
    name="sana",
    keep_alive=600,
    min_concurrency=1,
    max_concurrency=2,
    kind="container",
):
    """Draws pictures."""

    image = fal.ContainerImage.from_dockerfile_str("FROM python:3.11\nRUN pip install torch")
    requirements = ["torch==2.6.0", "diffusers"]
    local_python_modules = ["helpers"]
    machine_type = ["GPU-H100", "GPU-A100"]
    num_gpus = None
    app_auth = "private"
    request_timeout = 120
    startup_timeout = 300
    host_kwargs = {"_scheduler": "nomad", "resolver": "uv", "keep_alive": 900}

    def setup(self) -> None:
        self.weights = FAL_MODEL_WEIGHTS_DIR / "sana.safetensors"
        self.pipe = lambda prompt, size, seed: PILImage.new(
            "RGB", (size.width, size.height), (seed % 256, len(prompt) % 256, palette("warm")["hue"])
        )

    def health(self) -> dict[str, str]:
        return {"status": "well", "weights": self.weights.name}

    def provide_hints(self) -> list[str]:
        return ["sana-1.6b"]

    def _generate(self, input: TextToImageInput, response: Response) -> Output:
        size = get_image_size(input.image_size)
        seed = input.seed if input.seed is not None else 42
        images = [
            Image.from_pil(self.pipe(input.prompt, size, seed + n), input.output_format)
            for n in range(input.num_images)
        ]
        resolution_factor = math.ceil(size.width * size.height / (1024 * 1024))
        response.headers["x-fal-billable-units"] = str(resolution_factor * input.num_images)
        return Output(images=images, seed=seed, has_nsfw_concepts=[False] * input.num_images, prompt=input.prompt)

    @fal.endpoint("/")
    def generate(self, input: TextToImageInput, response: Response) -> Output:
        return self._generate(input, response)

    @fal.endpoint("/sprint")
    async def sprint(self, input: TextToImageInput, request: Request, response: Response) -> Output:
        response.headers["x-seen"] = request.headers.get("x-my-header", "nothing")
        response.headers["x-body"] = str((await request.json())["prompt"])
        return self._generate(input, response)

    @fal.endpoint("/checked")
    def checked(self, input: TextToImageInput) -> Output:
        if "forbidden" in input.prompt:
            raise FieldException("prompt", "Prompt is not allowed", type="content_policy_violation")
        if "teapot" in input.prompt:
            raise AppException(message="This is a teapot", status_code=418)
        raise RuntimeError("no such model")
