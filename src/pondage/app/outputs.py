"""From what a method returns to JSON, or to what msgpack takes. The check of the declared type is compiled once.

A value is written in the same way with and without a declared type: NumPy's and PyTorch's numbers and arrays as
Python's, members by their aliases, keys as text. What fits its type at once costs nothing more for it.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from types import SimpleNamespace
from typing import Any

import msgspec
import pydantic
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticSerializationError, core_schema, to_jsonable_python

from pondage.wire.finite import find_odd

_ARRAYS = ("tolist", "numpy")
"""Methods by which NumPy's, PyTorch's, JAX's and TensorFlow's numbers and arrays are known."""
_UNWRITABLE = (PydanticSerializationError, ValueError, TypeError, RecursionError)


class OutputError(Exception):
    """A return value that cannot be sent. `args[0]` says why in one line."""


class LenientSchema(GenerateJsonSchema):
    """A JSON schema in which a member of a type without words in JSON may be anything."""

    def handle_invalid_for_json_schema(self, schema: core_schema.CoreSchema, error_info: str) -> JsonSchemaValue:
        return {}


class Output:
    """The check of a return value, and its encoding."""

    def __init__(self, hint: Any) -> None:
        """`hint`: the declared type, `inspect.Parameter.empty` where there is none.

        Raises:
            pydantic.errors.PydanticUserError: a type that cannot be written as JSON.
        """
        self.typed = hint is not inspect.Parameter.empty and hint is not Any
        self.schema: dict[str, object] | None = None
        if self.typed:
            self._adapter = _adapter_of(hint)
            self.schema = self._adapter.json_schema(mode="serialization", schema_generator=LenientSchema)

    def encode(self, value: Any) -> bytes:
        """The value as JSON.

        Raises:
            OutputError: it does not fit its type, or JSON has no words for it.
        """
        if not self.typed:
            return encode_plain(value)
        fitted = self._fitted(value)
        try:
            body = self._dumped(fitted)
        except _UNWRITABLE as error:
            fitted = self._again(value, error)
            try:
                body = self._dumped(fitted)
            except _UNWRITABLE:
                raise OutputError(_unwritable(error)) from error
        # Pydantic writes the keys None and NaN as "None".
        if b'"None"' in body and _has_odd_key(python := self._python(fitted)):
            return encode_plain(python)
        # Pydantic writes NaN and infinities as null unless the model says otherwise.
        if b"null" in body or b"NaN" in body or b"Infinity" in body:
            _refuse_odd_numbers(self._python(fitted), _decoded(body), "")
        return body

    def plain(self, value: Any, *, nulls: bool) -> Any:
        """The value as dicts, lists, strings, numbers and bytes; without `nulls`, members that are null are left out,
        which a msgpack answer must not hold (PROTOCOL 6.3).

        Raises:
            OutputError: it does not fit its type, or holds what nobody has words for.
        """
        if not self.typed:
            return _plain(value, nulls)
        fitted = self._fitted(value)
        try:
            python = self._adapter.dump_python(fitted, by_alias=True, warnings="error")
        except _UNWRITABLE as error:
            python = self._python(self._again(value, error))
        return _plain(python, nulls)

    def _python(self, fitted: Any) -> Any:
        return self._adapter.dump_python(fitted, by_alias=True, warnings="none")

    def _dumped(self, fitted: Any) -> bytes:
        return self._adapter.dump_json(fitted, by_alias=True, fallback=_one_level, warnings="error")

    def _fitted(self, value: Any) -> Any:
        """The value as its type wants it: by any name of a member, and from any object that has the members."""
        try:
            return self._adapter.validate_python(value, from_attributes=True, by_alias=True, by_name=True)
        except pydantic.ValidationError as error:
            try:
                return self._natural(value)
            except (pydantic.ValidationError, RecursionError):
                raise OutputError(_misfit(value, error)) from error

    def _again(self, value: Any, error: Exception) -> Any:
        """The value made of what Python has, where it could not be written as it was."""
        try:
            return self._natural(value)
        except (pydantic.ValidationError, RecursionError):
            raise OutputError(_unwritable(error)) from error

    def _natural(self, value: Any) -> Any:
        return self._adapter.validate_python(natural(value), from_attributes=True, by_alias=True, by_name=True)


def encode_plain(value: Any) -> bytes:
    """A value without a declared type as JSON.

    Raises:
        OutputError: NaN, an infinity, bytes, or a type that JSON does not know.
    """
    try:
        try:
            return _encoder.encode(value).encode()
        except TypeError:  # perhaps a key that is no text: of an Enum, a UUID, a number of NumPy's
            return _encoder.encode(plain(value, nulls=True, binary=False)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        text = str(error)
        if "Out of range float" in text:
            odd = find_odd(value, lambda member: plain(member, nulls=True))
            text = "it holds NaN or an infinity, which JSON does not have" + (f": {odd}" if odd else "")
        raise OutputError(f"the endpoint's output cannot be written as JSON: {text}") from error


_AS_IT_IS = frozenset({str, bytes, int, float, bool})


def plain(value: Any, *, nulls: bool, binary: bool = True) -> Any:
    """The value as dicts, lists, strings and numbers, with or without members that are null.

    Args:
        binary: whether bytes stay what they are.

    Raises:
        TypeError: it holds what nobody has words for.
    """
    if isinstance(value, dict):
        return {
            k if type(k) is str else _key(k): v
            if type(v) in _AS_IT_IS and binary
            else plain(v, nulls=nulls, binary=binary)
            for k, v in value.items()
            if nulls or v is not None
        }
    if isinstance(value, list | tuple):
        return [plain(v, nulls=nulls, binary=binary) for v in value]
    if isinstance(value, Enum):
        return plain(value.value, nulls=nulls, binary=binary)
    if value is None or (type(value) in _AS_IT_IS and (binary or type(value) is not bytes)):
        return value
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind(value)  # of a class of its own, as NumPy's are
    return plain(_one_level(value, keep_bytes=binary), nulls=nulls, binary=binary)


def natural(value: Any) -> Any:
    """The value made of what Python itself has, as far as that is known: for a check that wants just that."""
    if isinstance(value, dict):
        return {_bare(k): natural(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [natural(v) for v in value]
    if isinstance(value, pydantic.BaseModel):
        return {name: natural(v) for name, v in value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return natural(_fields(value))
    if isinstance(value, msgspec.Struct):
        return natural(msgspec.structs.asdict(value))
    if isinstance(value, Mapping | SimpleNamespace):
        return natural(_one_level(value))
    bare = _bare(value)
    return value if bare is value else natural(bare)


def describe(value: Any) -> str:
    """A short name for a value in a message: its type, and the value where that is short."""
    text = repr(value)
    return f"{text} ({type(value).__name__})" if len(text) <= 80 else f"a {type(value).__name__}"


def schemas_in(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every part of Pydantic's own schema of a type."""
    if isinstance(schema, Mapping):
        yield schema
        for member in schema.values():
            yield from schemas_in(member)
    elif isinstance(schema, list | tuple):
        for member in schema:
            yield from schemas_in(member)


def _adapter_of(hint: Any) -> pydantic.TypeAdapter[Any]:
    """Arrays may be declared as well, by classes that Pydantic knows nothing of."""
    try:
        return pydantic.TypeAdapter(hint)
    except pydantic.errors.PydanticSchemaGenerationError:
        adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(
            hint, config=pydantic.ConfigDict(arbitrary_types_allowed=True)
        )
        classes = [part["cls"] for part in schemas_in(adapter.core_schema) if part.get("type") == "is-instance"]
        if not all(any(callable(getattr(cls, name, None)) for name in _ARRAYS) for cls in classes):
            raise
        return adapter


def _misfit(value: Any, error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    at = f" at {place}" if place else ""
    return f"the endpoint returned {describe(value)}, which does not fit its declared type{at}: {first['msg']}"


def _unwritable(error: Exception) -> str:
    text = " ".join(str(error).removeprefix("Pydantic serializer warnings:").split())
    return f"the endpoint's output cannot be written as JSON: {text}"


def _plain(value: Any, nulls: bool) -> Any:
    try:
        return plain(value, nulls=nulls)
    except (TypeError, RecursionError) as error:
        raise OutputError(f"the endpoint's output cannot be sent: {error}") from error


def _bare(value: Any) -> Any:
    """A number or an array of NumPy's, PyTorch's and their like as Python's; anything else as it is."""
    if isinstance(value, type):
        return value
    for name in _ARRAYS:
        if callable(method := getattr(value, name, None)):
            made = method()
            # NumPy's long doubles become long doubles.
            return made if type(made) is not type(value) else float(made)
    return value


def _key(key: Any) -> str:
    """A key of an object, as text."""
    if key is None:
        return "null"
    if isinstance(key, float) and not math.isfinite(key):
        raise TypeError(f"it holds the key {float(key)}, which JSON does not have")
    (text,) = to_jsonable_python({key: None}, fallback=_one_level)
    return str(text)


def _one_level(value: Any, *, keep_bytes: bool = False) -> Any:
    """What `value` is made of, one level down; the encoders ask where they know no answer."""
    if isinstance(value, bytes | bytearray | memoryview):
        if keep_bytes:
            return bytes(value)
        raise TypeError(f"it holds {len(value)} bytes of binary data; return a pondage.File, or base64 text")
    if isinstance(value, pydantic.BaseModel) and keep_bytes:
        return value.model_dump(by_alias=True, warnings="none")
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and keep_bytes:
        return _fields(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, SimpleNamespace):
        return vars(value)
    if (bare := _bare(value)) is not value:
        return bare
    known = True

    def unknown(inner: Any) -> Any:
        nonlocal known
        if inner is value:
            known = False
            return None
        return _one_level(inner)

    try:
        made = to_jsonable_python(value, by_alias=True, inf_nan_mode="constants", fallback=unknown)
    except (PydanticSerializationError, ValueError) as error:
        raise TypeError(f"it holds a {_class_of(value)}: {error}") from error
    if not known:
        raise TypeError(f"it holds a {_class_of(value)}")
    return made


def _has_odd_key(value: Any) -> bool:
    """Whether a key is one that Pydantic has other words for than JSON."""
    if isinstance(value, dict):
        return any(
            k is None or (isinstance(k, float) and not math.isfinite(k)) or _has_odd_key(v) for k, v in value.items()
        )
    return isinstance(value, list | tuple) and any(map(_has_odd_key, value))


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _class_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=lambda value: _one_level(value)
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
            _refuse_odd_numbers(member, written.get(key if type(key) is str else _key(key), ...), f"{place}.{key}")
    elif isinstance(value, list | tuple) and isinstance(written, list):
        for i, member in enumerate(value[: len(written)]):
            _refuse_odd_numbers(member, written[i], f"{place}.{i}")
    elif (bare := _bare(value)) is not value:
        _refuse_odd_numbers(bare, written, place)
