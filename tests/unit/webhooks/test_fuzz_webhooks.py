"""Whatever a receiver gets that we did not sign is refused, by the one error; whatever is asked for is checked."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondage.errors import InvalidInput, WebhookError
from pondage.webhooks.schedule import retry_after
from pondage.webhooks.targets import EVENTS, check_events, check_target
from pondage.webhooks.verify import verify_webhook
from pondage.wire import signing

BOUNDED = settings(max_examples=300, deadline=None, derandomize=True, database=None)
NOW = 1_700_000_000
SECRET = signing.secret_text(b"k" * 32)
JWKS = {"keys": [signing.jwk(b"\x01" * 32, "a")]}
WORDS = st.text(st.characters(), max_size=30) | st.sampled_from([str(NOW), "v1,", "v1,AAAA", "00" * 64, "é", "\udc80"])
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            signing.STANDARD_ID, signing.STANDARD_TIMESTAMP, signing.STANDARD_SIGNATURE, signing.FAL_REQUEST_ID,
            signing.FAL_USER_ID, signing.FAL_TIMESTAMP, signing.FAL_SIGNATURE,
        ]
    ),
    WORDS,
)  # fmt: skip


@BOUNDED
@given(HEADERS, st.binary(max_size=30) | WORDS, st.sampled_from(["secret", "jwks", "both"]))
def test_what_we_did_not_sign_is_refused(headers: dict[str, str], body: bytes | str, keys: str) -> None:
    with pytest.raises(WebhookError):
        verify_webhook(
            headers,
            body,
            secret=None if keys == "jwks" else SECRET,
            jwks=None if keys == "secret" else JWKS,
            now=NOW,
        )


@BOUNDED
@given(st.binary(max_size=40) | st.sampled_from([b"[" * 5_000, b'{"a":' * 2_000, b'{"a": "\xff"}', b"[]", b"1"]))
def test_what_we_signed_is_an_object_or_refused(body: bytes) -> None:
    headers = signing.standard_headers("id", NOW, body, [b"k" * 32])
    with contextlib.suppress(WebhookError):
        assert isinstance(verify_webhook(headers, body, secret=SECRET, now=NOW).data, dict)


@BOUNDED
@given(
    st.text(max_size=40) | st.text(max_size=30).map("http://{}".format) | st.sampled_from(["http://[", "http://a:x"])
)
def test_a_target_is_a_url_or_invalid(url: str) -> None:
    with contextlib.suppress(InvalidInput):
        good = check_target(url)
        assert good.isascii() and check_target(good) == good


@BOUNDED
@given(st.text(max_size=30) | st.lists(st.sampled_from([*EVENTS, "", "finished"])).map(",".join))
def test_events_are_known_or_invalid(header: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert set(check_events(header)) <= set(EVENTS)


@BOUNDED
@given(st.text(max_size=40) | st.sampled_from(["Thu, 01 Jan 9999 00:00:00 +9999", "Thu, 01 Jan 0000 00:00:00 GMT"]))
def test_a_retry_after_is_seconds_or_nothing(value: str) -> None:
    seconds = retry_after(value, float(NOW))
    assert seconds is None or math.isfinite(seconds)
