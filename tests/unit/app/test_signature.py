"""From bytes to arguments and from values to bytes."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy
import pydantic
import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

import pondage
from pondage.app.outputs import OutputError, encode_plain, plain
from pondage.app.parameters import takes_object
from pondage.app.signature import Signature


class Point(BaseModel):
    x: int
    y: float = 0.5


@dataclass
class Pair:
    a: int


class Member(TypedDict):
    k: str


class Color(enum.Enum):
    RED = "red"


def signature(function: Callable[..., Any]) -> Signature:
    return Signature(function, "Test")


def whole(self: Any, input: Point) -> Point: ...
def pair(self: Any, input: Pair) -> int: ...
def optional(self: Any, input: Point = Point(x=7)) -> Any: ...  # noqa: B008
def members(self: Any, self_: int, model_config: str = "a", *, schema: Point | None = None) -> Any: ...
def nothing(self: Any) -> None: ...
def untyped(self, anything): ...  # type: ignore[no-untyped-def]
def two(self: Any, a: Point, b: Point) -> Any: ...


@pytest.mark.parametrize(
    ("function", "data", "arguments"),
    [
        (whole, b'{"x": "3"}', {"input": Point(x=3)}),
        (pair, b'{"a": 1}', {"input": Pair(1)}),
        *[(optional, empty, {"input": Point(x=7)}) for empty in (b"", b"{}", b"{ }", b" \n{\t\r\n} ")],
        (optional, b'{"x": 1}', {"input": Point(x=1)}),
        (members, b'{"self_": 1}', {"self_": 1, "model_config": "a", "schema": None}),
        (members, b'{"self_": 1, "schema": {"x": 1}}', {"self_": 1, "model_config": "a", "schema": Point(x=1)}),
        (nothing, b'{"left": "over"}', {}),
        (untyped, b'{"anything": [1, null], "more": 2}', {"anything": [1, None]}),
        (two, b'{"a": {"x": 1}, "b": {"x": 2}}', {"a": Point(x=1), "b": Point(x=2)}),
    ],
)
def test_an_input_becomes_arguments(function: Callable[..., Any], data: bytes, arguments: dict[str, Any]) -> None:
    parsed = signature(function).input
    assert parsed.parse(data) == arguments
    if data:
        assert parsed.arguments(json.loads(data)) == arguments or not arguments


def test_what_does_not_fit_says_where() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        signature(two).input.parse(b'{"a": {"x": "?"}}')
    assert [error["loc"] for error in caught.value.errors()] == [("a", "x"), ("b",)]


def returns(hint: Any) -> Signature:
    def function(self: Any) -> Any: ...

    function.__annotations__["return"] = hint
    return signature(function)


@pytest.mark.parametrize(
    ("hint", "value", "data"),
    [
        (Point, Point(x=1), b'{"x":1,"y":0.5}'),
        (Point, {"x": 1}, b'{"x":1,"y":0.5}'),
        (Pair, Pair(2), b'{"a":2}'),
        (Member, {"k": "v"}, b'{"k":"v"}'),
        (dict[str, int], {"a": 1}, b'{"a":1}'),
        (Point | None, None, b"null"),
        (str, "null NaN", b'"null NaN"'),
        (None, None, b"null"),
        (Any, {"p": Point(x=1), "d": Pair(1)}, b'{"p":{"x":1,"y":0.5},"d":{"a":1}}'),
        (Any, "é", '"é"'.encode()),
        (Any, [datetime(2026, 1, 2, tzinfo=UTC), Color.RED], b'["2026-01-02T00:00:00Z","red"]'),
        (Any, numpy.float32(0.5), b"0.5"),
        (Any, numpy.arange(3), b"[0,1,2]"),
    ],
)
def test_a_value_becomes_json(hint: Any, value: Any, data: bytes) -> None:
    assert returns(hint).output.encode(value) == data


class Loose(BaseModel):
    value: Any = None
    more: dict[str, Any] = {}


def spoiled() -> Point:
    point = Point(x=1)
    point.x = "text"  # type: ignore[assignment]
    return point


@pytest.mark.parametrize(
    ("hint", "value", "words"),
    [
        (Point, {"x": "?"}, "does not fit its declared type at x: Input should be a valid integer"),
        (Point, None, "None (NoneType)"),
        (Point, spoiled(), "Expected `int`"),
        (Point, Point(x=1, y=float("nan")), "holds nan at y, which JSON does not have"),
        (Loose, Loose(more={"a": [1, float("inf")]}), "holds inf at more.a.1"),
        (Loose, Loose(value=b"\xff"), "invalid utf-8"),
        (Any, {"a": float("-inf")}, "NaN or an infinity, which JSON does not have: a is -inf"),
        (Any, {"a": b"abc"}, "3 bytes of binary data; return a pondage.File"),
        (Any, {"a": object()}, "it holds a builtins.object"),
    ],
)
def test_a_value_that_cannot_be_sent_is_explained(hint: Any, value: Any, words: str) -> None:
    with pytest.raises(OutputError) as caught:
        returns(hint).output.encode(value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_author_may_have_words_for_nan() -> None:
    class Worded(BaseModel):
        model_config = pydantic.ConfigDict(ser_json_inf_nan="strings")
        x: float
        y: None = None

    assert returns(Worded).output.encode({"x": float("nan")}) == b'{"x":"NaN","y":null}'


def test_a_circle_is_no_json() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(OutputError):
        encode_plain(circle)


def test_a_session_gets_plain_values_without_null() -> None:
    value = {
        "a": None,
        "b": [1.0, None, b"\x00"],
        "p": Point(x=1),
        "c": Color.RED,
        "t": datetime(2026, 1, 2, tzinfo=UTC),
    }
    assert plain(value, nulls=False) == {
        "b": [1.0, None, b"\x00"],
        "p": {"x": 1, "y": 0.5},
        "c": "red",
        "t": "2026-01-02T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("hint", "answer"),
    [
        *[(hint, True) for hint in (Point, Pair, Member, dict, Point | None)],
        *[
            (hint, False)
            for hint in (int, Any, list[Point], Point | str, str | None, pondage.Image, pondage.File | None)
        ],
    ],
)
def test_what_takes_the_whole_object(hint: Any, answer: bool) -> None:
    assert takes_object(hint) is answer


def test_a_lone_medium_is_a_member_of_the_input() -> None:
    def run(self: Any, image: pondage.Image) -> int:
        return 1

    signature = Signature(run, "Run")
    arguments = signature.input.parse(b'{"image": "https://example.com/a.png"}')
    assert arguments["image"].url == "https://example.com/a.png"
    assert signature.input.whole is None
    bare = signature.input.parse(b'{"url": "https://example.com/a.png"}')
    assert bare["image"].url == "https://example.com/a.png", "as FastAPI has it"
    with pytest.raises(pydantic.ValidationError, match="image"):
        signature.input.parse(b'{"picture": "https://example.com/a.png"}')


class Framed(BaseModel):
    pictures: dict[str, list[pondage.Image | None]] = {}


@dataclass
class Clip:
    audio: pondage.Audio


@pytest.mark.parametrize(
    ("hint", "media"), [(int, False), (Point, False), (Any, False), (Framed, True), (Clip, True), (list[Framed], True)]
)
def test_whether_an_input_has_a_place_for_media(hint: Any, media: bool) -> None:
    def run(self: Any, input: Any) -> None: ...

    run.__annotations__ = {"input": hint}
    assert Signature(run, "Run").input.media is media
