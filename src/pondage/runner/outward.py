"""URLs of the server's own files, as the outer caller can use them.

An app that calls its own server does so on this machine, and gets URLs that begin with the address that it called. Its
own caller may have come by another name: what the app passes on begins with that one.
"""

from __future__ import annotations

import os

_OWN = os.environ.get("PONDAGE_URL", "").rstrip("/")
"""The server's address as apps were given it."""


def outward(body: bytes, base_url: str, own: str = _OWN) -> bytes:
    """JSON with every string that begins with one of this server's file URLs begun as its caller came.

    Args:
        base_url: what the URLs of this caller's answers begin with.
        own: the address by which apps call the server.
    """
    if not own or own == base_url or not base_url:
        return body
    return body.replace(b'"%s/files/' % own.encode(), b'"%s/files/' % base_url.rstrip("/").encode())
