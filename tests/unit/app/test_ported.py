"""fal's names for models, fields, types, and what a method may ask for beside its input."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
from starlette.requests import Request
from starlette.responses import Response

import pondage
from pondage.app.served import HEALTH, compile_endpoints, health_endpoint
from pondage.toolkit import AudioField, FalBaseModel, Field, FileField, Hidden, ImageField, ImageSizeField, VideoField
from pondage.toolkit.constraints import ImageValidationConfig
from pondage.toolkit.types import DataUri, FileInput, HttpsUrl


class Form(FalBaseModel):
    FIELD_ORDERS = ["prompt", "missing", "image_url"]
    SCHEMA_IGNORES = {"strength"}

    strength: float = 0.5
    image_url: str = ImageField(default="", ui={"important": True}, constraints=ImageValidationConfig(max_width=10))
    video_url: str = VideoField(default="", normalization=None)
    audio_url: str = AudioField(default="", json_schema_extra={"ui": {"order": 1}, "x-more": 2})
    file_url: str = FileField(default="")
    image_size: str = ImageSizeField(default="square")
    prompt: str = Field(description="What to draw.")
    debug: bool = Hidden(Field(default=False))


class Outer(FalBaseModel):
    form: Form


def test_a_form_is_described() -> None:
    members = Form.model_json_schema()["properties"]
    assert list(members) == [
        "prompt", "image_url", "strength", "video_url", "audio_url", "file_url", "image_size", "debug",
    ]  # fmt: skip
    assert members["image_url"]["ui"] == {"field": "image", "important": True}
    assert members["image_url"]["x-fal"] == {"max_width": 10}
    assert (members["video_url"]["ui"], members["file_url"]["ui"]) == ({"field": "video"}, {"field": "file"})
    assert (members["audio_url"]["ui"], members["audio_url"]["x-more"]) == ({"field": "audio", "order": 1}, 2)
    assert members["strength"]["ui"] == {"hidden": True} and members["debug"]["ui"] == {"hidden": True}
    assert "ui" not in members["prompt"] and "ui" not in members["image_size"]
    inner = Outer.model_json_schema()["$defs"]["Form"]["properties"]
    assert list(inner) == list(members)
    assert Form(prompt="a fox").debug is False


def test_a_hidden_field_needs_a_default() -> None:
    with pytest.raises(ValueError, match="needs a default"):
        Hidden(Field())
    with pytest.raises(TypeError, match="Hidden takes"):
        Hidden(False)


@pytest.mark.parametrize(
    ("type", "good", "bad"),
    [
        (
            HttpsUrl,
            ["https://x.example/a", " http://127.0.0.1:8000/files/a "],
            ["ftp://x", "x", "https://x y", "https://"],
        ),
        (DataUri, ["data:text/plain,a"], ["https://x.example", ""]),
        (FileInput, ["data:text/plain,a", "https://x.example/a"], ["file:///etc/passwd"]),
    ],
)
def test_types_of_inputs(type: Any, good: list[str], bad: list[str]) -> None:
    adapter = pydantic.TypeAdapter(type)
    for text in good:
        assert adapter.validate_python(text) == text.strip()
    for text in bad:
        with pytest.raises(pydantic.ValidationError):
            adapter.validate_python(text)


def test_cached_remembers() -> None:
    calls: list[int] = []

    @pondage.cached
    def square(n: int) -> int:
        """Squares."""
        calls.append(n)
        return n * n

    assert [square(3), square(3), square(4)] == [9, 9, 16] and calls == [3, 4]
    assert square.__name__ == "square" and square.__doc__ == "Squares."


def test_a_container_image_is_taken_and_not_built(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x")
    for image in (
        pondage.ContainerImage.from_dockerfile_str("FROM x", builder="depot"),
        pondage.ContainerImage.from_dockerfile(tmp_path / "Dockerfile"),
    ):
        assert image.dockerfile_str == "FROM x"


# ---- beside the input


class Asking(pondage.App):
    @pondage.endpoint("/both")
    def both(self, prompt: str, request: Request, response: Response, steps: int = 1) -> str:
        return prompt

    @pondage.endpoint("/none")
    async def none(self, request: Request) -> str:
        return ""


def test_what_is_given_is_no_part_of_the_input() -> None:
    endpoints = compile_endpoints(Asking)
    both, none = endpoints["/both"].signature, endpoints["/none"].signature
    assert both.given == {"request": Request, "response": Response} and none.given == {"request": Request}
    assert both.input.parse(b'{"prompt": "a"}') == {"prompt": "a", "steps": 1}
    assert none.input.parse(b'{"anything": 1}') == {} and none.input.schema is None


def test_a_session_and_a_batch_are_given_nothing() -> None:
    class Session(pondage.App):
        @pondage.realtime("/realtime")
        async def live(self, inputs: AsyncIterator[dict[str, Any]], request: Request) -> dict[str, Any]:
            return {}

    class Batch(pondage.App):
        @pondage.endpoint("/", max_batch_size=2)
        def run(self, inputs: list[str], response: Response) -> list[str]:
            return []

    for wrong in (Session, Batch):
        with pytest.raises(TypeError, match=r"use pondage\.current_request"):
            compile_endpoints(wrong)


def test_health_is_an_endpoint_that_the_app_does_not_list() -> None:
    assert HEALTH not in compile_endpoints(Asking)
    assert health_endpoint(Asking).kind == "call"
