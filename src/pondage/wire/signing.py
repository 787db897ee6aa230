"""How a delivery is signed, both ways: fal's Ed25519 headers (PROTOCOL 8) and Standard Webhooks 1.0 (HMAC-SHA256).

Data only: Ed25519 itself comes in as a function, so that this module imports nothing beyond the standard library.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

FAL_REQUEST_ID = "x-fal-webhook-request-id"
FAL_USER_ID = "x-fal-webhook-user-id"
FAL_TIMESTAMP = "x-fal-webhook-timestamp"
FAL_SIGNATURE = "x-fal-webhook-signature"
STANDARD_ID = "webhook-id"
STANDARD_TIMESTAMP = "webhook-timestamp"
STANDARD_SIGNATURE = "webhook-signature"

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that marks a secret, not one


def fal_message(request_id: str, user_id: str, timestamp: str, body: bytes) -> bytes:
    """The bytes that fal's signature covers: four lines, the last the hash of the raw body, no final line feed."""
    return "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())).encode()


def fal_headers(
    request_id: str, user_id: str, timestamp: int, body: bytes, sign: Callable[[bytes], bytes]
) -> dict[str, str]:
    """fal's four headers. `timestamp` in Unix seconds; `sign` is Ed25519 with the private key."""
    message = fal_message(request_id, user_id, str(timestamp), body)
    return {
        FAL_REQUEST_ID: request_id,
        FAL_USER_ID: user_id,
        FAL_TIMESTAMP: str(timestamp),
        FAL_SIGNATURE: sign(message).hex(),
    }


def secret_bytes(secret: str) -> bytes:
    """The key in a `whsec_…` secret (the prefix may be missing, the rest is base64).

    Raises:
        ValueError: it is no such secret.
    """
    text = secret.strip().removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error
    if not key:
        raise ValueError("the webhook secret is empty")
    return key


def secret_text(key: bytes) -> str:
    """A key as people carry it: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def standard_signature(key: bytes, delivery_id: str, timestamp: str, body: bytes) -> str:
    """One signature of the Standard Webhooks header: `v1,` and the base64 of HMAC-SHA256 over id, time and body."""
    message = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, message, "sha256")).decode()


def standard_headers(delivery_id: str, timestamp: int, body: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """The three Standard Webhooks headers, with one signature for each key (several while a secret is rotated)."""
    return {
        STANDARD_ID: delivery_id,
        STANDARD_TIMESTAMP: str(timestamp),
        STANDARD_SIGNATURE: " ".join(standard_signature(key, delivery_id, str(timestamp), body) for key in keys),
    }


def standard_fits(signatures: str, key: bytes, delivery_id: str, timestamp: str, body: bytes) -> bool:
    """Whether one of the header's signatures is that of `key`. Compared in constant time."""
    expected = standard_signature(key, delivery_id, timestamp, body).encode()
    # No early exit: how long it takes must not say which of several signatures fitted.
    return any([hmac.compare_digest(given.encode(), expected) for given in signatures.split()])


def jwk(public_key: bytes, key_id: str) -> dict[str, str]:
    """One Ed25519 public key (32 bytes) as an entry of a JWKS document (RFC 8037)."""
    x = base64.urlsafe_b64encode(public_key).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id, "x": x}


def jwks_keys(document: Mapping[str, Any]) -> Sequence[bytes]:
    """The Ed25519 public keys of a JWKS document; keys of other kinds are passed over.

    Raises:
        ValueError: it is no JWKS document, or an Ed25519 key in it is broken.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError('a JWKS document is {"keys": […]}')
    found: list[bytes] = []
    for entry in entries:
        if not isinstance(entry, Mapping) or entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519":
            continue
        x = entry.get("x")
        try:
            key = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)) if isinstance(x, str) else b""
        except binascii.Error:
            key = b""
        if len(key) != 32:
            raise ValueError(f"the Ed25519 key {entry.get('kid')!r} of the JWKS has no 32 bytes in x")
        found.append(key)
    return found
