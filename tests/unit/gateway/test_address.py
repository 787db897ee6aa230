"""Roles by host, by prefix and through the proxy protocol."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from pondage.errors import BadRequest, Forbidden
from pondage.gateway.address import FAL_HOSTS, Address, Misdirected, is_loopback, locate, proxied, why_keys
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
    prefixed = at("/queue/a/b", "ai.example.com", settings=settings, open_server=False)
    assert prefixed.origins.queue == "http://ai.example.com/queue"


def test_fals_own_names_where_dns_leads_here() -> None:
    found = at("/acme/flux", "queue.fal.run", scheme="https", open_server=False)
    assert found.role is Role.QUEUE and found.origins.queue == "https://queue.fal.run"
    assert at("/storage/upload/initiate", "rest.alpha.fal.ai", open_server=False).role is Role.REST


@pytest.mark.parametrize("host", ["evil.example", "queue.other.example", "127.0.0.1.evil.example"])
def test_foreign_hosts_are_refused_with_a_domain_or_an_open_door(host: str) -> None:
    with pytest.raises(Misdirected, match=host):
        at("/acme/flux", host)
    with pytest.raises(Misdirected, match=r"ai\.example\.com"):
        at("/acme/flux", host, open_server=False, settings={"domain": "ai.example.com"})
    assert at("/acme/flux", host, open_server=False).origins.run == f"http://{host}", "with keys, any host"


@pytest.mark.parametrize("settings", [{}, {"domain": "ai.example.com"}])
@pytest.mark.parametrize("host", [*FAL_HOSTS, "ai.example.com", "queue.ai.example.com", "AI.example.com:8000"])
def test_an_open_server_has_no_name_but_loopbacks(host: str, settings: dict[str, str]) -> None:
    with pytest.raises(Misdirected, match="pondage keys create NAME --scopes admin"):
        at("/acme/flux", host, settings=settings)


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "Forwarded", "Via", "X-Real-IP",
     "CF-Connecting-IP", "True-Client-IP"],
)  # fmt: skip
def test_an_open_server_takes_nothing_through_a_proxy(header: str) -> None:
    for client in ("127.0.0.1", "203.0.113.9"):
        with pytest.raises(Forbidden, match=r"through a proxy.*pondage keys create NAME --scopes admin"):
            at("/acme/flux", headers={header: "127.0.0.1"}, client=(client, 1))
    assert at("/acme/flux", headers={header: "127.0.0.1"}, open_server=False).role is Role.RUN


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"host": "0.0.0.0"}, "--host 0.0.0.0"),
        ({"host": "192.168.1.2"}, "--host"),
        ({"domain": "ai.example.com"}, "--domain ai.example.com"),
        ({"cors": "*"}, "--cors"),
        ({"cors": "https://a.example, *"}, "--cors"),
        ({"cors": "null"}, "--cors null"),
        ({"public_url": "https://ai.example.com"}, "--public-url"),
    ],
)
def test_what_lets_others_in_needs_keys(settings: dict[str, str], why: str) -> None:
    assert why in why_keys(Settings(**settings))  # type: ignore[arg-type]  # of the struct


@pytest.mark.parametrize(
    "settings", [{}, {"host": "::1"}, {"cors": "https://a.example"}, {"public_url": "http://localhost:8000/pages"}]
)
def test_this_machines_programs_need_none(settings: dict[str, str]) -> None:
    assert why_keys(Settings(**settings)) == ""  # type: ignore[arg-type]  # of the struct


@pytest.mark.parametrize("host", ["a@b", "a/b", "[::1", "", "a b"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(BadRequest):
        at("/acme/flux", host or " ")


def test_http_1_0_has_no_host() -> None:
    assert at("/acme/flux", None).origins.run == "http://127.0.0.1:8000"


def test_behind_a_balancer_that_ends_tls() -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "ai.example.com"}
    assert at("/a/b", headers=headers, open_server=False).origins.run == "https://ai.example.com"
    stranger = at("/a/b", headers=headers, client=("203.0.113.9", 1), open_server=False)
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
