"""Inputs: JSON of what a caller gives, and which parts of it are files that must be uploaded first.

`pathlib.Path`, `bytes` and PIL images are files, wherever they stand in lists, tuples, dictionaries, dataclasses,
Pydantic models and msgspec structs. A `str` never is, even if it names one.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pondage.client.errors import NotFinite
from pondage.pixels import fit_for, upright
from pondage.wire import media_types, sniff
from pondage.wire.finite import find_odd

_PLAIN = frozenset({str, int, float, bool, type(None)})


class LocalFile(NamedTuple):
    """A part of an input that must become a URL: bytes, or the path of a file."""

    source: Path | bytes
    content_type: str
    file_name: str | None


def encode_input(value: Any) -> bytes:
    """`value` as JSON. Pydantic models, dataclasses, msgspec structs and numpy numbers are understood.

    Raises:
        TypeError: something in it is no JSON.
        NotFinite: it holds NaN or an infinity.
    """
    body = _encoder.encode(value)
    if b"null" in body:  # what the encoder writes in their place
        check_finite(value)
    return body


def check_finite(value: Any) -> None:
    """Raise NotFinite, with the place, if an input holds NaN or an infinity. No official server takes them, and to
    send something else in their place would change what the caller means."""
    if (odd := find_odd(value, _built_in)) is not None:
        raise NotFinite(f"the input cannot be sent: {odd}, which JSON does not have")


def _built_in(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=foreign, builtin_types=(bytes, bytearray, memoryview))


def foreign(value: Any) -> Any:
    """What the encoders do not know by themselves, as something that they know.

    Raises:
        TypeError: it is no JSON either.
    """
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json", exclude_unset=True)
    if callable(tolist := getattr(value, "tolist", None)):
        return tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


_encoder = msgspec.json.Encoder(enc_hook=foreign)


def find_files(value: Any) -> list[LocalFile]:
    """The files in an input, in the order in which `put_urls` wants their URLs."""
    found: list[LocalFile] = []
    _walk(value, found)
    return found


def has_files(value: Any) -> bool:
    """Whether there is a file in an input; cheap where there is none."""
    kind = type(value)
    if kind in _PLAIN:
        return False
    if isinstance(value, list | tuple):
        return any(type(item) not in _PLAIN and has_files(item) for item in value)
    if (members := _members(value)) is not None:
        return any(type(item) not in _PLAIN and has_files(item) for item in members.values())
    return _is_file(value)


def _walk(value: Any, found: list[LocalFile]) -> None:
    kind = type(value)
    if kind in _PLAIN:
        return
    if isinstance(value, list | tuple):
        for item in value:
            if type(item) not in _PLAIN:
                _walk(item, found)
    elif (members := _members(value)) is not None:
        for item in members.values():
            if type(item) not in _PLAIN:
                _walk(item, found)
    elif (file := _as_file(value)) is not None:
        found.append(file)


def _members(value: Any) -> Mapping[Any, Any] | None:
    """What a dictionary or an object with fields holds, by the names that JSON has for it; None for anything else."""
    if type(value) is dict or isinstance(value, Mapping):
        return value
    if _is_model(value):
        return {name: getattr(value, name) for name in sorted(value.model_fields_set)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__
        named = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        return named if tag.tag is None else {tag.tag_field: tag.tag, **named}
    return None


def _is_model(value: Any) -> bool:
    """Whether it is a Pydantic model, without importing Pydantic."""
    return hasattr(value, "model_fields_set") and callable(getattr(value, "model_dump", None))


def put_urls(value: Any, urls: list[str]) -> Any:
    """The same input with a URL in the place of each file; the caller's own objects are not changed."""
    return _replace(value, iter(urls).__next__)


def _replace(value: Any, next_url: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return [_replace(item, next_url) for item in value]
    if not isinstance(value, dict) and not has_files(value):
        return value  # it has its own way into JSON
    if (members := _members(value)) is not None:
        if not _is_model(value):
            return {key: _replace(item, next_url) for key, item in members.items()}
        files = {name: item for name, item in members.items() if has_files(item)}
        rest = value.model_dump(mode="json", exclude_unset=True, exclude=set(files))
        return rest | {name: _replace(item, next_url) for name, item in files.items()}
    return next_url()


def _is_file(value: Any) -> bool:
    return isinstance(value, Path | bytes | bytearray | memoryview) or is_pil_image(value)


def _as_file(value: Any) -> LocalFile | None:
    if isinstance(value, Path):
        return LocalFile(value, type_of_name(value.name), value.name)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return LocalFile(data, type_of_bytes(data), None)
    if is_pil_image(value):
        return LocalFile(image_bytes(value, "png"), "image/png", None)
    return None


def is_pil_image(value: Any) -> bool:
    """Whether it is a picture of PIL's, without importing PIL."""
    return any(base.__module__ == "PIL.Image" and base.__name__ == "Image" for base in type(value).__mro__)


def image_bytes(image: Any, format: str) -> bytes:
    """A PIL image as a file of the format (`jpeg`, `png`, …), upright; transparency that a format has not is left out.

    Raises:
        PixelRange: its numbers cannot be scaled to what the format holds; also a ValueError.
    """
    format = "jpeg" if format.lower() == "jpg" else format.lower()
    with io.BytesIO() as buffer:
        fit_for(upright(image), format).save(buffer, format=format)
        return buffer.getvalue()


def type_of_name(name: str) -> str:
    """The media type that a file's name stands for."""
    return media_types.type_of_name(name) or media_types.UNKNOWN


def type_of_bytes(data: bytes) -> str:
    """The media type that the first bytes of a file stand for; `application/octet-stream` for unknown ones."""
    return sniff.kind_of(data[: sniff.HEAD]) or media_types.UNKNOWN
