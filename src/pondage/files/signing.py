"""Signed words: a purpose, a subject and an end, under the key of the files' tables. They need no row to be checked."""

from __future__ import annotations

import base64
import hashlib
import hmac

from pondage.errors import Unauthorized


class Signer:
    """Makes and checks tokens of the form `<end>.<signature>`."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, purpose: str, subject: str, until: float) -> str:
        """A token for `subject`, good until `until` (wall seconds)."""
        end = int(until)
        return f"{end}.{self._signature(purpose, subject, end)}"

    def check(self, purpose: str, subject: str, token: str, now: float) -> None:
        """Check a token.

        Raises:
            Unauthorized: it is forged, for another purpose or subject, or its time is over.
        """
        text, dot, signature = token.partition(".")
        if not (dot and text.isascii() and text.isdigit() and len(text) < 16 and signature.isascii()):
            raise Unauthorized("the URL is not signed by this server")
        end = int(text)
        if not hmac.compare_digest(signature, self._signature(purpose, subject, end)):
            raise Unauthorized("the URL is not signed by this server")
        if now >= end:
            raise Unauthorized("the signature of the URL has expired; ask for a new one")

    def _signature(self, purpose: str, subject: str, end: int) -> str:
        digest = hmac.new(self._secret, f"{purpose}\n{subject}\n{end}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
