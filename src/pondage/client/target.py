"""Where the client's calls go, and which key they carry.

One origin serves all roles of a Pondage server; fal's cloud has a host for each (PROTOCOL 1.1). A key is sent to the
configured origins and nowhere else: the URLs of a submit's answer are used only if they lie on the same origin.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from pondage.client.errors import MissingCredentials
from pondage.wire.ids import parse_endpoint
from pondage.wire.masking import masked

DEFAULT_URL = "http://127.0.0.1:8000"
CLOUD_HOSTS = frozenset({"fal.run", "queue.fal.run", "rest.fal.ai"})


class Target(NamedTuple):
    """The absolute URL before the path for each role, without a trailing slash, and the key.

    `cloud` is whether these are fal's hosts: no `Idempotency-Key`, no blocked reads, no status stream there.
    """

    run: str
    queue: str
    rest: str
    cdn: str
    websocket: str
    cloud: bool
    key: str | None

    @property
    def authorization(self) -> str | None:
        """The value of the `Authorization` header."""
        if self.key is None:
            return None
        return self.key if self.key.startswith(("Key ", "Bearer ")) else f"Key {self.key}"

    def owns(self, url: str) -> bool:
        """Whether `url` lies on an origin that may be given the key."""
        return _origin(url) in {_origin(self.run), _origin(self.queue), _origin(self.rest)}


@lru_cache(256)
def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def point(base_url: str | None, key: str | None, environ: Mapping[str, str] | None = None) -> Target:
    """The target for what the caller and the environment say.

    Args:
        base_url: the server's URL; the word `fal` means fal's cloud. Without it `PONDAGE_URL`, else
            `http://127.0.0.1:8000`.
        key: `id:secret`. Without it `PONDAGE_KEY`, or for fal's hosts `FAL_KEY`, or `FAL_KEY_ID` and
            `FAL_KEY_SECRET`. Neither kind of variable is ever sent to the other kind of host.
        environ: the environment, `os.environ` by default.

    Raises:
        ValueError: the URL is no http or https URL.
        MissingCredentials: fal's hosts are addressed and there is no key.
    """
    environ = os.environ if environ is None else environ
    url = (base_url or environ.get("PONDAGE_URL") or DEFAULT_URL).rstrip("/")
    parts = urlsplit(url)
    if url == "fal" or parts.hostname in CLOUD_HOSTS:
        return _cloud(key, environ)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = masked(url)
        raise ValueError(f"the server's URL must begin with http:// or https:// and name a host, got {shown!r}")
    return Target(
        run=url,
        queue=url + "/queue",
        rest=url + "/rest",
        cdn=url,
        websocket="ws" + url.removeprefix("http"),
        cloud=False,
        key=key or environ.get("PONDAGE_KEY") or None,
    )


def _cloud(key: str | None, environ: Mapping[str, str]) -> Target:
    key = key or environ.get("FAL_KEY") or None
    if key is None and environ.get("FAL_KEY_ID") and environ.get("FAL_KEY_SECRET"):
        key = f"{environ['FAL_KEY_ID']}:{environ['FAL_KEY_SECRET']}"
    if key is None:
        raise MissingCredentials("fal's hosts need a key: pass key='id:secret', or set FAL_KEY")
    return Target(
        run="https://fal.run",
        queue="https://queue.fal.run",
        rest="https://rest.fal.ai",
        cdn="https://v3.fal.media",
        websocket="wss://fal.run",
        cloud=True,
        key=key,
    )


@lru_cache(1024)
def endpoint_path(endpoint: str, path: str = "") -> str:
    """The URL path of an endpoint and an extra path below it, percent-encoded.

    Raises:
        ValueError: the endpoint does not name an owner and an alias.
    """
    whole = str(parse_endpoint(endpoint))
    if path.strip("/"):
        whole += "/" + path.strip("/")
    return "/" + quote(whole, safe="/-._~!$&'()*+,;=:@%")


@lru_cache(1024)
def app_path(endpoint: str) -> str:
    """The URL path of the app that an endpoint belongs to; status and result live below it (PROTOCOL 3)."""
    return "/" + quote(parse_endpoint(endpoint).app, safe="/-._~")


class RequestUrls(NamedTuple):
    """Where a request can be asked after."""

    response: str
    status: str
    cancel: str


def request_urls(target: Target, endpoint: str, request_id: str) -> RequestUrls:
    """The URLs of a request, built from its id (PROTOCOL 4.1)."""
    base = f"{target.queue}{app_path(endpoint)}/requests/{quote(request_id, safe='')}"
    return RequestUrls(base, base + "/status", base + "/cancel")
