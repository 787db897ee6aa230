"""https without a certificate authority: one of our own, made once on this machine, and certificates that follow it.

`--tls-dev` is for clients that insist on https (PROTOCOL 1.2). The authority lives in the user's configuration folder,
so that it has to be trusted once and not once per data folder; its key is readable by that user only, and whoever can
read it can pose as any host to those who trust it. The server's certificate also names fal's hosts, for clients whose
host name is fixed and that reach us by a changed name look-up.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import msgspec

from pondage.errors import SetupError
from pondage.gateway.address import FAL_HOSTS
from pondage.settings import Settings, dev_folder

log = logging.getLogger("pondage.server")

_CERTIFICATE_DAYS = 397
"""Apple's systems refuse certificates that live longer than 825 days, browsers prefer 398."""
_RENEW_DAYS = 30
"""A certificate with fewer days left is made anew."""
_CLOCK_SKEW = timedelta(hours=1)
_LOCAL = ("localhost", "127.0.0.1", "::1")


class DevCertificate(NamedTuple):
    """The files of `--tls-dev`: what to trust, and what the server shows."""

    authority: Path
    certificate: Path
    key: Path


def names(settings: Settings) -> list[str]:
    """The host names and addresses that the certificate must name."""
    found = [*_LOCAL, *FAL_HOSTS]
    if settings.domain:
        found += [settings.domain.lower(), f"*.{settings.domain.lower()}"]
    if settings.host not in {*_LOCAL, "0.0.0.0", "::", ""}:  # noqa: S104 - compared only
        found.append(settings.host.lower())
    return found


def dev_certificate(settings: Settings, *, now: datetime | None = None) -> DevCertificate:
    """The development certificate, made or renewed where it is missing, short of a name, or near its end.

    Raises:
        SetupError: the folder cannot be written, or holds something else than our authority.
    """
    now = now or datetime.now(UTC)
    folder = dev_folder(settings)
    files = DevCertificate(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(folder):
            if not files.authority.exists():
                _make_authority(files.authority)
            if not _good(files, names(settings), now):
                _issue(files, names(settings), now)
    except OSError as error:
        raise SetupError(f"cannot keep the development certificate in {folder}: {error.strerror}") from error
    except ValueError as error:
        raise SetupError(
            f"{folder} holds no authority of ours ({error}); delete the folder, and trust the new one"
        ) from (error)
    return files


def with_certificate(settings: Settings) -> Settings:
    """The settings with `tls_cert` and `tls_key` filled in where `tls_dev` asks for it.

    Raises:
        SetupError: see `dev_certificate`; both a certificate and `tls_dev` are given; the files are no certificate
            and its key.
    """
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SetupError("tls_cert and tls_key go together: give both, or --tls-dev")
    if settings.tls_dev:
        if settings.tls_cert:
            raise SetupError("give either --tls-dev or --tls-cert and --tls-key")
        made = dev_certificate(settings)
        settings = msgspec.structs.replace(settings, tls_cert=str(made.certificate), tls_key=str(made.key))
    if settings.tls_cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise SetupError(f"tls_cert {settings.tls_cert} and tls_key {settings.tls_key}: {error}") from error
    return settings


def what_to_set(settings: Settings) -> list[str]:
    """Lines for people: what each kind of client needs to trust the development authority."""
    authority = (dev_folder(settings) / "ca.pem").absolute()
    return [
        f"export SSL_CERT_FILE={authority}          # Python; in that shell it stands in for the public authorities",
        f"export NODE_EXTRA_CA_CERTS={authority}    # Node",
        f"curl --cacert {authority}",
        f"keytool -importcert -noprompt -alias pondage -file {authority} -keystore pondage.p12 -storepass pondage",
        "    then -Djavax.net.ssl.trustStore=pondage.p12 -Djavax.net.ssl.trustStorePassword=pondage    # Java",
        f"macOS, browsers, Swift, Dart: add {authority} to the system's trusted authorities",
    ]


class Certificate:
    """A live server's certificate: `refresh` loads it again once its file has changed, and renews ours before that.

    New connections show the new certificate; those that are open stay as they are.
    """

    def __init__(self, context: ssl.SSLContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._loaded: tuple[int, int] | None = None

    def _stamp(self) -> tuple[int, int]:
        files = (self._settings.tls_cert, self._settings.tls_key)
        return (os.stat(files[0]).st_mtime_ns, os.stat(files[1]).st_mtime_ns)

    async def look(self) -> None:
        """Load a new one, and say so. A file that does not fit leaves what was loaded, and is an error."""
        if self.refresh():
            log.info("the certificate %s has changed and is in use", self._settings.tls_cert)

    def refresh(self) -> bool:
        """Whether another certificate was loaded since the last time. The first time it is loaded in any case.

        Raises:
            SetupError: the files cannot be read, or do not fit together; what was loaded stays.
        """
        if self._settings.tls_dev:
            dev_certificate(self._settings)
        try:
            stamp, before = self._stamp(), self._loaded
            if stamp == before:
                return False
            # A pair that does not fit must not half replace the one in use: it is tried on a context of its own.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._settings.tls_cert, self._settings.tls_key)
            self._context.load_cert_chain(self._settings.tls_cert, self._settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise SetupError(f"the certificate {self._settings.tls_cert} cannot be loaded again: {error}") from error
        self._loaded = stamp
        return before is not None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Several servers may start at once; they share one authority."""
    import fcntl

    with open(os.open(folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_authority(path: Path) -> None:
    import trustme

    name = f"Pondage development CA {secrets.token_hex(3)}"
    made = trustme.CA(path_length=0, organization_name="Pondage", organization_unit_name=name)
    _write(path.with_name("ca-key.pem"), made.private_key_pem.bytes())
    _write(path, made.cert_pem.bytes())


def _issue(files: DevCertificate, hosts: list[str], now: datetime) -> None:
    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    authority, key = files.authority.read_bytes(), (files.authority.parent / "ca-key.pem").read_bytes()
    if load_pem_private_key(key, None).public_key() != x509.load_pem_x509_certificate(authority).public_key():
        raise ValueError("ca-key.pem is not the key of ca.pem")
    issued = trustme.CA.from_pem(authority, key).issue_cert(
        *hosts,
        organization_name="Pondage",
        not_before=now - _CLOCK_SKEW,
        not_after=now + timedelta(days=_CERTIFICATE_DAYS),
    )
    _write(files.key, issued.private_key_pem.bytes())
    _write(files.certificate, b"".join(part.bytes() for part in issued.cert_chain_pems) + authority)


def _good(files: DevCertificate, hosts: list[str], now: datetime) -> bool:
    """Whether the certificate there is ours, names all hosts and has time left."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not files.certificate.exists() or not files.key.exists():
        return False
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = load_pem_private_key(files.key.read_bytes(), None)
        certificate.verify_directly_issued_by(authority)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        key.public_key() == certificate.public_key()
        and {_spelt(host) for host in hosts} <= {str(name.value) for name in named}
        and certificate.not_valid_after_utc - now > timedelta(days=_RENEW_DAYS)
    )


def _spelt(host: str) -> str:
    """A host as certificates name it."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def _write(path: Path, content: bytes) -> None:
    """Write a file that only this user reads, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
