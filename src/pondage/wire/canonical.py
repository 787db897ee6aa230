"""One spelling for JSON documents that say the same: sorted keys, no white space, numbers as written. Pure."""

from __future__ import annotations

import json
from typing import Any


class _Number(str):
    """A number as it was written: 1, 1.0 and 1e0 are three documents, since apps may tell them apart."""

    __slots__ = ()


_MOST_VALUES = 20_000
"""A document of more is compared as it stands: to read and write millions takes seconds."""

_decode = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_Number).decode
_quote = json.encoder.encode_basestring_ascii


def canonical(document: bytes) -> bytes:
    """The document in its one spelling; as it stands, where it is no JSON, is nested too deeply to be read or holds too
    many values."""
    if sum(map(document.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        return document
    try:
        parts: list[str] = []
        _write(_decode(document.decode()), parts)
    except (ValueError, RecursionError):
        return document
    return "".join(parts).encode()


def same(one: bytes, other: bytes) -> bool:
    """Whether two documents say the same."""
    return one == other or canonical(one) == canonical(other)


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, _Number):
        parts.append(value)
    elif isinstance(value, str):
        parts.append(_quote(value))
    elif isinstance(value, dict):
        separator = "{"
        for key in sorted(value):
            parts.append(f"{separator}{_quote(key)}:")
            _write(value[key], parts)
            separator = ","
        parts.append("}" if value else "{}")
    elif isinstance(value, list):
        separator = "["
        for item in value:
            parts.append(separator)
            _write(item, parts)
            separator = ","
        parts.append("]" if value else "[]")
    else:
        parts.append("null" if value is None else "true" if value else "false")
