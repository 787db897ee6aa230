"""Types of media and endings of names."""

from __future__ import annotations

import pytest

from pondage.wire.media_types import ending_of, type_of_name


@pytest.mark.parametrize(
    ("content_type", "ending"),
    [
        ("audio/wav", ".wav"), ("audio/x-wav", ".wav"), ("audio/mp3", ".mp3"), ("audio/mpeg", ".mp3"),
        ("audio/webm", ".weba"),
        ("image/jpg", ".jpg"), ("image/jpeg", ".jpg"), ("Image/WebP", ".webp"), ("image/tiff", ".tiff"),
        ("video/mp4", ".mp4"),
        ("video/quicktime", ".mov"), ("audio/ogg; codecs=opus", ".ogg"), ("application/zip", ".zip"),
        ("text/plain", ".txt"),
        ("application/octet-stream", ""), ("", ""), (None, ""), ("no/such", ""), ("text/css", ".css"),
    ],
)  # fmt: skip
def test_the_ending_of_a_type(content_type: str | None, ending: str) -> None:
    assert ending_of(content_type) == ending


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.WAV", "audio/wav"), ("x/y.webp", "image/webp"), ("a.jpeg", "image/jpeg"), ("a.m4a", "audio/mp4"),
        ("a.heic", "image/heic"), ("a.opus", "audio/opus"), ("a.flac", "audio/flac"), ("a.tar.gz", "application/gzip"),
        ("a.css", "text/css"), ("a", None), ("a.nothing", None), ("", None),
    ],
)  # fmt: skip
def test_the_type_of_a_name(name: str, content_type: str | None) -> None:
    assert type_of_name(name) == content_type
