"""Roles by host, by prefix and through the proxy protocol."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from pondage.errors import BadRequest
from pondage.gateway.address import Address, Misdirected, is_loopback, locate, proxied
from pondage.gateway.call import Role
from pondage.settings import Settings


def at(path: str, host: str | None = "127.0.0.1:8000", *, open_server: bool = True, **more: Any) -> Address:
    settings = Settings(**more.pop("settings", {}))
    headers = Headers({**({"host": host} if host else {}), **more.pop("headers", {})})
    scope = {"type": "http", "scheme": "http", "path": path, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)}
    return locate({**scope, **more}, headers, settings, open_server=open_server)


@pytest.mark.parametrize(
    ("path", "role", "within"),
    [
        ("/acme/flux", Role.RUN, "/acme/flux"),
        ("/queue/acme/flux/requests/1", Role.QUEUE, "/acme/flux/requests/1"),
        ("/rest/storage/upload/initiate", Role.REST, "/storage/upload/initiate"),
        ("/storage/upload/initiate", Role.REST, "/storage/upload/initiate"),
        ("/tokens/", Role.REST, "/tokens/"),
        ("/tokens-of/app", Role.RUN, "/tokens-of/app"),
        ("/files/x/y", Role.CDN, "/files/x/y"),
    ],
)
def test_by_prefix(path: str, role: Role, within: str) -> None:
    found = at(path)
    assert (found.role, found.path) == (role, within)
    assert found.origins.queue == "http://127.0.0.1:8000/queue"


def test_by_host_under_a_domain() -> None:
    settings = {"domain": "ai.example.com"}
    found = at("/acme/flux", "queue.ai.example.com:8443", settings=settings, open_server=False, scheme="https")
    assert found.role is Role.QUEUE
    assert found.origins == (
        "https://ai.example.com:8443",
        "https://queue.ai.example.com:8443",
        "https://rest.ai.example.com:8443",
        "https://ai.example.com:8443",
    )
    assert at("/queue/a/b", "ai.example.com", settings=settings).origins.queue == "http://ai.example.com/queue"


def test_fals_own_names_where_dns_leads_here() -> None:
    found = at("/acme/flux", "queue.fal.run", scheme="https")
    assert found.role is Role.QUEUE and found.origins.queue == "https://queue.fal.run"
    assert at("/storage/upload/initiate", "rest.alpha.fal.ai").role is Role.REST


@pytest.mark.parametrize("host", ["evil.example", "queue.other.example", "127.0.0.1.evil.example"])
def test_foreign_hosts_are_refused_with_a_domain_or_an_open_door(host: str) -> None:
    with pytest.raises(Misdirected, match=host):
        at("/acme/flux", host)
    with pytest.raises(Misdirected, match=r"ai\.example\.com"):
        at("/acme/flux", host, open_server=False, settings={"domain": "ai.example.com"})
    assert at("/acme/flux", host, open_server=False).origins.run == f"http://{host}", "with keys, any host"


@pytest.mark.parametrize("host", ["a@b", "a/b", "[::1", "", "a b"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(BadRequest):
        at("/acme/flux", host or " ")


def test_http_1_0_has_no_host() -> None:
    assert at("/acme/flux", None).origins.run == "http://127.0.0.1:8000"


def test_behind_a_balancer_that_ends_tls() -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "ai.example.com"}
    assert at("/a/b", headers=headers, open_server=False).origins.run == "https://ai.example.com"
    stranger = at("/a/b", headers=headers, client=("203.0.113.9", 1))
    assert stranger.origins.run == "http://127.0.0.1:8000", "not believed from an address that is not trusted"


@pytest.mark.parametrize(
    ("target", "role", "path"),
    [
        ("https://queue.fal.run/a/b/requests/1/status?logs=1", Role.QUEUE, "/a/b/requests/1/status"),
        ("https://fal.run/a/b", Role.RUN, "/a/b"),
        ("https://rest.alpha.fal.ai/tokens/", Role.REST, "/tokens/"),
        ("http://127.0.0.1:8000/queue/a/b", Role.QUEUE, "/a/b"),
    ],
)
def test_through_the_proxy(target: str, role: Role, path: str) -> None:
    assert proxied(target, "127.0.0.1", Settings())[:2] == (role, path)


@pytest.mark.parametrize(
    "target", ["https://example.com/a/b", "https://fal.run.evil.example/", "ftp://fal.run/", "fal.run/a", "//fal.run/a"]
)
def test_the_proxy_is_never_an_open_one(target: str) -> None:
    with pytest.raises(BadRequest):
        proxied(target, "127.0.0.1", Settings())


def test_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1", "app.localhost")))
    assert not any(map(is_loopback, ("10.0.0.1", "localhost.evil.example", "", "0.0.0.0")))
