"""Whom the client trusts: the system's certificates, read once a process (it takes 30 ms), not for each client."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache


def certificates() -> ssl.SSLContext:
    """What `SSL_CERT_FILE` and `SSL_CERT_DIR` name, else the system's own."""
    return _read(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _read(file: str | None, folder: str | None) -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()
