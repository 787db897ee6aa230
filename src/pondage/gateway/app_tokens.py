"""Tokens for calls that apps make to their own server: short-lived like others, and of no key."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import msgspec

from pondage.clock import Clock
from pondage.wire.scopes import DEFAULT

APP = "app:"
"""Begins the id of a caller that is an app of this server. No key's id has a colon."""


class AppTokens:
    """Makes them, from the start on: runners that have outlived a gateway come before the gateway answers callers.

    Args:
        secret: what all short-lived tokens are signed with.
        max_age: seconds that one lives.
    """

    def __init__(self, secret: bytes, clock: Clock, max_age: float) -> None:
        self._secret = secret
        self._clock = clock
        self._max_age = max_age

    def of(self, app: str) -> str:
        """A token with which an app may call any app, and see its own requests."""
        now = self._clock.wall()
        subject = APP + app
        claims = {
            "sub": subject, "apps": [], "iat": int(now), "exp": int(now + self._max_age), "scopes": sorted(DEFAULT),
            "subject": subject,
        }  # fmt: skip
        # By hand, since every start needs one: PyJWT takes its time to be imported.
        head = _encoded({"alg": "HS256", "typ": "JWT"}) + b"." + _encoded(claims)
        signature = base64.urlsafe_b64encode(hmac.digest(self._secret, head, "sha256")).rstrip(b"=")
        return (head + b"." + signature).decode()


def _encoded(value: Any) -> bytes:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=")
