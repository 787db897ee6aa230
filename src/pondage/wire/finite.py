"""Numbers that JSON does not have: NaN and the infinities. Whoever would write them as null looks here first. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

_NEVER = frozenset({str, int, bool, bytes, type(None)})
"""Types that hold no such number, nor anything that could."""

_LARGEST_TEXT = 256 * 1024
"""Characters of a text that is looked through: millions of numbers would take seconds."""


class Odd(NamedTuple):
    """Where a value holds one: the members on the way to it, and the number."""

    place: tuple[str | int, ...]
    number: float

    def __str__(self) -> str:
        at = ".".join(map(str, self.place))
        return f"{at} is {self.number}" if at else f"it is {self.number}"


def find_odd(value: Any, plain: Callable[[Any], Any] | None = None) -> Odd | None:
    """The first NaN or infinity in dicts, lists and tuples; None if there is none.

    Args:
        value: what is about to be written.
        plain: makes what is none of these, and no number or text, into what is; without it such things are passed over.
    """
    kind = type(value)
    if kind in _NEVER:
        return None
    if isinstance(value, float):
        return None if isfinite(value) else Odd((), float(value))
    if isinstance(value, Mapping):
        for key, member in value.items():
            if type(member) not in _NEVER and (odd := find_odd(member, plain)) is not None:
                return Odd((str(key), *odd.place), odd.number)
    elif isinstance(value, list | tuple):
        if _all_finite(value):
            return None
        for n, member in enumerate(value):
            if type(member) not in _NEVER and (odd := find_odd(member, plain)) is not None:
                return Odd((n, *odd.place), odd.number)
    elif plain is not None:
        return find_odd(plain(value))
    return None


def _all_finite(items: list[Any] | tuple[Any, ...]) -> bool:
    """Whether these are numbers, all of them finite; the quick way past a long row of them. False says nothing."""
    if not items or type(items[0]) is not float or type(items[-1]) is not float:
        return False
    try:
        return isfinite(sum(items))
    except (TypeError, ValueError, OverflowError):
        return False


def odd_in_text(text: bytes | str) -> Odd | None:
    """The first NaN or infinity in what would be JSON but for them, as some writers leave them there. None: there is
    none, or the text is too large to be looked through."""
    if len(text) > _LARGEST_TEXT:
        return None
    raw = text.encode(errors="replace") if isinstance(text, str) else text
    if b"NaN" not in raw and b"Infinity" not in raw:
        return None
    try:
        return find_odd(json.loads(text))
    except (ValueError, RecursionError):
        return None
