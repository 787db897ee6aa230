"""Reading picture files with Pillow: which formats, how large they may get, and which way up they are shown.

Pillow knows formats that run programs (EPS, WMF) and many that hardly anybody has looked at; a caller's bytes reach the
common ones only.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import PIL.Image

FORMATS: tuple[str, ...] = (
    "PNG", "JPEG", "MPO", "GIF", "WEBP", "AVIF", "BMP", "DIB", "TIFF", "ICO", "ICNS", "JPEG2000", "PPM", "QOI", "TGA",
    "DDS", "PCX", "SGI", "HEIF", "JXL",
)  # fmt: skip
"""Pillow's names of the formats that are read; the last two where an app has loaded a plugin for them."""

_ORIENTATION = 0x0112
_LYING = frozenset({5, 6, 7, 8})
"""Orientations in which width and height change places."""
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Of a pixel in memory, where it is not 4."""
_MOST_CHUNKS = 100_000
_MOST_EXIF = 1024 * 1024


class Header(NamedTuple):
    """What a picture says of itself before it is decoded: its size in pixels, as it is shown, and what it will take of
    memory."""

    width: int
    height: int
    decoded_bytes: int


class TooManyPixels(Exception):
    """More than Pillow opens at all."""


def opened(source: Path | IO[bytes], formats: Sequence[str] = FORMATS) -> PIL.Image.Image:
    """The picture in a file, of which only the head is read.

    Raises:
        TooManyPixels: Pillow refuses it for its size. Anything else: it is no picture of these formats.
    """
    import PIL.Image

    PIL.Image.preinit()
    with warnings.catch_warnings():
        # The limit is ours to check, with a better message.
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        try:
            try:
                return PIL.Image.open(source, formats=_known(formats))
            except PIL.UnidentifiedImageError:
                before = set(_known(formats))
                PIL.Image.init()  # slow, once: all the others
                if not (more := [name for name in _known(formats) if name not in before]):
                    raise
                return PIL.Image.open(source, formats=more)
        except PIL.Image.DecompressionBombError as error:
            raise TooManyPixels(str(error)) from error


def header_of(source: Path | bytes, formats: Sequence[str] = FORMATS) -> Header | None:
    """What a picture says of itself; None where it is none, or PIL is not installed.

    Raises:
        TooManyPixels: Pillow refuses it for its size.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        return None
    try:
        with opened(io.BytesIO(source) if isinstance(source, bytes) else source, formats) as image:
            width, height = image.size
            decoded = width * height * _BYTES.get(image.mode, 4)
            if orientation_of(image, source) in _LYING:
                width, height = height, width
            return Header(width, height, decoded)
    except TooManyPixels:
        raise
    except Exception:
        return None


def orientation_of(image: PIL.Image.Image, source: Path | bytes) -> int:
    """Which way up a picture that was opened is to be shown, as EXIF numbers it, without decoding it."""
    import PIL.Image

    if image.format == "TIFF":  # Pillow turns these as it decodes them, and tells their size accordingly
        tags = getattr(image, "tag_v2", {})
        return tags.get(_ORIENTATION, 1) if image.size == (tags.get(256), tags.get(257)) else 1
    try:
        # The method of the base class: that of PNG decodes the picture to look behind it.
        exif = PIL.Image.Image.getexif(image)
        if image.format == "PNG" and _ORIENTATION not in exif and (late := _behind_pixels(source)):
            exif.load(late)
        return int(exif.get(_ORIENTATION, 1))
    except Exception:  # what is broken in it says nothing; Pillow raises whatever it met
        return 1


def turned(image: PIL.Image.Image, orientation: int) -> PIL.Image.Image:
    """The picture the right way up; `orientation` as `orientation_of` found it, before it was decoded."""
    import PIL.Image

    way = PIL.Image.Transpose
    ways = {2: way.FLIP_LEFT_RIGHT, 3: way.ROTATE_180, 4: way.FLIP_TOP_BOTTOM, 5: way.TRANSPOSE, 6: way.ROTATE_270,
            7: way.TRANSVERSE, 8: way.ROTATE_90}  # fmt: skip
    if image.format == "TIFF" or orientation not in ways:
        return image
    return image.transpose(ways[orientation])


def _behind_pixels(source: Path | bytes) -> bytes:
    """The EXIF of a PNG that stands behind its pixels, as the format allows; empty if there is none."""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        file.seek(8)
        for _ in range(_MOST_CHUNKS):
            head = file.read(8)
            if len(head) < 8 or head[4:] == b"IEND":
                break
            size = int.from_bytes(head[:4], "big")
            if head[4:] == b"eXIf" and size <= _MOST_EXIF:
                return b"Exif\0\0" + file.read(size)
            file.seek(size + 4, os.SEEK_CUR)
    return b""


def _known(formats: Sequence[str]) -> list[str]:
    import PIL.Image

    return [name for name in formats if name in PIL.Image.OPEN]
