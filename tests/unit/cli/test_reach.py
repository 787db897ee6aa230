"""Which server a command asks, and what it says where no answer comes: each reason has its own sentence."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pondage.cli import exits, reach
from pondage.client import limits
from pondage.errors import SetupError
from pondage.settings import Settings
from pondage.testing import ServedApp
from pondage.tls import dev_certificate

from .conftest import Pondage

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def toml(text: str) -> None:
    Path("pondage.toml").write_text(text)


def port_of(served: ServedApp) -> int:
    return int(served.url.rpartition(":")[2])


@pytest.mark.parametrize("verb", [["apps"], ["requests", "list"], ["runners"], ["openapi"], ["doctor"]])
def test_pondage_toml_names_the_server(pondage: Pondage, echo: ServedApp, verb: list[str]) -> None:
    toml(f"port = {port_of(echo)}")
    said = pondage(*verb)
    assert said.code == exits.OK
    assert "acme/echo" in said.out or verb == ["requests", "list"]


def test_call_and_env_go_by_pondage_toml(pondage: Pondage, echo: ServedApp) -> None:
    toml(f"port = {port_of(echo)}")
    assert pondage("call", "acme/echo", "x:=1", "-q").code == exits.OK
    assert echo.url in pondage("env", "--client", "py").out


def test_a_server_that_runs_on_the_folders_data_is_found_on_any_port(pondage: Pondage, echo: ServedApp) -> None:
    toml(f"data = '{echo.data}'")
    assert "acme/echo" in pondage("apps").out
    assert reach.address(None).source.endswith("gateway.json")


def test_the_note_of_a_dead_server_is_not_believed(pondage: Pondage, closed: int) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    Path("pondage-data").mkdir()
    note = {"pid": child.pid, "url": f"http://127.0.0.1:{closed}", "version": "0"}
    Path("pondage-data/gateway.json").write_text(json.dumps(note))
    assert reach.address(None) == ("http://127.0.0.1:8000", "the default")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0", "port": 9000}, "http://127.0.0.1:9000"),
        ({"host": "::1"}, "http://[::1]:8000"),
        ({"tls_dev": True}, "https://127.0.0.1:8000"),
        ({"port": 0}, "http://127.0.0.1:8000"),
    ],
)
def test_the_address_that_the_settings_describe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], url: str
) -> None:
    monkeypatch.delenv("PONDAGE_URL", raising=False)
    assert reach.address(None, Settings(data=str(tmp_path), **settings)).url == url  # type: ignore[arg-type]


def test_flags_and_variables_go_before_pondage_toml(pondage: Pondage, monkeypatch: pytest.MonkeyPatch) -> None:
    toml("port = 9000")
    monkeypatch.setenv("PONDAGE_URL", "http://b:1")
    assert reach.address("http://a:1").url == "http://a:1"
    assert reach.address(None).url == "http://b:1"


def test_a_pondage_toml_that_does_not_fit_is_named(pondage: Pondage) -> None:
    toml('port = "many"')
    with pytest.raises(SetupError, match=r"pondage\.toml"):
        reach.address(None)
    said = pondage("apps")
    assert said.code == exits.BAD_INPUT and "pondage.toml" in said.err


# ---- no answer


def test_nothing_answers(pondage: Pondage, closed: int) -> None:
    said = pondage("apps", "--server", f"http://127.0.0.1:{closed}")
    assert said.code == exits.NO_SERVER and "error[server.unreachable]: nothing answers at" in said.err


def test_no_such_host(pondage: Pondage) -> None:
    said = pondage("apps", "--server", "http://no-such-host.invalid:8000")
    assert said.code == exits.NO_SERVER
    assert "error[server.unknown_host]: there is no host no-such-host.invalid" in said.err
    assert "nothing answers" not in said.err


@pytest.fixture
def https(tmp_path: Path) -> Iterator[int]:
    """Something that speaks https with a certificate that nobody trusts."""
    made = dev_certificate(Settings(tls_folder=str(tmp_path / "tls")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_shake_hands, args=(listening, context))
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def _shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        # Closed at once also where the handshake fails, so that nobody waits for the collector to do it.
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured,
        ):
            secured.do_handshake()


def test_a_certificate_that_is_not_trusted(pondage: Pondage, https: int) -> None:
    said = pondage("apps", "--server", f"https://127.0.0.1:{https}")
    assert said.code == exits.NO_SERVER
    assert f"error[server.certificate]: the certificate of https://127.0.0.1:{https} is not trusted" in said.err
    assert "SSL_CERT_FILE=" in said.err and "nothing answers" not in said.err


def test_the_authority_of_this_machine_is_named_where_it_is(pondage: Pondage, https: int, tmp_path: Path) -> None:
    toml(f"tls_folder = '{tmp_path}/tls'")
    assert f"SSL_CERT_FILE={tmp_path}/tls/ca.pem" in pondage("apps", "--server", f"https://127.0.0.1:{https}").err


def test_https_where_http_is_spoken(pondage: Pondage, echo: ServedApp) -> None:
    said = pondage("apps", "--server", echo.url.replace("http:", "https:"))
    assert said.code == exits.NO_SERVER
    assert "error[server.tls]" in said.err and echo.url in said.err and "nothing answers" not in said.err


def test_http_where_https_is_spoken(pondage: Pondage, https: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKOFF_MAX", 0.01)  # who closes connections is asked again, with growing waits
    said = pondage("apps", "--server", f"http://127.0.0.1:{https}")
    assert said.code == exits.NO_SERVER
    assert "error[server.no_answer]" in said.err and "https://" in said.err and "nothing answers" not in said.err


def test_a_proxy_in_between(pondage: Pondage, echo: ServedApp, closed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://user:secret@127.0.0.1:{closed}")
    said = pondage("apps", "--server", echo.url)
    assert said.code == exits.NO_SERVER
    assert "error[server.proxy]" in said.err and "NO_PROXY=127.0.0.1" in said.err
    assert "secret" not in said.err and "nothing answers" not in said.err
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert pondage("apps", "--server", echo.url).code == exits.OK


def test_the_host_of_a_file(at: Pondage, closed: int) -> None:
    url = f"http://127.0.0.1:{closed}/files/a/0.png"
    said = at("files", "get", url)
    assert said.code == exits.NO_SERVER
    assert f"error[files.unreachable]: the file's host http://127.0.0.1:{closed} does not answer" in said.err
    assert "--public-url" in said.err and "nothing answers" not in said.err


# ---- doctor


def test_doctor_knows_its_own_server_under_keys(pondage: Pondage, echo: ServedApp) -> None:
    """It runs on the folder's data, on a port of its own; without a key it is healthy all the same."""
    import pondage.client.errors as errors

    toml(f"data = '{echo.data}'")
    said = pondage("doctor")
    assert said.code == exits.OK and f"{echo.url} (from {echo.data}/gateway.json) answers" in said.out

    def refused(*_: object, **__: object) -> None:
        raise errors.Unauthorized("a key is needed", 401)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reach.Api, "get", refused)
        said = pondage("doctor")
        assert said.code == exits.OK and "answers, and asks for a key" in said.out
        said = pondage("doctor", "--key", "a:b")
        assert said.code == exits.FAILED and "refuses this key" in said.out


def test_doctor_says_why_no_answer_came(pondage: Pondage, https: int) -> None:
    said = pondage("doctor", "--server", f"https://127.0.0.1:{https}")
    assert said.code == exits.FAILED and "is not trusted" in said.out and "nothing answers" not in said.out
