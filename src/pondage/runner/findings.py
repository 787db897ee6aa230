"""What Pydantic found wrong with an input, in fal's shape and bounded: a few megabytes may hold millions of faults."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pydantic

from pondage.wire.text import MAX_ENTRIES, MAX_NAME, MAX_PLACE, MAX_VALUE, text_of


class Misfit(Exception):
    """An input that cannot be read, or does not fit its types. What the author's own code finds so is no such thing."""

    def __init__(self, found: Exception) -> None:
        super().__init__(str(type(found).__name__))
        self.found = found


_FEW = 1000
"""Up to so many findings Pydantic lists in Python; more take it seconds, and are read from its JSON."""
_read_json = json.JSONDecoder().raw_decode


def validation_detail(error: pydantic.ValidationError) -> list[dict[str, Any]]:
    """The findings: `loc` begins with `body`. At most MAX_ENTRIES of them, then one that says how many there are."""
    count = error.error_count()
    found = _all(error) if count <= _FEW else _first(error)
    entries = [_entry(one) for one in found[:MAX_ENTRIES]]
    if count > len(entries):
        text = f"{count} errors in all; the first {len(entries)} are listed"
        entries.append({"loc": ["body"], "msg": text, "type": "too_many_errors"})
    return entries


def in_a_sentence(found: Exception, *, text: bool) -> str:
    """What is wrong with a message of a session: its first finding, or that it cannot be read at all."""
    if not isinstance(found, pydantic.ValidationError):
        return f"this is not {'JSON' if text else 'msgpack'}: {text_of(found)}"
    first = validation_detail(found)[0]
    place = ".".join(map(str, first["loc"][1:]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def _all(error: pydantic.ValidationError) -> list[Any]:
    try:
        return error.errors(include_url=False)
    except Exception:  # what a validator of the author's own put into the context cannot be read
        return error.errors(include_url=False, include_context=False)


def _first(error: pydantic.ValidationError) -> list[Any]:
    text = error.json(include_url=False, include_context=False, include_input=False)
    found: list[Any] = []
    at = 1
    while len(found) < MAX_ENTRIES:
        one, at = _read_json(text, at)
        found.append(one)
        at += 1
    return found


def _entry(found: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "loc": _place(found["loc"]),
        "msg": text_of(found["msg"]),
        "type": text_of(found["type"], MAX_VALUE),
    }
    if "input" in found and (shown := _json_if_short(found["input"])) is not msgspec.UNSET:
        entry["input"] = shown
    if context := found.get("ctx"):
        entry["ctx"] = {
            text_of(key, MAX_NAME): value
            if type(value) in (bool, float) or _small(value)
            else text_of(value, MAX_VALUE)
            for key, value in list(context.items())[:MAX_PLACE]
        }
    return entry


def _place(loc: Any) -> list[str | int]:
    parts: list[str | int] = [part if _small(part) else text_of(part, MAX_NAME) for part in loc[:MAX_PLACE]]
    if len(loc) > MAX_PLACE:
        parts.append(f"… ({len(loc) - MAX_PLACE} more)")
    return ["body", *parts]


def _small(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**64


def _json_if_short(value: Any) -> Any:
    """The value where JSON can hold it and it is short, else UNSET: an answer does not send pictures back."""
    if _most(value, MAX_VALUE) < 0:
        return msgspec.UNSET
    try:
        encoded = msgspec.json.encode(value, enc_hook=text_of)
        return msgspec.json.decode(encoded) if len(encoded) <= MAX_VALUE else msgspec.UNSET
    except (TypeError, ValueError, OverflowError, RecursionError):
        return msgspec.UNSET


def _most(value: Any, left: int) -> int:
    """What is left of a number of bytes after `value`, at the least; negative as soon as that is sure."""
    if isinstance(value, str | bytes | bytearray):
        return left - len(value)
    if isinstance(value, dict):
        for key, member in value.items():
            if (left := _most(member, _most(key, left))) < 0:
                break
        return left
    if isinstance(value, list | tuple):
        for member in value:
            if (left := _most(member, left - 1)) < 0:
                break
        return left
    return left - 1
