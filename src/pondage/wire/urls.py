"""URLs that came from outside, as they go into a request: nothing is decoded, dropped or put in order. Pure.

HTTP libraries do all of that, and what was signed is then no longer what is asked for.
"""

from __future__ import annotations

from urllib.parse import quote

_STANDS = "".join(chr(code) for code in range(33, 127))


def in_ascii(text: str) -> str:
    """Escapes for what no request line can hold: characters beyond ASCII, spaces and control characters."""
    return quote(text, safe=_STANDS)


def request_target(url: str) -> str:
    """Path and query of an absolute URL as they stand in it."""
    rest = url.partition("#")[0].partition("://")[2]
    begin = min((n for n in map(rest.find, "/?") if n >= 0), default=len(rest))
    target = in_ascii(rest[begin:])
    return target if target.startswith("/") else f"/{target}"
