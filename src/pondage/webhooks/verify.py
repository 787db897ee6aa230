"""For receivers: is this delivery ours? Needs nothing of the server, and `cryptography` only for fal's scheme.

event = pondage.verify_webhook(request.headers, body, secret="whsec_…")
event = pondage.verify_webhook(request.headers, body, jwks_url="https://gateway/.well-known/jwks.json")
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pondage.clock import Clock, SystemClock
from pondage.errors import (
    ExtraMissing,
    SetupError,
    WebhookForged,
    WebhookKeysMissing,
    WebhookOutdated,
    WebhookUnsigned,
)
from pondage.wire import signing

JWKS_MAX_AGE = 86_400.0
"""Seconds for which fetched keys are believed (PROTOCOL 8: at most 24 h)."""
JWKS_REFRESH = 60.0
"""When no key fits, fetched keys older than this are fetched again: the sender may have rotated its keys. A forger
can cause one fetch in so many seconds, and no more."""
JWKS_TIMEOUT = 10.0
"""Seconds that fetching the keys may take."""
JWKS_MAX_BYTES = 1024 * 1024
"""Largest JWKS document that is read."""


class WebhookEvent(msgspec.Struct, frozen=True):
    """A delivery that was signed by its sender.

    `id` is the same for every try of one delivery: a receiver that remembers it handles each delivery once. It is
    signed, like everything here. `type` is `completed`, or `started`, `progress`, `log` where these were asked for.
    `data` is the whole body.
    """

    id: str
    request_id: str
    type: str
    timestamp: int
    data: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the request ended well."""
        return self.data.get("status") == "OK"

    @property
    def payload(self) -> Any:
        """The app's output, or the body of its error."""
        return self.data.get("payload")

    @property
    def error(self) -> str | None:
        """Why the request failed, in words."""
        return self.data.get("error") or None


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes | str,
    *,
    secret: str | Sequence[str] | None = None,
    jwks: Mapping[str, Any] | None = None,
    jwks_url: str | None = None,
    tolerance: float = 300.0,
    now: float | None = None,
) -> WebhookEvent:
    """Check a delivery's signature and age, and read it.

    The scheme is chosen by the key: `secret` checks the Standard Webhooks headers, `jwks` or `jwks_url` fal's. Where
    both kinds of key are given, every scheme whose headers came must fit, and at least one must have come.

    Args:
        headers: the HTTP headers, names in any case.
        body: the body exactly as it came, not parsed and printed again.
        secret: `whsec_…`, or several of them.
        jwks: the sender's public keys, a JWKS document.
        jwks_url: where to fetch them instead; kept for a day at most. The fetch blocks: in async code call this
            function in a thread, or give `jwks`.
        tolerance: how many seconds the signature's time may be away from now, either way.
        now: wall time in seconds since 1970; the machine's by default.

    Raises:
        WebhookUnsigned: signature headers are missing or cannot be read.
        WebhookForged: no signature fits.
        WebhookOutdated: the time is outside the tolerance.
        WebhookKeysMissing: the keys could not be fetched.
        SetupError: no key was given, or the extra `webhooks` is not installed (ExtraMissing).
    """
    if secret is None and jwks is None and jwks_url is None:
        raise SetupError("verify_webhook needs a key: secret=, jwks= or jwks_url=")
    raw = _encoded("the body", body) if isinstance(body, str) else bytes(body)
    received = {name.lower(): value for name, value in headers.items()}
    now = SystemClock().wall() if now is None else now
    stamps: list[int] = []
    delivery_id = request_id = ""
    if secret is not None and signing.STANDARD_SIGNATURE in received:
        secrets = [secret] if isinstance(secret, str) else secret
        stamps.append(_check_standard(received, raw, secrets, tolerance, now))
        delivery_id = received[signing.STANDARD_ID]
    if (jwks is not None or jwks_url) and signing.FAL_SIGNATURE in received:
        stamps.append(_check_fal(received, raw, jwks, jwks_url, tolerance, now))
        request_id = received[signing.FAL_REQUEST_ID]
    if not stamps:
        wanted = signing.STANDARD_SIGNATURE if secret is not None else signing.FAL_SIGNATURE
        raise WebhookUnsigned(f"the header {wanted} is missing")
    return _read(raw, stamps[0], delivery_id, request_id)


def _check_standard(received: dict[str, str], body: bytes, secrets: Sequence[str], tolerance: float, now: float) -> int:
    delivery_id = _needed(received, signing.STANDARD_ID)
    stamp = _fresh(received, signing.STANDARD_TIMESTAMP, tolerance, now)
    signatures = _needed(received, signing.STANDARD_SIGNATURE)
    try:
        keys = [signing.secret_bytes(text) for text in secrets]
    except ValueError as error:
        raise SetupError(str(error)) from error
    timestamp = received[signing.STANDARD_TIMESTAMP]
    if not any([signing.standard_fits(signatures, key, delivery_id, timestamp, body) for key in keys]):
        raise WebhookForged("no Standard Webhooks signature fits the body and the secret")
    return stamp


def _check_fal(
    received: dict[str, str],
    body: bytes,
    jwks: Mapping[str, Any] | None,
    jwks_url: str | None,
    tolerance: float,
    now: float,
) -> int:
    request_id = _needed(received, signing.FAL_REQUEST_ID)
    user_id = _needed(received, signing.FAL_USER_ID)
    stamp = _fresh(received, signing.FAL_TIMESTAMP, tolerance, now)
    try:
        signature = bytes.fromhex(received[signing.FAL_SIGNATURE])
    except ValueError as error:
        raise WebhookUnsigned(f"{signing.FAL_SIGNATURE} is not hexadecimal") from error
    message = signing.fal_message(request_id, user_id, received[signing.FAL_TIMESTAMP], body)
    if jwks is not None:
        try:
            fits = _ed25519_fits(signing.jwks_keys(jwks), signature, message)
        except ValueError as error:
            raise SetupError(str(error)) from error
    else:
        url = jwks_url or ""
        fits = _ed25519_fits(_fetched.keys(url, JWKS_MAX_AGE), signature, message)
        fits = fits or _ed25519_fits(_fetched.keys(url, JWKS_REFRESH), signature, message)
    if not fits:
        raise WebhookForged("fal's signature fits none of the sender's keys")
    return stamp


def _ed25519_fits(keys: Sequence[bytes], signature: bytes, message: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise ExtraMissing("checking fal's webhook signatures", "webhooks") from error
    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False


def _needed(received: dict[str, str], name: str) -> str:
    if value := received.get(name):
        _encoded(f"the header {name}", value)
        return value
    raise WebhookUnsigned(f"the header {name} is missing")


def _encoded(what: str, text: str) -> bytes:
    """Some frameworks hand on bytes that are not UTF-8 as lone surrogates."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise WebhookUnsigned(f"{what} is not UTF-8") from error


def _fresh(received: dict[str, str], name: str, tolerance: float, now: float) -> int:
    text = _needed(received, name)
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise WebhookUnsigned(f"{name} is {text!r}, expected Unix seconds")
    if abs(now - int(text)) > tolerance:
        raise WebhookOutdated(f"signed {now - int(text):+.0f} s ago, at most {tolerance:.0f} s are accepted")
    return int(text)


def _read(body: bytes, stamp: int, delivery_id: str, request_id: str) -> WebhookEvent:
    """What a signed body says.

    Args:
        delivery_id, request_id: the headers `webhook-id` and fal's, each empty unless the scheme was checked that signs
            it.
    """
    try:
        data = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WebhookUnsigned(f"the signed body is no JSON object: {error}") from error
    request_id = request_id or str(data.get("request_id") or "")
    if not delivery_id:
        # fal's scheme does not sign `webhook-id`: anybody may have changed it. This is the same, from what is signed.
        event = data.get("event") if data.get("type") else None
        delivery_id = request_id if event is None else f"{request_id}-{event}"
    return WebhookEvent(
        id=delivery_id,
        request_id=request_id,
        type=str(data.get("type") or "completed"),
        timestamp=stamp,
        data=data,
    )


class _FetchedKeys:
    """The keys of each JWKS URL, and when they were fetched. Safe in threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Sequence[bytes]]] = {}

    def keys(self, url: str, max_age: float) -> Sequence[bytes]:
        """The keys at `url`, fetched at most `max_age` seconds ago.

        Raises:
            WebhookKeysMissing: they cannot be fetched, and none were fetched in the last day.
        """
        with self._lock:
            now = self._clock.monotonic()
            known = self._known.get(url)
            if known and now - known[0] <= max_age:
                return known[1]
            try:
                keys = fetch_jwks(url)
            except WebhookKeysMissing:
                if known and now - known[0] <= JWKS_MAX_AGE:
                    return known[1]
                raise
            self._known[url] = (now, keys)
            return keys


def fetch_jwks(url: str) -> Sequence[bytes]:
    """Fetch a JWKS document and read its Ed25519 keys.

    Raises:
        SetupError: the URL is neither http nor https.
        WebhookKeysMissing: nothing, or nothing readable, was there.
    """
    if not url.startswith(("https://", "http://")):
        raise SetupError(f"jwks_url is {url!r}, expected http:// or https://")
    try:
        with urllib.request.urlopen(url, timeout=JWKS_TIMEOUT) as answer:  # noqa: S310 - the scheme is checked above
            document = msgspec.json.decode(answer.read(JWKS_MAX_BYTES), type=dict[str, Any])
        return signing.jwks_keys(document)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise WebhookKeysMissing(f"cannot read the sender's keys at {url}: {error}") from error


_fetched = _FetchedKeys(SystemClock())
