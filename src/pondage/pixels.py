"""Pictures of more than 8 bits, made 8-bit ones by scaling. Pillow's own conversions cut such pictures off at 255.

Works on PIL images without importing PIL, since both the client and the authors' media need it.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection
from math import isfinite
from typing import Any

DEEP = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
"""Modes whose pixels are numbers of more than 8 bits."""
_NATIVE: dict[str, Collection[str]] = {
    "png": ("I;16", "I;16B"),
    "tiff": ("I;16", "I;16B", "I", "F"),
    "jpeg2000": ("I;16",),
}
"""Which of them a format keeps as they are."""
_SIXTEEN = 65_535
_SIXTEEN_AS_I = frozenset({"PPM", "PNG"})
"""Formats of at most 16 bits, which Pillow, or an older one, opens as mode I."""


class PixelRange(ValueError):
    """Nobody can tell what the numbers of a picture mean as brightness."""


def eight_bits(image: Any) -> Any:
    """The picture with 8 bits a pixel; one that has no more comes back as it is.

    16-bit numbers are scaled from 0 to 65535, floats from 0 to 1; 32-bit numbers are taken where they fit into 8 bits.

    Raises:
        PixelRange: a number is beyond that.
    """
    if image.mode not in DEEP:
        return image
    if image.mode == "F":
        _check_floats(image)
        return image.point(lambda v: v * 255 + 0.5).convert("L")
    if image.mode == "I" and getattr(image, "format", None) not in _SIXTEEN_AS_I:
        least, most = image.getextrema()
        if least < 0 or most > 255:
            raise PixelRange(
                f"its pixels are 32-bit numbers from {least} to {most}, and nobody says how bright they are: "
                "take it as it is (mode None) and scale it"
            )
        return image.convert("L")
    return image.convert("I").point(lambda v: v * (255 / _SIXTEEN) + 0.5).convert("L")


def fit_for(image: Any, format: str) -> Any:
    """The picture as it can be written in a format (in lower case) without cutting its numbers off.

    Raises:
        PixelRange: as `eight_bits`.
    """
    native = _NATIVE.get(format, ())
    if image.mode in DEEP and image.mode not in native:
        if "I;16" in native and image.mode != "F" and _in_sixteen(whole := image.convert("I")):
            return whole.convert("I;16")
        image = eight_bits(image)
    if format == "jpeg" and image.mode not in {"RGB", "L", "CMYK"}:
        return image.convert("RGB")
    return image


def upright(image: Any) -> Any:
    """The picture turned as its EXIF says. Saving drops what EXIF says, so that it would lie on its side."""
    if getattr(image, "getexif", None) is None or image.getexif().get(0x0112, 1) == 1:
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _in_sixteen(image: Any) -> bool:
    least, most = image.getextrema()
    return bool(least >= 0 and most <= _SIXTEEN)


def _check_floats(image: Any) -> None:
    values = array("f")
    values.frombytes(image.tobytes())
    if values and not isfinite(sum(values)):
        raise PixelRange("its pixels hold NaN or an infinity")
    least, most = image.getextrema()
    if least < -0.5 / 255 or most > 1 + 0.5 / 255:
        raise PixelRange(f"its pixels are from {least:g} to {most:g}; floats are taken from 0 to 1: scale them")
