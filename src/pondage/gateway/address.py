"""Where a call was sent: which part of fal's cloud its host and path play, and how URLs in the answer must begin.

One gateway answers for all roles (PROTOCOL 1.1): by path prefix on a single host, by host name under `--domain`, under
fal's own names where DNS leads them here, and for what the proxy protocol carries. Answers use the way the caller came.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import Scope

from pondage.errors import BadRequest, Forbidden, RequestError
from pondage.gateway.call import Origins, Role
from pondage.settings import Settings

FAL_HOSTS: dict[str, Role] = {
    "fal.run": Role.RUN,
    "ws.fal.run": Role.RUN,
    "queue.fal.run": Role.QUEUE,
    "falrun.com": Role.RUN,
    "queue.falrun.com": Role.QUEUE,
    "rest.fal.ai": Role.REST,
    "rest.alpha.fal.ai": Role.REST,
    "v3.fal.media": Role.CDN,
    "v3b.fal.media": Role.CDN,
}
"""fal's hosts and their roles: for DNS overrides, and for the targets of the proxy protocol."""

MAKE_KEY = "pondage keys create NAME --scopes admin"
"""What shuts an open server."""

_FORWARDED = frozenset(
    {
        "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
        "x-forwarded-prefix", "x-forwarded-server", "x-forwarded-ssl", "x-forwarded-scheme", "x-real-ip", "x-client-ip",
        "x-cluster-client-ip", "x-original-host", "x-original-forwarded-for", "x-envoy-external-address",
        "cf-connecting-ip", "true-client-ip", "fastly-client-ip",
    }
)  # fmt: skip
"""What proxies say of whom they speak for. On an open server nobody behind one is this machine's."""
_NO_PROXY = (
    "this call came through a proxy, and this server asks for no key, which is for programs of this machine alone. "
    f"Make a key, and the server takes calls through proxies: {MAKE_KEY}"
)

_FAL_ORIGINS = Origins("https://fal.run", "https://queue.fal.run", "https://rest.fal.ai", "https://v3.fal.media")

_PREFIXES = (("/queue/", Role.QUEUE, 6), ("/rest/", Role.REST, 5))


class Misdirected(RequestError):
    """A host that is none of ours."""

    code, status = "request.misdirected", 421


class Address(NamedTuple):
    """A role, the path within it, and the origins for URLs in the answer."""

    role: Role
    path: str
    origins: Origins
    host: str


def locate(scope: Scope, headers: Mapping[str, str], settings: Settings, *, open_server: bool) -> Address:
    """Read the address of a call.

    Raises:
        BadRequest: no Host, or one that is no host.
        Misdirected: a host that is none of ours.
        Forbidden: it came through a proxy, and the server asks for no key.
    """
    if open_server and not _FORWARDED.isdisjoint(headers):
        raise Forbidden(_NO_PROXY)
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    authority = headers.get("host") or ""
    client = scope.get("client")
    if client and ("x-forwarded-proto" in headers or "x-forwarded-host" in headers) and _trusted(client[0], settings):
        forwarded = _first(headers.get("x-forwarded-proto")).lower()
        scheme = forwarded if forwarded in {"http", "https"} else scheme
        authority = _first(headers.get("x-forwarded-host")) or authority
    if not authority:  # HTTP/1.0 has none
        server = scope.get("server") or (settings.host, settings.port)
        authority = f"{server[0]}:{server[1]}"
    role, origins, host = _way(scheme, authority, settings, open_server)
    path: str = scope["path"]
    if role is None:
        role, path = _by_prefix(path)
    return Address(role, path, origins, host)


@lru_cache(maxsize=256)
def _way(scheme: str, authority: str, settings: Settings, open_server: bool) -> tuple[Role | None, Origins, str]:
    """The way a caller came; callers come by few ways and often."""
    try:
        host = (urlsplit(f"//{authority}").hostname or "").removesuffix(".").lower()
    except ValueError:
        host = ""
    if not host or any(c in authority for c in "/@\\ "):
        raise BadRequest(f"the Host header {authority!r} names no host")
    role, origins = _by_host(host, scheme, authority, settings, open_server)
    return role, origins, host


def _by_host(
    host: str, scheme: str, authority: str, settings: Settings, open_server: bool
) -> tuple[Role | None, Origins]:
    """The role that the host alone decides, or None where the path does."""
    if open_server and not is_loopback(host):
        raise Misdirected(
            f"{host} is none of this server's hosts: it asks for no key, so it answers to loopback names alone. "
            f"Make a key: {MAKE_KEY}"
        )
    domain = settings.domain.lower()
    if domain and host.endswith(domain):
        port = authority[len(host) :] if authority.lower().startswith(host) else ""
        ours = Origins(
            f"{scheme}://{domain}{port}",
            f"{scheme}://queue.{domain}{port}",
            f"{scheme}://rest.{domain}{port}",
            f"{scheme}://{domain}{port}",
        )
        for name, role in (("queue.", Role.QUEUE), ("rest.", Role.REST), ("files.", Role.CDN)):
            if host == name + domain:
                return role, ours
        if host == domain:
            return None, prefixed(f"{scheme}://{authority}")
    if host in FAL_HOSTS:
        role = FAL_HOSTS[host]
        # Under fal's run host the path prefixes keep working, for clients that paste host and prefix together.
        return (None if role is Role.RUN else role), _FAL_ORIGINS
    if domain and not is_loopback(host):
        raise Misdirected(f"{host} is none of this server's hosts; it answers for {domain}")
    return None, prefixed(settings.public_url.rstrip("/") or f"{scheme}://{authority}")


def prefixed(base: str) -> Origins:
    """All roles on one origin, told apart by path."""
    return Origins(base, base + "/queue", base + "/rest", base)


def _by_prefix(path: str) -> tuple[Role, str]:
    for prefix, role, cut in _PREFIXES:
        if path.startswith(prefix):
            return role, path[cut:]
    if path == "/tokens" or path.startswith(("/tokens/", "/storage/")):
        return Role.REST, path
    if path.startswith("/files/"):
        return Role.CDN, path
    return Role.RUN, path


def proxied(target: str, own_host: str, settings: Settings) -> tuple[Role, str, str]:
    """What `x-fal-target-url` addresses: a role, a path, and the query (PROTOCOL 1.9). Nothing is ever fetched for it.

    Raises:
        BadRequest: the target is no URL, or leads to no host of fal's or ours.
    """
    try:
        url = urlsplit(target)
        host = (url.hostname or "").lower()
    except ValueError:
        raise BadRequest(f"x-fal-target-url {target!r} is no URL") from None
    if url.scheme not in {"http", "https"} or not host:
        raise BadRequest(f"x-fal-target-url {target!r} is no http(s) URL")
    domain = settings.domain.lower()
    named = {f"queue.{domain}": Role.QUEUE, f"rest.{domain}": Role.REST, f"files.{domain}": Role.CDN} if domain else {}
    role = FAL_HOSTS.get(host) or named.get(host)
    own = host in {own_host, domain} or is_loopback(host)
    if role is None and not own:
        raise BadRequest(f"x-fal-target-url leads to {host}, which is neither fal's nor ours")
    path = url.path or "/"
    if role in {None, Role.RUN}:
        role, path = _by_prefix(path)
    return role or Role.RUN, path, url.query


def why_keys(settings: Settings) -> str:
    """What in the settings lets others in than this machine's programs, so that keys are needed; empty if nothing."""
    if not is_loopback(settings.host):
        return f"--host {settings.host} is reached from other machines"
    if settings.domain:
        return f"--domain {settings.domain} is a name that others may use"
    if not {"*", "null"}.isdisjoint(origin.strip() for origin in settings.cors.split(",")):
        return f"--cors {settings.cors} lets pages of everywhere call"
    if settings.public_url and not is_loopback(urlsplit(settings.public_url).hostname or ""):
        return f"--public-url {settings.public_url} is an address for others"
    return ""


def _host(settings: Settings) -> str:
    """The address under which this machine's programs reach the server."""
    return "127.0.0.1" if settings.host in {"0.0.0.0", "::", ""} else settings.host  # noqa: S104 - compared only


def own_url(settings: Settings, port: int) -> str:
    """The server's address on this machine."""
    host = _host(settings)
    return f"{'https' if settings.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def own_hosts(settings: Settings, port: int) -> list[str]:
    """The names by which an app's outputs may speak of this server."""
    names = sorted({f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", _host(settings))})
    if domain := settings.domain:
        names += [at for name in (domain, f"files.{domain}") for at in (name, f"{name}:{port}")]
    return names + [name for name in (urlsplit(settings.public_url).netloc,) if name]


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _trusted(address: str, settings: Settings) -> bool:
    return address in {part.strip() for part in settings.trusted_proxies.split(",")}


def _first(header: str | None) -> str:
    return (header or "").split(",")[0].strip()
