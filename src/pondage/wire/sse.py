"""Server-sent events, encoding only (WHATWG HTML 9.2). One block is one `bytes`, so that no write ever splits it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

KEEP_ALIVE = b": keep-alive\n\n"
_DIGITS = 18
"""Digits of a number that a database can hold."""


def data_of(members: Any) -> bytes:
    """JSON in ASCII, for a `data:` line: many readers also end a line at U+0085, U+2028 and their like, and what they
    cut is no JSON any more."""
    data = msgspec.json.encode(members)
    return data if data.isascii() else json.dumps(msgspec.json.decode(data), separators=(",", ":")).encode()


def block(data: bytes, *, event_id: str | None = None) -> bytes:
    """One event: its `data:` line and, where given, its `id:` before it. `data` is ASCII JSON on one line."""
    if event_id is None:
        return b"data: " + data + b"\n\n"
    return b"id: " + event_id.encode() + b"\ndata: " + data + b"\n\n"


def parse_chunk_id(text: str | None) -> tuple[int, int]:
    """`(attempt, n)` of a chunk's id; `(0, 0)`, before everything, for none.

    Raises:
        ValueError: the text is no id of ours.
    """
    if not text:
        return (0, 0)
    attempt, _, n = text.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) <= _DIGITS for part in (attempt, n)):
        raise ValueError(f"{text!r} is not an event id of this stream; ids look like 1-42")
    return (int(attempt), int(n))
