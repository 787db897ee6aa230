"""The snippets of docs/operations.md for nginx and Caddy, run by the real programs: on another port, under a path."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from pondage import SyncClient
from pondage.testing import ServedApp, serve

ROOT = Path(__file__).parents[2]
APP = str(ROOT / "tests" / "apps" / "basic.py")
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
NGINX, NGINX_PATH = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
CADDY, CADDY_PATH = re.findall(r"```caddy\n(.*?)```", PAGE, re.DOTALL)

_START = 20.0
"""Seconds that a proxy may take to answer."""


def under_a_path() -> str:
    """The nginx snippet with the two lines replaced that the page says."""
    return re.sub(r"    location / \{\n.*?proxy_pass[^\n]*\n", lambda _: NGINX_PATH, NGINX, count=1, flags=re.DOTALL)


class Way(NamedTuple):
    program: str
    text: str
    path: str


WAYS = {
    "nginx": Way("nginx", NGINX, ""),
    "nginx, path": Way("nginx", under_a_path(), "/pondage"),
    "Caddy": Way("caddy", CADDY, ""),
    "Caddy, path": Way("caddy", CADDY_PATH, "/pondage"),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def proxying(way: Way, server: int, port: int, folder: Path) -> Iterator[None]:
    """The program with its snippet, between `port` and the server's."""
    text = way.text.replace("127.0.0.1:8000", f"127.0.0.1:{server}").replace("8080", str(port))
    conf = folder / "proxy.conf"
    if way.program == "nginx":
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf.write_text(
            f"daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}{text}\n}}\n"
        )
        command = ["nginx", "-p", str(folder), "-c", str(conf)]
    else:
        conf.write_text("{\nadmin off\n}\n" + text)
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(conf)]
    environ = {"HOME": str(folder), "PATH": f"{Path(shutil.which(way.program) or '').parent}:/usr/bin:/bin"}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
    try:
        end = time.monotonic() + _START
        while process.poll() is None and time.monotonic() < end:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.02)
        else:
            pytest.fail(f"{way.program} does not answer:\n{(folder / 'log').read_text()}")
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(params=WAYS)
def proxied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SyncClient, str, ServedApp]]:
    """A client that calls through a proxy, the address that it calls, and the server."""
    way = WAYS[request.param]
    if shutil.which(way.program) is None:
        pytest.skip(f"{way.program} is not installed here")
    port = free_port()
    url = f"http://localhost:{port}{way.path}"
    with serve(APP, **({"public_url": url} if way.path else {})) as served:
        key = ":".join(served.call(served.server.keys.create("a caller")))
        with proxying(way, served.server.port, port, tmp_path), SyncClient(key, base_url=url) as client:
            yield client, url, served


def test_everything_goes_through_a_proxy(proxied: tuple[SyncClient, str, ServedApp], tmp_path: Path) -> None:
    client, url, _ = proxied
    assert client.run("acme/echo", {"x": 1}) == {"y": 2}

    handle = client.submit("acme/echo", {"x": 2})
    assert handle.status_url.startswith(f"{url}/queue/") and handle.get() == {"y": 3}
    asked = httpx2.get(handle.status_url, headers={"Authorization": f"Key {client.exchange.target.key}"})
    assert asked.json()["status"] == "COMPLETED"

    assert [chunk["i"] for chunk in client.stream("acme/echo/generate", {"count": 3})] == [0, 1, 2]

    stored = client.upload(b"bytes" * 1000, "application/octet-stream")
    assert stored.startswith(f"{url}/files/") and httpx2.get(stored).content == b"bytes" * 1000

    with client.realtime("acme/echo") as session:
        session.send({"x": 5})
        assert session.recv() == {"y": 6}


def test_chunks_come_as_they_are_made(proxied: tuple[SyncClient, str, ServedApp]) -> None:
    """A proxy that held answers back would hold the first chunk until the endless stream ends."""
    client, _, _ = proxied
    stream = client.stream("acme/echo/generate", {"count": 1_000_000, "pause": 0.01}, timeout=60)
    with stream:
        assert next(iter(stream))["i"] == 0


def test_pages_come_through(proxied: tuple[SyncClient, str, ServedApp]) -> None:
    _, url, _ = proxied
    page = httpx2.get(f"{url}/ui/")
    assert page.status_code == 200
    origin = "/".join(url.split("/")[:3])
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert httpx2.get(origin + path).status_code == 200, path
    assert re.search(r'(?:src|href)="/[^"]+static', page.text)
