"""What data URIs hold: read in the one way that it can be read, or refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondage.wire.data_uri import content_type_of, decode, decode_base64, size_of

DATA = b"\xfb\xef\xbe\xff" * 3 + b"\x00"
PLAIN = base64.b64encode(DATA).decode()
URL_SAFE = base64.urlsafe_b64encode(DATA).decode()


@pytest.mark.parametrize(
    "body",
    [
        PLAIN,
        URL_SAFE,
        PLAIN.rstrip("="),
        URL_SAFE.rstrip("="),
        PLAIN.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
        PLAIN[:8] + "\r\n" + PLAIN[8:],
        "\n" + PLAIN[:8] + "\n\t" + PLAIN[8:] + "\n",
        PLAIN[:8] + "%0A" + PLAIN[8:],
    ],
)
def test_every_unambiguous_spelling_is_read(body: str) -> None:
    assert decode(f"data:image/png;base64,{body}") == ("image/png", DATA)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("%%%", "no escape"),
        ("AB%2", "no escape"),
        (PLAIN.replace("+", " "), "may have been a"),
        ("AB CD", "may have been a"),
        (PLAIN + " ", "may have been a"),
        (PLAIN[:8] + "\n " + PLAIN[8:], "may have been a"),
        ("AB!D", "holds '!'"),
        ("ABCDE", "make no bytes"),
        ("A===", "padding"),
        ("AB=", "make no bytes"),
        ("AB=CD", "padding"),
        ("=AAA", "padding"),
        ("ABCD====", "padding"),
        ("ä", "holds"),
        ("AB\x00D", "holds"),
    ],
)
def test_all_else_is_refused(body: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        decode(f"data:;base64,{body}")
    assert "not base64" in str(raised.value)


def test_other_data_uris() -> None:
    assert decode("data:,a%20b+c") == ("text/plain", b"a b+c")
    assert decode("DATA:Text/HTML;charset=utf-8,%C3%A4") == ("text/html", "ä".encode())
    assert decode("data:;base64,") == ("text/plain", b"")
    assert decode("data:a/b;name=x.wav;BASE64,QQ") == ("a/b", b"A")
    assert content_type_of("data:Audio/WAV;codecs=1,") == "audio/wav"
    with pytest.raises(ValueError, match="comma"):
        decode("data:text/plain")


@given(st.binary())
def test_what_was_encoded_comes_back(data: bytes) -> None:
    for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data), base64.encodebytes(data)):
        assert decode_base64(encoded) == decode_base64(encoded.rstrip(b"=\n")) == data
    uri = f"data:;base64,{base64.b64encode(data).decode()}"
    assert len(data) <= size_of(uri) <= len(data) + 2


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_nothing_is_dropped_silently(text: str) -> None:
    """Whatever is accepted says what it was accepted for, but for folds of lines and padding."""
    try:
        data = decode_base64(text.encode("latin-1"))
    except ValueError:
        return
    written = base64.b64encode(data).decode().rstrip("=")
    read = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    assert len(read) == len(written) and read[:-1] == written[:-1]
