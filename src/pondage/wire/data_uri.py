"""`data:` URIs: bytes in the place of an address (RFC 2397). Pure.

What can be read in one way only is read, all else is refused: dropping what does not fit would make other bytes of it.
"""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

_FOLDS = b"\r\n\t\f"
"""What stands where a long line was broken."""
_ALPHABET = re.compile(rb"[A-Za-z0-9+/_-]*={0,2}\Z")
_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def is_data_uri(url: str) -> bool:
    return url[:5].lower() == "data:"


def content_type_of(url: str) -> str:
    """What it says that it holds; `text/plain` if it says nothing."""
    return url[5:].partition(",")[0].partition(";")[0].strip().lower() or "text/plain"


def size_of(url: str) -> int:
    """How many bytes it holds, or a few more, without decoding it."""
    head, _, body = url.partition(",")
    return len(body) * 3 // 4 if _is_base64(head) else len(body)


def decode(url: str) -> tuple[str, bytes]:
    """The content type and the bytes of a data URI.

    Raises:
        ValueError: it has no comma, or is not base64 though it says so.
    """
    head, comma, body = url.partition(",")
    if not comma:
        raise ValueError("this data URI has no comma")
    if not _is_base64(head):
        return content_type_of(url), unquote_to_bytes(body)
    if "%" in body and (wrong := _ESCAPE.search(body)):
        raise ValueError(f"this data URI is not base64: {body[wrong.start() : wrong.start() + 3]!r} is no escape")
    return content_type_of(url), decode_base64(unquote_to_bytes(body))


def decode_base64(text: bytes) -> bytes:
    """The bytes that base64 stands for: of either alphabet, with or without padding, in one line or several.

    Raises:
        ValueError: anything else. A space is refused, too: it may have been a `+`.
    """
    text = text.translate(None, _FOLDS)
    if not _ALPHABET.match(text):
        odd = re.search(rb"[^A-Za-z0-9+/_=-]", text)
        why = f"it holds {chr(odd[0][0])!r}" if odd else "its padding is not at its end"
        if odd and odd[0] == b" ":
            why += ", which may have been a +"
        raise ValueError(f"this data URI is not base64: {why}")
    bare = text.rstrip(b"=")
    padding = len(text) - len(bare)
    if len(bare) % 4 == 1 or (padding and len(text) % 4):
        raise ValueError(f"this data URI is not base64: {len(bare)} characters and {padding} of padding make no bytes")
    if b"-" in bare or b"_" in bare:
        bare = bare.translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"this data URI is not base64: {error}") from error


def _is_base64(head: str) -> bool:
    return head.rpartition(";")[2].strip().lower() == "base64" and ";" in head
