"""https with the development authority: real handshakes, under every name that a client may know us by."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography import x509
from websockets.sync.client import connect

from pondage import server
from pondage.errors import SetupError
from pondage.settings import Settings
from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"
NAMES = [
    "localhost", "127.0.0.1", "::1", "ai.example.com", "queue.ai.example.com", "rest.ai.example.com", "fal.run",
    "queue.fal.run", "ws.fal.run", "rest.fal.ai", "rest.alpha.fal.ai", "v3.fal.media",
]  # fmt: skip


class Secure(NamedTuple):
    served: ServedApp
    settings: Settings
    trust: ssl.SSLContext

    @property
    def authorization(self) -> dict[str, str]:
        """With the key that was made at the start, because a domain lets others in."""
        return {"authorization": f"Key {self.served.server.first_key}"}

    @property
    def port(self) -> int:
        return urlsplit(self.served.url).port or 443


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    settings = Settings(tls_dev=True, tls_folder=str(folder), domain="ai.example.com")
    with serve(str(APPS / "basic.py"), tls_dev=True, tls_folder=str(folder), domain="ai.example.com") as served:
        yield Secure(served, settings, ssl.create_default_context(cafile=str(folder / "ca.pem")))


@contextlib.contextmanager
def handshake(secure: Secure, name: str) -> Iterator[ssl.SSLSocket]:
    """A connection by a name that leads here."""
    plain = socket.create_connection(("127.0.0.1", secure.port), timeout=10)
    with secure.trust.wrap_socket(plain, server_hostname=name) as wrapped:
        yield wrapped


def shown(connection: ssl.SSLSocket) -> int:
    """The serial number of the certificate that the server shows."""
    raw = connection.getpeercert(binary_form=True)
    assert raw is not None
    return x509.load_der_x509_certificate(raw).serial_number


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_good(secure: Secure, name: str) -> None:
    host = f"[{name}]" if ":" in name else name
    with handshake(secure, name) as connection:
        connection.sendall(f"GET /nothing HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        # Ours, and it asks for a key, as a server with a domain does.
        assert connection.recv(20).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("name", ["example.com", "evil.fal.run", "a.b.ai.example.com"])
def test_other_names_are_not(secure: Secure, name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"), handshake(secure, name):
        pass


def test_who_does_not_trust_the_authority_is_not_served(secure: Secure) -> None:
    with pytest.raises(httpx2.ConnectError, match="certificate"):
        httpx2.get(f"{secure.served.url}/healthz")


def test_urls_in_answers_are_https(secure: Secure) -> None:
    at = f"https://localhost:{secure.port}"
    with httpx2.Client(base_url=at, verify=secure.trust, headers=secure.authorization) as http:
        said = http.post("/queue/acme/echo", json={"x": 1}).json()
        assert said["status_url"].startswith(f"https://localhost:{secure.port}/queue/acme/echo/requests/")
        granted = http.post("/storage/upload/initiate", json={}).json()
        assert granted["upload_url"].startswith(f"https://localhost:{secure.port}/files/")
        assert http.put(granted["upload_url"], content=b"x").status_code == 200
        assert http.get(granted["file_url"]).content == b"x"


def test_a_session_over_wss(secure: Secure) -> None:
    url = f"wss://localhost:{secure.port}/acme/echo/realtime"
    with connect(url, ssl=secure.trust, proxy=None, additional_headers=secure.authorization) as session:
        session.send('{"x": 1}')
        assert session.recv(timeout=10) == '{"y":2}'


def test_plain_http_on_the_tls_port_is_no_crash(secure: Secure) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP/1.1 200" not in plain.recv(100)
    with handshake(secure, "localhost"):
        pass


def test_a_renewed_certificate_is_shown_to_new_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_CERTIFICATE_INTERVAL", 0.05)
    settings = Settings(tls_dev=True, tls_folder=str(tmp_path))
    with serve(str(APPS / "basic.py"), wait=False, tls_dev=True, tls_folder=str(tmp_path)) as served:
        secure = Secure(served, settings, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
        with handshake(secure, "localhost") as connection:
            first = shown(connection)
        (tmp_path / "server.pem").unlink()  # as good as near its end: the server makes another
        renewed = first
        while renewed == first:
            with handshake(secure, "localhost") as connection:
                renewed = shown(connection)


@pytest.mark.parametrize("content", ["", "not PEM"])
def test_a_certificate_that_is_none(tmp_path: Path, content: str) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text(content)
    given = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    with pytest.raises(SetupError, match=r"cert\.pem"), serve(str(APPS / "basic.py"), wait=False, **given):
        pass
    with pytest.raises(SetupError, match="missing"):
        with serve(str(APPS / "basic.py"), wait=False, tls_cert=str(tmp_path / "missing"), tls_key=given["tls_key"]):
            pass
