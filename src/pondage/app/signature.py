"""From a method's type hints to compiled checks: bytes in, arguments; a value, bytes out. Done once, at the start.

One parameter that takes an object (a model, a dataclass, a TypedDict, a dict, or no hint at all) receives the whole
input. Otherwise each parameter is a member of the input's object.
"""

from __future__ import annotations

import inspect
import json
import math
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Literal

import msgspec
import pydantic
from pydantic_core import PydanticSerializationError

from pondage.app.file import File
from pondage.wire.finite import find_odd

Mode = Literal["call", "stream", "realtime"]

_ASYNC_ITERATORS = (AsyncIterator, AsyncIterable, AsyncGenerator)
STREAMING_RESPONSES = frozenset({"StreamingResponse", "EventSourceResponse"})

_ITERATORS = (*_ASYNC_ITERATORS, Iterator, Iterable, Generator)


STARLETTES = frozenset({"Request", "Response"})
"""Starlette's classes (FastAPI's are the same) that a ported method may ask for beside its input."""


class OutputError(Exception):
    """A return value that cannot be sent. `args[0]` says why in one line."""


class Input:
    """The check of an input. `parse` makes the keyword arguments of the call from JSON, `take` from a Python value.

    Attributes:
        whole: the parameter that is the whole input, if there is one.
        media: whether its types have a place for a picture or a file.
    """

    def __init__(self, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any], title: str) -> None:
        self.whole: str | None = None
        self.media = False
        self._optional = False
        self.schema: dict[str, object] | None = None
        self._adapter: pydantic.TypeAdapter[Any] | None = None
        self._names = tuple(parameters)
        if not parameters:
            return
        if len(parameters) == 1:
            (name, parameter) = next(iter(parameters.items()))
            hint = hints.get(name, Any)
            if name not in hints or takes_object(hint):
                self.whole = name
                self._optional = parameter.default is not inspect.Parameter.empty
                self._adapter = pydantic.TypeAdapter(hint)
                if name in hints and hint is not Any:
                    self.schema = self._adapter.json_schema()
        if self.whole is None:
            members: dict[str, Any] = {
                # Positions in a model's namespace are not all free: names go in as aliases.
                f"p{i}_": (hints.get(name, Any), _field(name, parameter))
                for i, (name, parameter) in enumerate(parameters.items())
            }
            model = pydantic.create_model(
                title, __config__=pydantic.ConfigDict(arbitrary_types_allowed=True), **members
            )
            self._adapter = pydantic.TypeAdapter(model)
            self._fields = tuple((f"p{i}_", name) for i, name in enumerate(parameters))
            self.schema = self._adapter.json_schema()
        self.media = self._adapter is not None and _names_media(self._adapter.core_schema)

    def parse(self, data: bytes) -> dict[str, Any]:
        """The arguments of the call.

        Raises:
            pydantic.ValidationError: the input does not fit.
        """
        if self._adapter is None:
            return {}
        if self.whole is not None:
            if self._optional and data in (b"", b"{}"):
                return {}
            return {self.whole: self._adapter.validate_json(data or b"{}")}
        model = self._adapter.validate_json(data or b"{}")
        return {name: getattr(model, field) for field, name in self._fields}

    def arguments(self, value: Any) -> dict[str, Any]:
        """The arguments of the call from a Python value, as a message of a session has it.

        Raises:
            pydantic.ValidationError: the message does not fit.
        """
        if self._adapter is None or (self._optional and value == {}):
            return {}
        fitted = self._adapter.validate_python(value)
        if self.whole is not None:
            return {self.whole: fitted}
        return {name: getattr(fitted, field) for field, name in self._fields}

    def take(self, value: Any) -> Any:
        """One message of an iterator, as the method's parameter yields it.

        Raises:
            pydantic.ValidationError: the message does not fit.
        """
        return value if self._adapter is None else self._adapter.validate_python(value)


class Output:
    """The check of a return value, and its encoding."""

    def __init__(self, hint: Any) -> None:
        """`hint`: the declared type, `inspect.Parameter.empty` where there is none."""
        self.typed = hint not in (inspect.Parameter.empty, Any)
        self.schema: dict[str, object] | None = None
        if self.typed:
            self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(hint)
            self.schema = self._adapter.json_schema(mode="serialization")

    def encode(self, value: Any) -> bytes:
        """The value as JSON.

        Raises:
            OutputError: it does not fit its type, or JSON has no words for it.
        """
        if not self.typed:
            return encode_plain(value)
        try:
            fitted = self._adapter.validate_python(value)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise OutputError(
                f"the endpoint returned {describe(value)}, which does not fit its declared type"
                f"{' at ' + place if place else ''}: {first['msg']}"
            ) from error
        try:
            body = self._adapter.dump_json(fitted, warnings="error")
        except (PydanticSerializationError, ValueError, TypeError) as error:
            text = " ".join(str(error).removeprefix("Pydantic serializer warnings:").split())
            raise OutputError(f"the endpoint's output cannot be written as JSON: {text}") from error
        # Pydantic writes NaN and infinities as null unless the model says otherwise.
        if b"null" in body or b"NaN" in body or b"Infinity" in body:
            _refuse_odd_numbers(self._adapter.dump_python(fitted, warnings="none"), _decoded(body), "")
        return body

    def plain(self, value: Any, *, nulls: bool) -> Any:
        """The value as dicts, lists, strings, numbers and bytes; without `nulls`, members that are null are left out,
        which a msgpack answer must not hold (PROTOCOL 6.3).

        Raises:
            OutputError: it does not fit its type.
        """
        if not self.typed:
            return plain(value, nulls=nulls)
        try:
            fitted = self._adapter.validate_python(value)
            return plain(self._adapter.dump_python(fitted, warnings="error"), nulls=nulls)
        except (pydantic.ValidationError, PydanticSerializationError) as error:
            raise OutputError(
                f"the endpoint returned {describe(value)}, which does not fit its type: {error}"
            ) from error


class Signature:
    """A method of an app as its endpoint calls it.

    Attributes:
        is_async: called on the loop; otherwise in a thread.
        generates: its value is iterated, with `async for` where `generates_async`.
        consumes: it takes an iterator of messages.
        given: parameters that are not of the input, with the class of Starlette's that each wants.
    """

    def __init__(self, function: Callable[..., Any], title: str, *, batched: bool = False) -> None:
        hints = _hints(function)
        declared = inspect.signature(function)
        parameters = dict(list(declared.parameters.items())[1:])
        for name, parameter in list(parameters.items()):
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(f"{function.__qualname__}: *{name} has no place in an endpoint's input")
        self.given: dict[str, type] = {name: hints[name] for name in parameters if _is_starlettes(hints.get(name))}
        for name in self.given:
            del parameters[name]
        returned = hints_return = hints.pop("return", inspect.Parameter.empty)
        self.generates = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        self.is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        if getattr(returned, "__name__", "") in STREAMING_RESPONSES:
            # fal's way to stream: a response of Starlette's, whose body is iterated.
            self.generates, returned = True, inspect.Parameter.empty
            hints_return = AsyncIterator[Any]
        item = _item_of(returned)
        if item is not None and (self.generates or typing.get_origin(returned) in _ITERATORS):
            self.generates, returned = True, item
        elif self.generates:
            returned = inspect.Parameter.empty
        self.generates_async = inspect.isasyncgenfunction(function) or (
            self.generates and typing.get_origin(hints_return) in _ASYNC_ITERATORS
        )
        self.consumes = False
        if len(parameters) == 1:
            (name,) = parameters
            message = _item_of(hints.get(name, None))
            if message is not None and typing.get_origin(hints[name]) in _ITERATORS:
                self.consumes = True
                hints[name] = message
            elif batched:
                hints[name] = _list_item(function, name, hints.get(name, Any))
        if batched and returned is not inspect.Parameter.empty:
            returned = _list_item(function, "return", returned)
        if returned is type(None):
            returned = inspect.Parameter.empty
        self.names = tuple(parameters)
        try:
            self.input = Input(parameters, hints, f"{title}Input")
            self.output = Output(returned)
        except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticUndefinedAnnotation) as error:
            raise TypeError(f"{function.__qualname__}: {str(error).splitlines()[0]}") from error


def takes_object(hint: Any) -> bool:
    """Whether a value of this type is a whole JSON object. A medium is a member of one: `{"image": …}`."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    origin = typing.get_origin(hint) or hint
    if origin is Any:
        return True
    if origin in (typing.Union, UnionType):
        members = [a for a in typing.get_args(hint) if a is not type(None)]
        return bool(members) and all(takes_object(m) for m in members)
    if not isinstance(origin, type):
        return False
    if issubclass(origin, File):
        return False
    return issubclass(origin, pydantic.BaseModel | Mapping) or is_dataclass(origin) or typing.is_typeddict(origin)


def _names_media(schema: Any) -> bool:
    """Whether a class of media stands anywhere in Pydantic's own schema of a type."""
    if isinstance(schema, Mapping):
        cls = schema.get("cls")
        return (isinstance(cls, type) and issubclass(cls, File)) or any(_names_media(v) for v in schema.values())
    return isinstance(schema, list | tuple) and any(_names_media(member) for member in schema)


def encode_plain(value: Any) -> bytes:
    """A value without a declared type as JSON.

    Raises:
        OutputError: NaN, an infinity, bytes, or a type that JSON does not know.
    """
    try:
        return _encoder.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        text = str(error)
        if "Out of range float" in text:
            odd = find_odd(value, lambda member: plain(member, nulls=True))
            text = "it holds NaN or an infinity, which JSON does not have" + (f": {odd}" if odd else "")
        raise OutputError(f"the endpoint's output cannot be written as JSON: {text}") from error


_PLAIN = frozenset({str, bytes, int, float, bool})


def plain(value: Any, *, nulls: bool) -> Any:
    """The value as dicts, lists, strings, numbers and bytes, with or without members that are null."""
    if isinstance(value, dict):
        return {
            str(k): v if type(v) in _PLAIN else plain(v, nulls=nulls)
            for k, v in value.items()
            if nulls or v is not None
        }
    if isinstance(value, list | tuple):
        return [plain(v, nulls=nulls) for v in value]
    if isinstance(value, Enum):
        return plain(value.value, nulls=nulls)
    if isinstance(value, str | bytes | int | float | bool) or value is None:
        return value
    return plain(_plain(value, keep_bytes=True), nulls=nulls)


def describe(value: Any) -> str:
    """A short name for a value in a message: its type, and the value where that is short."""
    text = repr(value)
    return f"{text} ({type(value).__name__})" if len(text) <= 80 else f"a {type(value).__name__}"


def _plain(value: Any, *, keep_bytes: bool = False) -> Any:
    """What `value` is made of, one level down; the JSON encoder asks where it knows no answer."""
    if isinstance(value, bytes | bytearray | memoryview):
        if keep_bytes:
            return bytes(value)
        raise TypeError(f"it holds {len(value)} bytes of binary data; return a pondage.File, or base64 text")
    if isinstance(value, pydantic.BaseModel) or is_dataclass(value):
        return pydantic.TypeAdapter(type(value)).dump_python(value, mode="python" if keep_bytes else "json")
    if callable(to_list := getattr(value, "tolist", None)):
        return to_list()  # NumPy's and PyTorch's numbers and arrays
    try:
        return pydantic.TypeAdapter(type(value)).dump_python(value, mode="json")
    except Exception as error:
        raise TypeError(f"it holds a {type(value).__module__}.{type(value).__qualname__}") from error


_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=lambda value: _plain(value)
)


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:  # a model that writes the constant NaN
        raise OutputError(f"the endpoint's output is not JSON: {error}") from error


def _refuse_odd_numbers(value: Any, written: Any, place: str) -> None:
    """`written` is what JSON would say of `value`; a serializer of the author's own may have found words for NaN."""
    if isinstance(value, float):
        if written is None and not math.isfinite(value):
            at = f" at {place.lstrip('.')}" if place else ""
            raise OutputError(f"the endpoint's output holds {value}{at}, which JSON does not have")
    elif isinstance(value, dict) and isinstance(written, dict):
        for key, member in value.items():
            _refuse_odd_numbers(member, written.get(str(key), ...), f"{place}.{key}")
    elif isinstance(value, list | tuple) and isinstance(written, list):
        for i, member in enumerate(value[: len(written)]):
            _refuse_odd_numbers(member, written[i], f"{place}.{i}")


def _field(name: str, parameter: inspect.Parameter) -> Any:
    default = ... if parameter.default is inspect.Parameter.empty else parameter.default
    return pydantic.Field(default, alias=name, title=name.replace("_", " ").title())


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise TypeError(f"the type hints of {function.__qualname__}: {error}") from error


def _is_starlettes(hint: Any) -> bool:
    return (
        isinstance(hint, type)
        and hint.__name__ in STARLETTES
        and hint.__module__.partition(".")[0] in {"starlette", "fastapi"}
    )


def _item_of(hint: Any) -> Any:
    """The item's type of an iterator's hint; None where it is no iterator."""
    if typing.get_origin(hint) in _ITERATORS and (args := typing.get_args(hint)):
        return args[0]
    return None


def _list_item(function: Callable[..., Any], name: str, hint: Any) -> Any:
    if hint is Any:
        return Any
    if typing.get_origin(hint) is not list:
        raise TypeError(f"{function.__qualname__} is batched, so {name} must be a list[…]")
    (item,) = typing.get_args(hint)
    members = typing.get_args(item) if typing.get_origin(item) in (typing.Union, UnionType) else ()
    rest = [m for m in members if not (isinstance(m, type) and issubclass(m, BaseException))]
    return item if not members or len(rest) == len(members) else typing.Union[tuple(rest)]  # noqa: UP007
