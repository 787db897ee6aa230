"""Which bytes of a file a download asks for, and whether it asks at all (RFC 9110, sections 13 and 14). Pure."""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

from pondage.errors import RangeNotSatisfiable

MAX_RANGES = 64
_SPEC = re.compile(r"\s*(\d*)\s*-\s*(\d*)\s*\Z", re.ASCII)
_TAG = re.compile(r'(?:W/)?"[^"]*"|\*')


class Span(NamedTuple):
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int


def parse_ranges(header: str, size: int) -> list[Span] | None:
    """The spans that a `Range` header asks for, joined where they touch; None where it is to be ignored.

    Raises:
        RangeNotSatisfiable: it is malformed, or no span of it lies within the file.
    """
    unit, equals, text = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    specs = [spec for spec in text.split(",") if spec.strip()]
    if not equals or not specs or len(specs) > MAX_RANGES:
        raise _unsatisfiable(header, size)
    spans = []
    for spec in specs:
        match = _SPEC.match(spec)
        if match is None or match[0].strip() == "-" or len(spec) > 64:
            raise _unsatisfiable(header, size)
        first, last = match[1], match[2]
        if first and last and int(last) < int(first):
            raise _unsatisfiable(header, size)
        if first:
            span = Span(int(first), min(int(last) + 1, size) if last else size)
        else:
            span = Span(max(size - int(last), 0), size)
        if span.start < span.end:
            spans.append(span)
    if not spans:
        raise _unsatisfiable(header, size)
    return _joined(spans)


def _joined(spans: list[Span]) -> list[Span]:
    """The spans in the order they were asked for, unless some overlap or touch: then in order and joined, so that
    no byte is sent twice."""
    ordered = sorted(spans)
    joined = [ordered[0]]
    for span in ordered[1:]:
        if span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return spans if len(joined) == len(spans) else joined


def _unsatisfiable(header: str, size: int) -> RangeNotSatisfiable:
    message = f"the range {header[:100]!r} is not within the file's {size} bytes"
    return RangeNotSatisfiable(message, headers={"content-range": f"bytes */{size}"})


def matches(header: str, etag: str) -> bool:
    """Whether an `If-None-Match` header names the file as it is (weak comparison)."""
    found = _TAG.findall(header)
    return "*" in found or any(tag.removeprefix("W/") == etag for tag in found)


def unmodified_since(header: str, modified: float) -> bool:
    """Whether the file is no newer than the date; a date that cannot be read is no condition."""
    try:
        return int(modified) <= parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError, OverflowError):
        return False


def same_version(header: str, etag: str, modified: float) -> bool:
    """Whether `If-Range` names the file as it is: then the range may be sent, else all of it (strong comparison)."""
    header = header.strip()
    return header == etag if header.startswith(('"', "W/")) else header == http_date(modified)


def http_date(seconds: float) -> str:
    """Wall seconds as HTTP writes dates."""
    return formatdate(int(seconds), usegmt=True)
