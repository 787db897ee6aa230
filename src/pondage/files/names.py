"""What callers say about files, read and checked: names, types, lifecycle headers. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec

from pondage.errors import InvalidInput
from pondage.files.interface import Lifecycle

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(\s*;.*)?\Z")
_ID = re.compile(r"[0-9A-Za-z]{8,64}\Z")

LIFECYCLE_HEADERS = ("x-fal-object-lifecycle-preference", "x-fal-object-lifecycle")
"""Where callers say how long files live; of several the first counts."""
MAX_NAME = 255
MAX_TYPE = 255
MAX_EXPIRY = 100 * 365 * 86_400.0


def path_of(file_id: str, file_name: str) -> str:
    """The path of a file's URL."""
    return f"/files/{file_id}/{quote(file_name, safe='')}"


def id_of(path: str) -> str | None:
    """The id in the path of a file's URL, or None if it is no such path."""
    # Whatever stands before it: a proxy's prefix, or `/rest`.
    _, files, rest = path.partition("/files/")
    file_id = rest.partition("/")[0]
    return file_id if files and _ID.match(file_id) else None


def clean_name(name: str, *, loc: str = "file_name", default: str = "file") -> str:
    """The last segment of a file name.

    Raises:
        InvalidInput: it holds control characters, or cannot be written as UTF-8.
    """
    refuse_control(name, loc)
    last = re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1].strip()
    if last in {"", ".", ".."}:
        last = default
    while len(last.encode()) > MAX_NAME:
        # The end of a name tells what it is: cut the stem.
        stem, dot, suffix = last.rpartition(".")
        last = stem[:-1] + dot + suffix if dot and len(stem) > 1 and len(suffix) < 32 else last[:-1]
    return last


def clean_type(content_type: str, *, loc: str = "content_type") -> str:
    """A content type as it was declared; empty becomes `application/octet-stream`.

    Raises:
        InvalidInput: it holds control or other than ASCII characters, or is no `type/subtype`.
    """
    refuse_control(content_type, loc)
    text = content_type.strip()
    if not text:
        return "application/octet-stream"
    if len(text) > MAX_TYPE or not text.isascii() or not _TYPE.match(text):
        raise InvalidInput.field(["body", loc], f"{text[:80]!r} is no content type; expected type/subtype")
    return text


def refuse_control(text: str, loc: str) -> None:
    """Raises InvalidInput if `text` holds control characters or lone surrogates."""
    if _CONTROL.search(text):
        raise InvalidInput.field(["body", loc], "control characters are not allowed here")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput.field(["body", loc], "is not valid Unicode") from None


class _Acl(msgspec.Struct):
    default: str = "allow"


class _Preference(msgspec.Struct):
    expiration_duration_seconds: float | None = None
    initial_acl: _Acl | None = None


def read_lifecycle(header: str | None, *, loc: str = "X-Fal-Object-Lifecycle") -> Lifecycle:
    """fal's lifecycle header (PROTOCOL 4.3, 7.3). `hide` and `forbid` as default make a file private.

    Raises:
        InvalidInput: it is not the JSON object that it must be, or the time is not positive.
    """
    refuse_control(header or "", loc)
    if header is None or not header.strip():
        return Lifecycle()
    try:
        preference = msgspec.json.decode(header.encode(), type=_Preference)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidInput.field(["header", loc], f"{error}") from None
    seconds = preference.expiration_duration_seconds
    if seconds is not None and not 0 < seconds <= MAX_EXPIRY:
        raise InvalidInput.field(
            ["header", loc], f"expiration_duration_seconds must be above 0 and at most 100 years, got {seconds}"
        )
    default = preference.initial_acl.default if preference.initial_acl else "allow"
    if default not in {"allow", "hide", "forbid"}:
        raise InvalidInput.field(["header", loc], f"initial_acl.default must be allow, hide or forbid, got {default!r}")
    return Lifecycle(expires_in=seconds, private=default != "allow")
