"""A large input that is wrong all over is refused in a moment; a right one is what it always was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest

import pondage
from pondage.app.hasty import LARGE
from pondage.app.served import Endpoint, compile_endpoints
from pondage.runner.findings import validation_detail
from pondage.wire.text import MAX_ENTRIES


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float = 0.0


class Leaf(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    size: int = pydantic.Field(alias="Size", gt=0)
    colour: Colour = Colour.RED
    inner: list[Leaf] = []

    @pydantic.field_validator("size")
    @classmethod
    def even(cls, size: int) -> int:
        if size % 2:
            raise ValueError("odd")
        return size


class Whole(pydantic.BaseModel):
    leaves: list[Leaf] = []
    points: dict[str, Point] = {}
    either: Annotated[int | str, pydantic.Field(union_mode="left_to_right")] = 0
    kind: Literal["a", "b"] = "a"
    picture: pondage.Image | None = None
    pad: str = ""


class App(pondage.App, name="acme/large"):
    @pondage.endpoint("/whole")
    def whole(self, input: Whole) -> None: ...

    @pondage.endpoint("/members")
    def members(self, leaves: list[Leaf], points: dict[str, Point] = {}, pad: str = "") -> None: ...  # noqa: B006


ENDPOINTS = compile_endpoints(App)
RIGHT: dict[str, Any] = {
    "leaves": [{"Size": 2, "inner": [{"Size": 4, "colour": "red"}]}],
    "points": {"a": {"x": 1}},
}


def parse(endpoint: Endpoint, value: dict[str, Any], *, large: bool) -> Any:
    pad = {"pad": "x" * LARGE} if large else {"pad": ""}
    return endpoint.signature.input.parse(msgspec.json.encode(value | pad))


@pytest.mark.parametrize("path", ["/whole", "/members"])
def test_a_right_one_is_the_same(path: str) -> None:
    small, large = (parse(ENDPOINTS[path], RIGHT, large=large) for large in (False, True))
    if path == "/whole":
        small, large = small["input"].model_dump(), large["input"].model_dump()
    assert {**small, "pad": ""} == {**large, "pad": ""}


@pytest.mark.parametrize(
    "wrong",
    [
        {"leaves": [{"Size": 3}]},
        {"leaves": [{"Size": 2, "more": 1}]},
        {"leaves": [{"Size": 2, "inner": [{"Size": -2}]}]},
        {"points": {"a": {"x": "no"}}, "leaves": []},
    ],
)
@pytest.mark.parametrize("path", ["/whole", "/members"])
def test_a_wrong_one_is_refused_in_the_same_words(path: str, wrong: dict[str, Any]) -> None:
    said = []
    for large in (False, True):
        with pytest.raises(pydantic.ValidationError) as caught:
            parse(ENDPOINTS[path], wrong, large=large)
        said.append([(e["loc"], e["type"], e["msg"]) for e in validation_detail(caught.value)])
    assert said[0] == said[1]


@pytest.mark.parametrize("path", ["/whole", "/members"])
def test_a_list_is_left_at_its_first_fault(path: str) -> None:
    many = {"leaves": [{"Size": "x"}] * 100_000, "points": {str(n): 1 for n in range(1000)}}
    with pytest.raises(pydantic.ValidationError) as caught:
        parse(ENDPOINTS[path], many, large=True)
    assert caught.value.error_count() == 2


def test_a_small_one_lists_some_and_counts_all() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(list[int]).validate_python(["x"] * 5000)
    entries = validation_detail(caught.value)
    assert len(entries) == MAX_ENTRIES + 1
    assert entries[3]["loc"] == ["body", 3] and entries[3]["type"] == "int_parsing"
    assert entries[-1]["type"] == "too_many_errors" and entries[-1]["msg"].startswith("5000 errors in all")


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (dict[str, int], {"k" * 100_000: "x"}),
        (int, "x" * 1_000_000),
        (list[int], [{"deep": ["x" * 10_000] * 1000}]),
        (Literal["a"], {"pictures": b"\xff" * 10}),
    ],
)
def test_no_entry_grows_with_what_was_sent(hint: Any, value: Any) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(hint).validate_python(value)
    assert len(msgspec.json.encode(validation_detail(caught.value))) < 8192


def test_a_validator_whose_error_has_no_text_is_reported_all_the_same() -> None:
    class Mute(ValueError):
        def __str__(self) -> str:
            return "ok"

        def __repr__(self) -> str:
            raise RuntimeError

    def refuse(value: Any) -> Any:
        raise Mute

    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(Annotated[int, pydantic.AfterValidator(refuse)]).validate_python(1)
    (entry,) = validation_detail(caught.value)
    msgspec.json.encode(entry)
