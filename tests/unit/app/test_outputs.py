"""A value is written in the same way with and without a declared type."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import json
import uuid
from collections import ChainMap, UserDict
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Annotated, Any

import msgspec
import numpy
import pytest
from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from pondage.app.inputs import Input
from pondage.app.outputs import Output, OutputError, encode_plain, plain
from pondage.app.parameters import Parameter


class Tensor:
    """As PyTorch's: neither a number nor a sequence, and it can be asked for a list."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def tolist(self) -> Any:
        return self._value


class Eager:
    """As TensorFlow's: it can be asked for NumPy's."""

    def numpy(self) -> Any:
        return numpy.array([1, 2])


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Score(BaseModel):
    value: float
    more: Any = None


@dataclasses.dataclass
class Pair:
    a: Any


class Struct(msgspec.Struct):
    a: Any


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    array: numpy.ndarray[Any, Any]
    tensor: Tensor = Field(alias="theTensor")


HOLDER = Holder(array=numpy.arange(2), theTensor=Tensor([0.5]))
SAME = [
    (numpy.float32(1.5), 1.5),
    (numpy.int64(3), 3),
    (numpy.bool_(True), True),
    (numpy.str_("x"), "x"),
    (numpy.longdouble(1.5), 1.5),
    (numpy.datetime64("2026-01-02"), "2026-01-02"),
    (numpy.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    (Tensor([[1.5], [2]]), [[1.5], [2]]),
    (Tensor(7), 7),
    (Eager(), [1, 2]),
    ([numpy.int8(1), (Tensor(2), {3})], [1, [2, [3]]]),
    (Color.RED, "red"),
    (uuid.UUID(int=5), str(uuid.UUID(int=5))),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (Pair(numpy.float32(0.5)), {"a": 0.5}),
    (Struct(Tensor([1])), {"a": [1]}),
    (Score(value=1, more={"deep": numpy.arange(2)}), {"value": 1.0, "more": {"deep": [0, 1]}}),
    (HOLDER, {"array": [0, 1], "theTensor": [0.5]}),
]
KEYS = [
    (Color.RED, "red"), (Level.HIGH, "3"), (uuid.UUID(int=5), str(uuid.UUID(int=5))), (numpy.int64(3), "3"),
    (numpy.float32(1.5), "1.5"), (numpy.str_("x"), "x"), (numpy.bool_(True), "true"), (True, "true"), (7, "7"),
    (datetime.date(2026, 1, 2), "2026-01-02"), (1.5, "1.5"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "written"), SAME, ids=lambda value: type(value).__name__)
def test_a_value_is_the_same_with_and_without_a_type(value: Any, written: Any) -> None:
    assert json.loads(encode_plain({"v": value})) == {"v": written}
    for hint in (dict, dict[str, Any], Any):
        assert json.loads(Output(hint).encode({"v": value})) == {"v": written}
    assert json.loads(Output(Score).encode({"value": 1, "more": value}))["more"] == written
    assert json.loads(Output(Score).encode(Score(value=1, more=value)))["more"] == written
    assert json.loads(msgspec.json.encode(plain({"v": value}, nulls=True))) == {"v": written}
    assert json.loads(msgspec.json.encode(Output(dict).plain({"v": value}, nulls=True))) == {"v": written}


@pytest.mark.parametrize(("key", "written"), KEYS, ids=lambda value: type(value).__name__)
def test_a_key_is_the_same_with_and_without_a_type(key: Any, written: str) -> None:
    expected = {"m": {written: [1]}}
    assert json.loads(encode_plain({"m": {key: (1,)}})) == expected
    assert json.loads(Output(dict).encode({"m": {key: (1,)}})) == expected
    assert json.loads(Output(Score).encode(Score(value=1, more={key: (1,)})))["more"] == expected["m"]
    assert plain({"m": {key: (1,)}}, nulls=False) == Output(dict).plain({"m": {key: (1,)}}, nulls=False) == expected


@pytest.mark.parametrize(
    ("hint", "value", "written"),
    [
        (float, numpy.float32(1.5), 1.5),
        (int, Tensor(3), 3),
        (list[float], Tensor([1.5]), [1.5]),
        (list[list[int]], numpy.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (dict[str, list[float]], {"a": Tensor([1])}, {"a": [1.0]}),
        (dict[Color, int], {Color.RED: numpy.int64(1)}, {"red": 1}),
        (dict[int, str], {numpy.int64(1): "a"}, {"1": "a"}),
        (Score, {"value": Tensor(2)}, {"value": 2.0, "more": None}),
        (Score, Score.model_construct(value=numpy.float32(2.5)), {"value": 2.5, "more": None}),
        (Score, Struct(1), None),
        (numpy.ndarray, numpy.arange(2), [0, 1]),
        (Tensor | None, Tensor([1]), [1]),
        (dict[str, Tensor], {"a": Tensor([1])}, {"a": [1]}),
        (Holder, HOLDER, {"array": [0, 1], "theTensor": [0.5]}),
        (dict, Score(value=1), {"value": 1.0, "more": None}),
    ],
)
def test_what_libraries_return_fits_declared_types(hint: Any, value: Any, written: Any) -> None:
    if written is None:
        with pytest.raises(OutputError, match="does not fit its declared type at value"):
            Output(hint).encode(value)
    else:
        assert json.loads(Output(hint).encode(value)) == written


@pytest.mark.parametrize("value", [numpy.float32("nan"), numpy.array([1, numpy.inf]), Tensor([float("nan")])])
def test_no_array_hides_a_nan(value: Any) -> None:
    for write in (encode_plain, Output(dict).encode, Output(dict[str, Any]).encode):
        with pytest.raises(OutputError, match="JSON does not have"):
            write({"deep": [value]})


MAPPINGS = [
    (MappingProxyType({"a": MappingProxyType({1: 2})}), {"a": {"1": 2}}),
    (ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
    (UserDict(a=UserDict(b=1)), {"a": {"b": 1}}),
    (SimpleNamespace(a=SimpleNamespace(b=[1])), {"a": {"b": [1]}}),
]


@pytest.mark.parametrize(("value", "written"), MAPPINGS)
@pytest.mark.parametrize("hint", [inspect.Parameter.empty, Any, dict, dict[str, Any], Mapping[str, Any]])
def test_every_mapping_is_an_object(hint: Any, value: Any, written: Any) -> None:
    assert json.loads(Output(hint).encode(value)) == written
    assert json.loads(json.dumps(Output(hint).plain(value, nulls=True))) == written


@pytest.mark.parametrize("hint", [inspect.Parameter.empty, Any, dict, list[dict[Any, Any]]])
def test_keys_that_json_does_not_have(hint: Any) -> None:
    output = Output(hint)

    def wrapped(value: Any) -> Any:
        return value if hint is dict else [value]

    assert b'{"null":1,"None":"None"}' in output.encode(wrapped({None: 1, "None": "None"}))
    for odd in (float("nan"), numpy.float64("inf")):
        with pytest.raises(OutputError):
            output.encode(wrapped({odd: None}))
        with pytest.raises(OutputError, match=r"the key (nan|inf)"):
            output.plain(wrapped({odd: None}), nulls=True)


def test_what_cannot_be_written_says_what_it_is() -> None:
    class Deep:
        def tolist(self) -> Any:
            return [Deep()]

    for value in (object(), {"a": {object(): 1}}, [b"raw"], Deep()):
        with pytest.raises(OutputError) as caught:
            encode_plain(value)
        assert "\n" not in str(caught.value)
    with pytest.raises(OutputError, match=r"it holds a builtins\.object"):
        Output(dict).encode({"a": object()})


def test_types_without_words_in_json_have_a_schema_all_the_same() -> None:
    assert Output(Holder).schema is not None
    read = Input([Parameter("x", Annotated[numpy.ndarray, PlainValidator(numpy.array)], 0, "m")], "In")
    assert read.parse(b'{"x": [1, 2]}')["x"].sum() == 3 and read.schema is not None
