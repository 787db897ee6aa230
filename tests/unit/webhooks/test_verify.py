"""Receivers: what verify_webhook believes and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pondage.clock import ManualClock
from pondage.errors import (
    SetupError,
    WebhookForged,
    WebhookKeysMissing,
    WebhookOutdated,
    WebhookUnsigned,
)
from pondage.webhooks import verify
from pondage.webhooks.verify import WebhookEvent, verify_webhook
from pondage.wire import signing

NOW = 1_700_000_000
KEY = b"0123456789abcdef0123456789abcdef"
SECRET = signing.secret_text(KEY)
PRIVATE = Ed25519PrivateKey.from_private_bytes(KEY)
JWKS = {"keys": [signing.jwk(PRIVATE.public_key().public_bytes_raw(), "k1")]}
BODY = json.dumps({"request_id": "r1", "gateway_request_id": "r1", "status": "OK", "payload": {"images": []}}).encode()


def headers(body: bytes = BODY, at: int = NOW) -> dict[str, str]:
    return {
        **signing.fal_headers("r1", "local", at, body, PRIVATE.sign),
        **signing.standard_headers("d1", at, body, [KEY]),
    }


def check(given: dict[str, str], body: bytes | str = BODY, **more: Any) -> WebhookEvent:
    return verify_webhook(given, body, **{"now": NOW, **more})


@pytest.mark.parametrize(
    ("key", "id"), [({"secret": SECRET}, "d1"), ({"jwks": JWKS}, "r1"), ({"secret": SECRET, "jwks": JWKS}, "d1")]
)
def test_reads_what_was_signed_either_way(key: dict[str, Any], id: str) -> None:
    event = check(headers(), **key)
    assert (event.id, event.request_id, event.type, event.timestamp) == (id, "r1", "completed", NOW)
    assert event.ok and event.payload == {"images": []} and event.error is None


def test_header_names_in_any_case_and_text_bodies() -> None:
    given = {name.title(): value for name, value in headers().items()}
    assert check(given, BODY.decode(), jwks=JWKS).request_id == "r1"


@pytest.mark.parametrize("key", [{"secret": SECRET}, {"jwks": JWKS}])
def test_refuses_another_body_key_and_time(key: dict[str, Any]) -> None:
    with pytest.raises(WebhookForged):
        check(headers(), BODY + b" ", **key)
    moved = {name: str(NOW + 1) if name.endswith("timestamp") else value for name, value in headers().items()}
    with pytest.raises(WebhookForged):
        check(moved, **key)
    stranger = Ed25519PrivateKey.generate()
    other: dict[str, Any] = {
        "secret": signing.secret_text(b"another"),
        "jwks": {"keys": [signing.jwk(stranger.public_key().public_bytes_raw(), "k2")]},
    }
    with pytest.raises(WebhookForged):
        check(headers(), **{name: other[name] for name in key})


@pytest.mark.parametrize("key", [{"secret": SECRET}, {"jwks": JWKS}])
@pytest.mark.parametrize("away", [-301, 301])
def test_refuses_replays_outside_the_tolerance(key: dict[str, Any], away: int) -> None:
    with pytest.raises(WebhookOutdated) as refused:
        check(headers(at=NOW + away), **key)
    assert refused.value.status == 401
    check(headers(at=NOW + away), tolerance=302, **key)


def test_what_fals_scheme_does_not_sign_is_not_believed() -> None:
    """A delivery that was caught and sent again under another `webhook-id` keeps the id that it had."""
    caught = headers() | {signing.STANDARD_ID: "replayed-under-another-id"}
    assert check(caught, jwks=JWKS).id == "r1"
    with pytest.raises(WebhookForged):
        check(caught, secret=SECRET)
    without = {name: value for name, value in caught.items() if name != signing.STANDARD_ID}
    assert check(without, jwks=JWKS).id == "r1"


def test_what_standard_webhooks_does_not_sign_is_not_believed() -> None:
    assert check(headers() | {signing.FAL_REQUEST_ID: "another"}, secret=SECRET).request_id == "r1"
    bare = b'{"status": "OK"}'
    given = signing.standard_headers("d1", NOW, bare, [KEY]) | {signing.FAL_REQUEST_ID: "another"}
    assert check(given, bare, secret=SECRET).request_id == ""


def test_deliveries_before_the_end_have_ids_of_their_own() -> None:
    """By either scheme the same, so that a receiver may change it."""
    body = json.dumps({"request_id": "r1", "type": "progress", "event": 7, "status": "IN_PROGRESS"}).encode()
    given = signing.fal_headers("r1", "local", NOW, body, PRIVATE.sign) | signing.standard_headers(
        "r1-7", NOW, body, [KEY]
    )
    assert check(given, body, jwks=JWKS).id == check(given, body, secret=SECRET).id == "r1-7"


def test_both_keys_given_and_one_scheme_forged() -> None:
    given = headers() | {signing.FAL_SIGNATURE: "00" * 64}
    with pytest.raises(WebhookForged):
        check(given, secret=SECRET, jwks=JWKS)
    only_fal = {name: value for name, value in headers().items() if name.startswith("x-fal")}
    assert check(only_fal, secret=SECRET, jwks=JWKS).id == "r1"


@pytest.mark.parametrize("missing", [signing.STANDARD_SIGNATURE, signing.STANDARD_ID, signing.STANDARD_TIMESTAMP])
def test_missing_headers_are_named(missing: str) -> None:
    with pytest.raises(WebhookUnsigned, match=missing):
        check({name: value for name, value in headers().items() if name != missing}, secret=SECRET)


@pytest.mark.parametrize("timestamp", ["", "soon", "1e9", "-5", "9" * 30])
def test_unreadable_times(timestamp: str) -> None:
    with pytest.raises(WebhookUnsigned):
        check(headers() | {signing.STANDARD_TIMESTAMP: timestamp}, secret=SECRET)


def test_a_key_is_needed_and_must_be_one() -> None:
    with pytest.raises(SetupError, match="needs a key"):
        check(headers())
    with pytest.raises(SetupError, match="whsec_"):
        check(headers(), secret="whsec_no base64!")
    with pytest.raises(SetupError, match="JWKS"):
        check(headers(), jwks={})


def test_the_standards_own_library_agrees() -> None:
    stamp = int(datetime.now(UTC).timestamp())
    ours = headers(at=stamp)
    assert Webhook(SECRET).verify(BODY, ours) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", ours)
    theirs = {
        "webhook-id": "d9",
        "webhook-timestamp": str(stamp),
        "webhook-signature": Webhook(SECRET).sign("d9", datetime.fromtimestamp(stamp, UTC), BODY.decode()),
    }
    assert verify_webhook(theirs, BODY, secret=SECRET).id == "d9"


def test_one_of_several_signatures_fits_while_a_secret_is_rotated() -> None:
    given = signing.standard_headers("d1", NOW, BODY, [b"new", KEY])
    assert given[signing.STANDARD_SIGNATURE].count("v1,") == 2
    assert check(given, secret=SECRET).id == "d1"
    assert check(given, secret=[signing.secret_text(b"other"), signing.secret_text(b"new")]).id == "d1"


class KeyServer(HTTPServer):
    document: dict[str, Any] = JWKS
    fetched = 0
    broken = False


class Answer(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.fetched += 1
        self.send_response(500 if self.server.broken else 200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.document).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def key_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[KeyServer, str, ManualClock]]:
    clock = ManualClock()
    monkeypatch.setattr(verify, "_fetched", verify._FetchedKeys(clock))
    with KeyServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server, f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json", clock
        server.shutdown()
        thread.join()


def test_fetched_keys_are_kept_for_a_day(key_server: tuple[KeyServer, str, ManualClock]) -> None:
    server, url, clock = key_server
    check(headers(), jwks_url=url)
    clock.advance(86_000)
    check(headers(), jwks_url=url)
    assert server.fetched == 1
    clock.advance(1000)
    check(headers(), jwks_url=url)
    assert server.fetched == 2
    server.broken = True
    clock.advance(90_000)
    with pytest.raises(WebhookKeysMissing) as missing:
        check(headers(), jwks_url=url)
    assert missing.value.status == 503


def test_a_rotated_key_is_found_and_a_forger_causes_one_fetch_a_minute(
    key_server: tuple[KeyServer, str, ManualClock],
) -> None:
    server, url, clock = key_server
    server.document = {"keys": []}
    with pytest.raises(WebhookForged):
        check(headers(), jwks_url=url)
    for _ in range(5):
        with pytest.raises(WebhookForged):
            check(headers(), jwks_url=url)
    assert server.fetched == 1
    server.document = JWKS
    clock.advance(61)
    check(headers(), jwks_url=url)
    assert server.fetched == 2


def test_only_http_urls_are_fetched() -> None:
    with pytest.raises(SetupError, match="http"):
        check(headers(), jwks_url="file:///etc/passwd")


def test_verifying_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pondage.webhooks.verify import verify_webhook;"
        "heavy = {'aiohttp', 'apsw', 'starlette', 'uvicorn', 'cryptography', 'obstore', 'typer'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
