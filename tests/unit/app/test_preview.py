"""Previews: what is taken, and how small it gets."""

from __future__ import annotations

import random

import pytest
from PIL import Image

from pondage.app.preview import MOST_BYTES, encoded


def test_a_picture_is_made_to_fit() -> None:
    noise = Image.frombytes("RGB", (1500, 1500), random.Random(1).randbytes(1500 * 1500 * 3))
    data = encoded(noise)
    assert data.startswith(b"\xff\xd8") and len(data) <= MOST_BYTES
    assert noise.size == (1500, 1500), "the author's picture stays as it is"


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK", "I;16"])
def test_a_picture_of_any_mode_is_taken(mode: str) -> None:
    assert encoded(Image.new(mode, (8, 8))).startswith(b"\xff\xd8")


def test_bytes_are_taken_as_they_are() -> None:
    data = b"\x89PNG\r\n\x1a\n" + b"rest"
    assert encoded(data) == encoded(memoryview(data)) == data


@pytest.mark.parametrize("given", [b"<svg/>", b"", b"\xff\xd8\xff" + bytes(MOST_BYTES)])
def test_other_bytes_are_refused(given: bytes) -> None:
    with pytest.raises(ValueError, match="preview"):
        encoded(given)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(TypeError, match="not str"):
        encoded("picture.png")
