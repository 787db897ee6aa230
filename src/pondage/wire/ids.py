"""Request ids and endpoint ids.

An endpoint id is `[namespace/]owner/alias[/path]` (PROTOCOL 3). The app it names is `owner/alias`.
"""

from __future__ import annotations

import os
import re
import threading
import time

import msgspec

NAMESPACES = frozenset({"workflows", "comfy"})

RESERVED_OWNERS = frozenset(
    {
        "queue", "rest", "storage", "tokens", "files", "api", "ui", "healthz", "readyz", "metrics",
        "openapi.json", ".well-known", "favicon.ico", "static", "v1", "mcp", "runners", "neighbours",
    }
)  # fmt: skip
"""First path segments that the gateway keeps for itself; no owner can bear them."""

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_LEGACY = re.compile(r"(\d+)-([A-Za-z0-9][A-Za-z0-9-]*)\Z")

_lock = threading.Lock()
_last = 0
_random = b""
_used = 0


def _forget_random() -> None:
    global _random, _used
    _random, _used = b"", 0


os.register_at_fork(after_in_child=_forget_random)  # a child must not make its parent's ids


def new_request_id() -> str:
    """A UUIDv7 (RFC 9562): sorts by time of making, and never repeats or goes back within a process."""
    global _last, _random, _used
    with _lock:
        # 48 bits of milliseconds and 12 bits of their fraction; bumped when the clock stands still or goes back.
        stamp = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
        _last = stamp
        if _used + 8 > len(_random):
            # One call of the system serves many ids.
            _random, _used = os.urandom(4096), 0
        tail = int.from_bytes(_random[_used : _used + 8]) & 0x3FFF_FFFF_FFFF_FFFF
        _used += 8
    milliseconds, fraction = stamp >> 12, stamp & 0xFFF
    text = f"{(milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | tail:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class EndpointId(msgspec.Struct, frozen=True):
    """`[namespace/]owner/alias[/path]`, taken apart. `path` begins with `/`, and is `/` where none was given."""

    owner: str
    alias: str
    path: str = "/"
    namespace: str = ""

    @property
    def app(self) -> str:
        """The app that is addressed, `owner/alias`, with its namespace if it has one."""
        name = f"{self.owner}/{self.alias}"
        return f"{self.namespace}/{name}" if self.namespace else name

    def __str__(self) -> str:
        return self.app + ("" if self.path == "/" else self.path)


def parse_endpoint(text: str) -> EndpointId:
    """Take an endpoint id apart.

    Raises:
        ValueError: it does not name an owner and an alias; the message says what is wrong.
    """
    segments = [s for s in text.strip("/").split("/") if s]
    namespace = ""
    if len(segments) > 2 and segments[0] in NAMESPACES:
        namespace = segments.pop(0)
    if len(segments) == 1 and (legacy := _LEGACY.match(segments[0])):
        segments = [legacy[1], legacy[2]]
    if len(segments) < 2:
        raise ValueError(f"an endpoint is owner/alias[/path], got {text!r}")
    owner, alias, *rest = segments
    for name in (owner, alias):
        if not _SEGMENT.match(name):
            raise ValueError(f"{name!r} in {text!r} is not a name: letters, digits, dot, dash, underscore")
    return EndpointId(owner, alias, "/" + "/".join(rest), namespace)


def legacy_endpoint(text: str) -> EndpointId | None:
    """`12345-alias/path` read as `12345/alias/path`; None where the first segment has not that form.

    fal's clients turn the form into the newer one only where nothing follows it; some then add `/ws` (PROTOCOL 6.1).
    """
    first, _, rest = text.strip("/").partition("/")
    if (legacy := _LEGACY.match(first)) is None:
        return None
    return parse_endpoint(f"{legacy[1]}/{legacy[2]}/{rest}")


def check_app_name(name: str) -> str:
    """The app name if it is a good `owner/alias`.

    Raises:
        ValueError: not two good segments, or an owner that the gateway keeps for itself.
    """
    endpoint = parse_endpoint(name)
    if endpoint.path != "/":
        raise ValueError(f"an app's name is owner/alias, got {name!r}")
    if (endpoint.namespace or endpoint.owner) in RESERVED_OWNERS:
        raise ValueError(f"the owner {endpoint.owner!r} in {name!r} is one of the gateway's own paths; choose another")
    return endpoint.app


_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def app_name_of(class_name: str) -> str:
    """The alias of an app whose class gives no name: CamelCase becomes kebab-case (PROTOCOL 11.1)."""
    return _WORD_START.sub("-", class_name).replace("_", "-").strip("-").lower()
