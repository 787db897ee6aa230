"""An app that reaches for more of fal's SDK: other modules, headers, refusals, realtime batches."""

import functools
from typing import Annotated, Any
from uuid import UUID

import numpy as np
from fastapi import Body, Header, HTTPException
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

import pondage as fal
from pondage.container import ContainerImage
from pondage.exceptions import FieldException, GPUException, catch_gpu_exceptions
from pondage.ref import get_current_app
from pondage.sdk import HealthCheck, RetryConfig
from pondage.toolkit import FalTookitException, File, ImageSizeConstraints, ImageSizeField, KVStore
from pondage.toolkit.file.file import FileField
from pondage.toolkit.image.image import ImageSizeInput, get_image_size
from pondage.toolkit.utils.retry import retry


class SizeInput(BaseModel):
    image_size: ImageSizeInput = ImageSizeField(default="square", constraints=ImageSizeConstraints(max_width=2048))
    mask_url: str = FileField(default="")
    guidance: float = Field(default=1.5, alias="guidanceScale", le=20)


class Scores(BaseModel):
    by_label: dict[str, float] = Field(serialization_alias="byLabel")
    raw: Any = None


class Frame(BaseModel):
    n: int


class Frames(BaseModel):
    numbers: list[int]


def traced(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def from_anywhere() -> str:
    app = get_current_app()
    assert app is not None
    return type(app).__name__


class Names(
    fal.App, name="acme/names", image=ContainerImage.from_dockerfile_str("FROM python:3.11"),
    retry_config=RetryConfig(server_error=1),
):  # fmt: skip
    def setup(self) -> None:
        self.at_setup = from_anywhere()
        self.tries = 0

    @fal.endpoint("/", health_check=HealthCheck(failure_threshold=2))
    @traced
    async def size(self, input: SizeInput) -> dict[str, Any]:
        size = get_image_size(input.image_size)
        return {
            "width": np.int64(size.width),
            "guidance": np.float32(input.guidance),
            "app": [self.at_setup, from_anywhere()],
        }

    @fal.endpoint("/scores")
    def scores(self, labels: Annotated[list[str], Body(min_length=1, embed=True)]) -> Scores:
        return Scores(by_label={label: np.float32(0.5) for label in labels}, raw={UUID(int=1): np.arange(2)})

    @fal.endpoint("/secret")
    def secret(self, prompt: str, x_secret: Annotated[str | None, Header()] = None) -> str:
        if x_secret != "open sesame":
            raise HTTPException(403, {"code": "wrong_secret"}, headers={"X-Hint": "sesame"})
        return prompt

    @fal.endpoint("/field")
    def field(self, units: int) -> str:
        raise FieldException("units", "too many", billable_units=units)

    @fal.endpoint("/tokens/stream")
    def tokens(self, count: int = 2):
        async def events():
            for n in range(count):
                yield f"data: {n}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/flaky")
    def flaky(self) -> int:
        @retry(max_retries=3, base_delay=0)
        def call() -> int:
            self.tries += 1
            if self.tries < 3:
                raise FalTookitException("not yet")
            return self.tries

        return call()

    @fal.endpoint("/gpu")
    async def gpu(self) -> str:
        try:
            with catch_gpu_exceptions():
                raise RuntimeError("CUDA out of memory")
        except GPUException as error:
            return error.message

    @fal.endpoint("/kept")
    async def kept(self, key: str, value: str | None = None) -> dict[str, Any]:
        store = KVStore("ported-names")
        if value is not None:
            store.set(key, value, ttl=60)
        file = await File.from_bytes_async((store.get(key) or "").encode(), content_type="text/plain")
        return {"value": store.get(key), "file": file}

    @fal.realtime("/frames/realtime", buffering=8, max_batch_size=4)
    def frames(self, input: Frame, *inputs: Frame) -> Frames:
        return Frames(numbers=[frame.n for frame in (input, *inputs)])
