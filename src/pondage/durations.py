"""Durations as people write them: seconds, or a number with a unit."""

from __future__ import annotations

import re

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
"""Seconds in each unit."""

EXAMPLES = "seconds, or like 90s, 15m, 12h, 7d"
"""What error texts say of the form."""

_FORM = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*(ms|[smhdw])\s*", re.ASCII)


def seconds(text: str) -> float:
    """The seconds that `text` means: `90`, `1.5`, `90s`, `250ms`, `15m`, `12h`, `7d`, `2w`.

    Raises:
        ValueError: it is no duration; the message says what one looks like.
    """
    if found := _FORM.fullmatch(text):
        return float(found[1]) * UNITS[found[2]]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r} is no duration; write {EXAMPLES}")
    return value
