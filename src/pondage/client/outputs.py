"""Outputs: from the bytes of an answer to what the caller asked for."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import msgspec

from pondage.client.errors import OutputMismatch


def decode_output(body: bytes, output_type: Any = None) -> Any:
    """The JSON in `body`: plain, or as `output_type`.

    Args:
        body: JSON.
        output_type: a Pydantic model, a msgspec struct, a dataclass, a TypedDict, or a type made of them such as
            `list[Image]`. Pydantic is used only for its own models.

    Raises:
        OutputMismatch: no JSON, or not of that type; the message says where.
    """
    try:
        if output_type is None:
            return _plain(body)
        if callable(validate := getattr(output_type, "model_validate_json", None)):
            return validate(body)
        return _typed(output_type).decode(body)
    except ValueError as error:  # msgspec's and Pydantic's errors are ValueErrors
        wanted = "JSON" if output_type is None else getattr(output_type, "__name__", str(output_type))
        raise OutputMismatch(f"the answer is not {wanted}: {error}") from error


_decoder = msgspec.json.Decoder()


def _plain(body: bytes) -> Any:
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError:
        return json.loads(body)  # knows NaN and Infinity, which some servers write


@lru_cache(256)
def _typed(output_type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(output_type, dec_hook=_model)


def _model(kind: Any, value: Any) -> Any:
    if callable(validate := getattr(kind, "model_validate", None)):
        return validate(value)
    raise NotImplementedError(f"output_type cannot hold {kind!r}")


def convert_output(value: Any, output_type: Any = None) -> Any:
    """A value that was decoded already, as `output_type`; see `decode_output`.

    Raises:
        OutputMismatch: it does not fit.
    """
    if output_type is None:
        return value
    try:
        if callable(validate := getattr(output_type, "model_validate", None)):
            return validate(value)
        return msgspec.convert(value, output_type, dec_hook=_model)
    except ValueError as error:
        raise OutputMismatch(f"the result is not {getattr(output_type, '__name__', output_type)}: {error}") from error
