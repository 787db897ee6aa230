"""What a key may do: the scopes, and which of them opens what (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

SCOPES: dict[str, str] = {
    "submit": "make requests, and cancel and repeat its own",
    "read": "see its own requests, their results and their webhooks",
    "read-all": "see everybody's requests, their results and their webhooks",
    "files": "upload, list, sign and delete its own files",
    "metrics": "read the metrics",
    "operate": "read runners' logs; cancel anybody's requests, repeat anybody's webhooks",
    "join": "join as a runner",
    "admin": "everything, the server's secrets included",
}
"""Every scope, and what it lets its holder do. A key for some apps has each of them for these apps alone."""

DEFAULT = ("submit", "read", "files")
"""What a key has whose maker names no scopes."""

PRIORITIES = {"normal": 0, "low": 1}
"""What requests may ask for, and a key may be held to; the lower number goes first."""

OR = " or "
"""Between the scopes of a route that each of them opens."""


@cache
def opened_by(wanted: str) -> frozenset[str]:
    """The scopes each of which opens what needs `wanted`: a scope, or several with ` or ` between them."""
    scopes = {*wanted.split(OR), "admin"}
    if "read" in scopes:
        scopes.add("read-all")
    return frozenset(scopes)


def within(held: frozenset[str], wanted: Iterable[str]) -> frozenset[str]:
    """Those of `wanted` that a key with the scopes `held` may give away."""
    return frozenset(scope for scope in wanted if not opened_by(scope).isdisjoint(held))
