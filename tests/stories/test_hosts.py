"""One gateway, many names: URLs in answers lead back the way the caller came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"
hosts = pytest.mark.compat("run, queue, REST and CDN hosts: by name, prefix and proxy protocol", client="http")


@pytest.fixture(scope="module")
def served() -> Iterator[ServedApp]:
    with serve(str(APPS / "basic.py"), domain="ai.example.com") as made:
        yield made


class Caller:
    """An HTTP client for which every name leads to the gateway, at a balancer's front or at its own port."""

    def __init__(self, url: str, key: str, balancer: bool) -> None:
        self.scheme = "https" if balancer else "http"
        self.more = {"authorization": f"Key {key}"} | ({"x-forwarded-proto": "https"} if balancer else {})
        self._http = httpx2.Client(base_url=url, timeout=30)

    def __call__(self, method: str, url: str, **more: object) -> httpx2.Response:
        at = urlsplit(url)
        path = at.path + (f"?{at.query}" if at.query else "")
        headers = {"host": at.netloc, **self.more, **more.pop("headers", {})}  # type: ignore[dict-item]
        return self._http.request(method, path, headers=headers, **more)  # type: ignore[arg-type]

    def close(self) -> None:
        self._http.close()


@pytest.fixture(params=[False, True], ids=["direct", "behind a balancer"])
def call(served: ServedApp, request: pytest.FixtureRequest) -> Iterator[Caller]:
    caller = Caller(served.url, served.server.first_key, request.param)
    yield caller
    caller.close()


@hosts
@pytest.mark.parametrize(
    ("run", "queue", "rest", "cdn", "fixed"),
    [
        ("ai.example.com", "queue.ai.example.com", "rest.ai.example.com", "ai.example.com", False),
        ("AI.example.com", "QUEUE.ai.example.com", "rest.ai.example.com", "ai.example.com", False),
        ("ai.example.com", "ai.example.com/queue", "ai.example.com/rest", "ai.example.com", False),
        ("localhost:7000", "localhost:7000/queue", "localhost:7000/rest", "localhost:7000", False),
        ("localhost:7000", "localhost:7000/queue", "localhost:7000", "localhost:7000", False),
        ("fal.run", "queue.fal.run", "rest.fal.ai", "v3.fal.media", True),
        ("fal.run", "queue.fal.run", "rest.alpha.fal.ai", "v3.fal.media", True),
    ],
)
def test_a_request_and_a_file_by_every_way(
    call: Caller, run: str, queue: str, rest: str, cdn: str, fixed: bool
) -> None:
    scheme = "https" if fixed else call.scheme
    assert call("POST", f"{scheme}://{run}/acme/echo", json={"x": 1}).json() == {"y": 2}
    said = call("POST", f"{scheme}://{queue}/acme/echo", json={"x": 2}).json()
    assert said["status_url"].startswith(f"{scheme}://{queue.lower()}/acme/echo/requests/")
    while call("GET", said["status_url"]).status_code == 202:
        pass
    assert call("GET", said["response_url"]).json() == {"y": 3}
    assert call("PUT", said["cancel_url"]).status_code == 400
    granted = call("POST", f"{scheme}://{rest}/storage/upload/initiate", json={}).json()
    for url in granted.values():
        assert url.startswith(f"{scheme}://{cdn}/files/")
    assert call("PUT", granted["upload_url"], content=b"x").status_code == 200
    assert call("GET", granted["file_url"]).content == b"x"
    assert isinstance(call("POST", f"{scheme}://{rest}/tokens/", json={"allowed_apps": ["echo"]}).json(), str)
    assert call("GET", f"{scheme}://{rest}/.well-known/jwks.json").json()["keys"]


@hosts
def test_through_the_proxy_answers_lead_straight_here(call: Caller) -> None:
    def proxied(method: str, target: str, **more: object) -> httpx2.Response:
        url = f"{call.scheme}://localhost:7000/api/fal/proxy"
        return call(method, url, headers={"x-fal-target-url": target}, **more)

    assert proxied("POST", "https://fal.run/acme/echo", json={"x": 1}).json() == {"y": 2}
    said = proxied("POST", "https://queue.fal.run/acme/echo", json={"x": 2}).json()
    assert said["status_url"].startswith(f"{call.scheme}://localhost:7000/queue/acme/echo/requests/")
    # Clients send the URLs that they were given, or those that they build themselves, through the proxy again.
    for url in (said["status_url"], f"https://queue.fal.run/acme/echo/requests/{said['request_id']}/status"):
        while proxied("GET", url).status_code == 202:
            pass
        assert proxied("GET", url + "?logs=1").json()["logs"] == []
    granted = proxied("POST", "https://rest.alpha.fal.ai/storage/upload/initiate", json={}).json()
    assert granted["upload_url"].startswith(f"{call.scheme}://localhost:7000/files/")


@hosts
@pytest.mark.parametrize("host", ["example.com", "evilai.example.com", "ai.example.com.evil.test", "x.ai.example.com"])
def test_hosts_that_are_none_of_ours(call: Caller, host: str) -> None:
    for path in ("/acme/echo", "/queue/acme/echo", "/healthz"):
        refused = call("POST", f"http://{host}{path}", json={"x": 1})
        assert refused.status_code == 421 and host in refused.json()["detail"]
