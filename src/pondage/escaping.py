"""Text of others on its way to a terminal or a log: what would steer it is shown as text.

An app prints what its callers send, and a terminal obeys what it is sent: it moves its cursor, renames its window,
fills the clipboard. So control characters (C0, DEL, C1), line ends other than `\\n`, marks that turn the reading
direction round, and lone surrogates are written as `\\u001b`: within JSON that is the same value still.
"""

from __future__ import annotations

import re

_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""All but tab and newline, which are what they look like."""
_BREAK = re.compile(r"\n(?! )")


def escape_controls(text: str) -> str:
    """`text` with everything that would steer a terminal written as `\\uXXXX`. Tabs and newlines stay."""
    return _STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def escape_lines(text: str) -> str:
    """The same, with every further line indented, so that no text can pass for an entry of its own."""
    return _BREAK.sub("\n  ", escape_controls(text))
