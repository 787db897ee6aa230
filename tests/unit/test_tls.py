"""The development authority, and certificates that follow it."""

from __future__ import annotations

import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pondage.errors import SetupError
from pondage.settings import Settings
from pondage.tls import Certificate, dev_certificate, dev_folder, what_to_set, with_certificate


def _settings(folder: Path, **more: Any) -> Settings:
    return Settings(tls_folder=str(folder / "tls"), tls_dev=True, **more)


def _names(path: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def test_the_certificate_names_loopback_fals_hosts_and_the_domain(tmp_path: Path) -> None:
    made = dev_certificate(_settings(tmp_path, domain="AI.example.com", host="10.1.2.3"))
    expected = {
        "localhost", "127.0.0.1", "::1", "fal.run", "queue.fal.run", "ws.fal.run", "rest.fal.ai", "rest.alpha.fal.ai",
        "v3.fal.media", "ai.example.com", "*.ai.example.com", "10.1.2.3",
    }  # fmt: skip
    assert expected <= set(_names(made.certificate))


def test_keys_are_readable_by_their_user_only(tmp_path: Path) -> None:
    made = dev_certificate(_settings(tmp_path))
    for path in (made.key, made.authority.parent / "ca-key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.key.parent.stat().st_mode) == 0o700


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    made = dev_certificate(_settings(tmp_path))
    before = [path.read_bytes() for path in made]
    assert [path.read_bytes() for path in dev_certificate(_settings(tmp_path))] == before


def test_servers_that_start_at_once_share_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: dev_certificate(_settings(tmp_path)), range(8)))
    assert len(set(made)) == 1
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made[0].certificate, made[0].key)


@pytest.mark.parametrize("days", [368, 396, 500])
def test_it_is_renewed_before_it_ends_and_the_authority_stays(tmp_path: Path, days: int) -> None:
    made = dev_certificate(_settings(tmp_path))
    authority, old = made.authority.read_bytes(), made.certificate.read_bytes()
    later = datetime.now(UTC) + timedelta(days=days)
    dev_certificate(_settings(tmp_path), now=later)
    assert made.certificate.read_bytes() != old and made.authority.read_bytes() == authority
    assert x509.load_pem_x509_certificate(made.certificate.read_bytes()).not_valid_after_utc > later


def test_another_domain_makes_another_certificate(tmp_path: Path) -> None:
    made = dev_certificate(_settings(tmp_path))
    dev_certificate(_settings(tmp_path, domain="other.test"))
    assert "*.other.test" in _names(made.certificate)


@pytest.mark.parametrize("name", ["server.pem", "server-key.pem"])
@pytest.mark.parametrize("content", [b"", b"not PEM"])
def test_a_damaged_certificate_is_made_anew(tmp_path: Path, name: str, content: bytes) -> None:
    made = dev_certificate(_settings(tmp_path))
    (made.key.parent / name).write_bytes(content)
    dev_certificate(_settings(tmp_path))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)


def test_a_damaged_authority_is_said_and_never_replaced_behind_the_users_back(tmp_path: Path) -> None:
    made = dev_certificate(_settings(tmp_path))
    made.authority.write_bytes(b"not PEM")
    with pytest.raises(SetupError, match="delete the folder"):
        dev_certificate(_settings(tmp_path))
    assert made.authority.read_bytes() == b"not PEM"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file in the way")
    with pytest.raises(SetupError, match="cannot keep the development certificate"):
        dev_certificate(_settings(tmp_path))


def test_the_folder_is_the_users(tmp_path: Path) -> None:
    assert dev_folder(Settings(), {"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "pondage" / "tls"
    assert dev_folder(Settings(), {}) == Path.home() / ".config" / "pondage" / "tls"


def test_settings_that_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="go together"):
        with_certificate(Settings(tls_cert="cert.pem"))
    with pytest.raises(SetupError, match="either"):
        with_certificate(_settings(tmp_path, tls_cert="a", tls_key="b"))
    assert with_certificate(Settings()) == Settings()


def test_what_to_set_names_the_authority(tmp_path: Path) -> None:
    lines = "\n".join(what_to_set(_settings(tmp_path)))
    for word in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "trustStore", str(tmp_path / "tls" / "ca.pem")):
        assert word in lines


def test_a_live_server_takes_a_renewed_certificate_and_keeps_the_old_one_if_it_is_bad(tmp_path: Path) -> None:
    settings = with_certificate(_settings(tmp_path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    reloading = Certificate(context, settings)
    assert reloading.refresh() is False
    dev_certificate(_settings(tmp_path, domain="other.test"))
    assert reloading.refresh() is True
    assert reloading.refresh() is False
    given = Settings(tls_cert=settings.tls_cert, tls_key=settings.tls_key)
    reloading = Certificate(context, given)
    Path(settings.tls_key).write_bytes(b"not PEM")
    with pytest.raises(SetupError, match="cannot be loaded again"):
        reloading.refresh()
