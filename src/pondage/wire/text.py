"""Whatever an author's code hands over, as text that a frame can carry: read without raising, cleaned, and bounded.

An exception may have no text, a name may hold half a character, a message may be a gigabyte. Nothing here raises for
any of it. The limits of what travels beside an output are named here, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

MAX_SENTENCE = 2048
"""Characters of a line that says how a request ended, or why an app does not start."""
MAX_DETAIL = 64 * 1024
"""Characters of the `detail` of an error that an app raises; bytes, where it is no text."""
MAX_ENTRIES = 100
"""Entries of a 422; the next one says how many there are."""
MAX_VALUE = 1024
"""Bytes of the input that an entry of a 422 shows, and characters of each text in it."""
MAX_PLACE = 32
"""Members of the `loc` of an entry."""
MAX_NAME = 255
"""Characters of the name and of the content type of a file, and of the name of a logger."""
MAX_HEADERS = 64
"""Headers that an app may set on a result."""
MAX_HEADER = 8 * 1024
"""Characters of one such header."""
MAX_TRACE = 256 * 1024
"""Characters of a traceback, before `max_log_line` cuts it where it is logged."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_FRAMING = frozenset(
    {
        "connection", "content-encoding", "content-length", "keep-alive", "proxy-authenticate", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade", "x-fal-request-id",
    }
)  # fmt: skip
"""Headers that say how an answer is framed, or whose it is, which only the server knows."""


def clean(text: str) -> str:
    """The text as UTF-8 can write it: half a character (a lone surrogate) becomes its escape, `\\udce9`.

    What comes back is a plain `str`, whatever subclass came.
    """
    if type(text) is str:
        if text.isascii():
            return text
        try:
            text.encode()
            return text
        except UnicodeEncodeError:
            pass
    return str.encode(text, "utf-8", "backslashreplace").decode()


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit} characters cut)"


def text_of(value: object, limit: int = MAX_SENTENCE) -> str:
    """`str(value)`, clean and bounded; where it has no text, a phrase that says so."""
    return _said(value, str, limit)


def repr_of(value: object, limit: int = MAX_SENTENCE) -> str:
    """`repr(value)`, likewise."""
    return _said(value, repr, limit)


def name_of(value: object) -> str:
    """The name of the value's class."""
    try:
        return cut(clean(type(value).__name__), MAX_NAME)
    except Exception:  # a metaclass of the author's own
        return "object"


def _said(value: object, say: Callable[[object], str], limit: int) -> str:
    text: str = value  # type: ignore[assignment]
    if type(value) is not str or say is not str:
        try:
            text = say(value)
        except BaseException as error:
            if any(cls.__name__ == "CancelledError" for cls in type(error).__mro__):
                raise  # the attempt is being stopped, just now
            return f"<a {name_of(value)} without text: {name_of(error)} while it was asked>"
    return clean(cut(str.__getitem__(text, slice(None)), limit))


def in_one_line(error: BaseException) -> str:
    """`ValueError: it broke`: the first line of its text, or its type alone."""
    name, text = name_of(error), text_of(error, MAX_SENTENCE).strip()
    return f"{name}: {text.splitlines()[0]}" if text else name


def number_of(value: object, what: str) -> float:
    """A number of any kind (NumPy's, Decimal, a tensor of one element) as a float.

    Raises:
        TypeError: it is none, or text. ValueError: it is NaN or infinite.
    """
    if isinstance(value, str | bytes | bytearray):
        raise TypeError(f"{what} must be a number, got {repr_of(value, 80)}")
    try:
        found = float(value)  # type: ignore[arg-type]
    except OverflowError as error:
        raise ValueError(f"{what} is too large for a number") from error
    except Exception as error:
        raise TypeError(f"{what} must be a number, got a {name_of(value)}") from error
    if found - found != 0.0:
        raise ValueError(f"{what} must be a finite number, got {found}")
    return found


def fit_headers(headers: Iterable[tuple[object, object]]) -> tuple[dict[str, str], list[str]]:
    """The headers that HTTP can carry, and a sentence for each that it cannot: an illegal name or value, one that says
    how the answer is framed, too long, too many."""
    kept: dict[str, str] = {}
    left_out: list[str] = []
    for raw_name, raw_value in headers:
        name, value = text_of(raw_name, MAX_HEADER), text_of(raw_value, MAX_HEADER)
        shown = repr_of(name, 80)
        if len(kept) >= MAX_HEADERS:
            left_out.append(f"header {shown}: at most {MAX_HEADERS} are taken")
        elif not _TOKEN.fullmatch(name) or len(name) > MAX_NAME:
            left_out.append(f"header {shown}: this is no name of a header")
        elif name.lower() in _FRAMING:
            left_out.append(f"header {shown}: the server sets it")
        elif len(value) > MAX_HEADER:
            left_out.append(f"header {shown}: at most {MAX_HEADER} characters are taken")
        elif (found := _NOT_IN_A_VALUE.search(value)) is not None:
            left_out.append(f"header {shown}: its value holds {found.group()!r}, which no header can carry")
        else:
            kept[name] = value.strip()
    return kept, left_out
