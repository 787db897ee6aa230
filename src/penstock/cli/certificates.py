"""`penstock serve --tls-dev`: a CA of this machine's own, made once, and a certificate by it."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from penstock.settings import Settings

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

    from penstock.cli.terminal import Terminal

NAMES = ("localhost", "fal.run", "queue.fal.run", "rest.fal.ai", "rest.alpha.fal.ai", "v3.fal.media")
"""What the certificate is for, besides loopback addresses and `--domain`: fal's hosts, for clients whose addresses are
built in and whose names someone has led here."""
CA_DAYS = 3650
LEAF_DAYS = 397
"""Longer lives are refused by Apple's systems."""
RENEW_DAYS = 30


def dev_certificate(settings: Settings, terminal: Terminal) -> Settings:
    """The settings with a certificate in the data folder's `tls`; made, or made anew where it ends soon."""
    folder = Path(settings.data) / "tls"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = [*NAMES]
    if settings.domain:
        names += [settings.domain, f"*.{settings.domain}"]
    if settings.host not in ("127.0.0.1", "::1", "0.0.0.0", "::", "localhost"):  # noqa: S104 - compared only
        names.append(settings.host)
    ca, ca_key = _authority(folder)
    _leaf(folder, ca, ca_key, names)
    if not terminal.json:
        where = (folder / "ca.pem").resolve()
        terminal.say(f"https with a certificate of this machine's own CA. Clients must trust it:\n  {where}")
        terminal.say(f"  SSL_CERT_FILE={where} (Python)   NODE_EXTRA_CA_CERTS={where} (Node)")
    return msgspec.structs.replace(settings, tls_cert=str(folder / "server.pem"), tls_key=str(folder / "server.key"))


def _authority(folder: Path) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate, key = folder / "ca.pem", folder / "ca.key"
    if certificate.is_file() and key.is_file():
        loaded = load_pem_private_key(key.read_bytes(), None)
        if isinstance(loaded, ec.EllipticCurvePrivateKey):
            return x509.load_pem_x509_certificate(certificate.read_bytes()), loaded
    private = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Penstock development CA ({os.uname().nodename})"[:64])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        _builder(name, name, private, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(private, _sha256())
    )
    _write(key, _pem(private))
    _write(certificate, _pem(made))
    return made, private


def _leaf(folder: Path, ca: x509.Certificate, ca_key: EllipticCurvePrivateKey, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    alternatives: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1")]
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    wanted = x509.SubjectAlternativeName(alternatives)
    if _still_good(folder / "server.pem", ca, wanted) and (folder / "server.key").is_file():
        return
    private = ec.generate_private_key(ec.SECP256R1())
    made = (
        _builder(_name("Penstock"), ca.subject, private, LEAF_DAYS)
        .add_extension(wanted, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, _sha256())
    )
    _write(folder / "server.key", _pem(private))
    _write(folder / "server.pem", _pem(made) + _pem(ca))


def _still_good(path: Path, ca: x509.Certificate, wanted: x509.SubjectAlternativeName) -> bool:
    from cryptography import x509

    if not path.is_file():
        return False
    there = x509.load_pem_x509_certificate(path.read_bytes())
    ends = there.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    names = there.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return ends > datetime.timedelta(days=RENEW_DAYS) and names == wanted and there.issuer == ca.subject


def _builder(subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    from cryptography import x509

    # An hour back, for clients whose clocks are behind.
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _sha256() -> SHA256:
    from cryptography.hazmat.primitives.hashes import SHA256

    return SHA256()


def _pem(thing: x509.Certificate | EllipticCurvePrivateKey) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(Encoding.PEM)
    return thing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, readable by this user only."""
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    part.rename(path)
