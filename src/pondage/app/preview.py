"""Pictures of work in progress: small, and few; shown while it goes on, and kept nowhere."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import PIL.Image

MOST_BYTES = 64 * 1024
"""Bytes of a preview; a picture of Pillow is made to fit."""
LEAST_PAUSE = 0.25
"""Seconds between two previews of a request; others are passed over, before they are encoded."""
_SIDES = (512, 384, 256, 160, 96)
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF")


def encoded(preview: Any) -> bytes:
    """A preview as the bytes of an image file.

    Args:
        preview: a picture of Pillow, which is scaled and packed to fit, or the bytes of a JPEG, PNG, GIF or WebP.

    Raises:
        TypeError: it is neither. ValueError: the bytes are no such image, or too many.
    """
    if isinstance(preview, bytes | bytearray | memoryview):
        data = bytes(preview)
        if not data.startswith(_MAGIC):
            raise ValueError("preview: these bytes are no JPEG, PNG, GIF or WebP")
        if len(data) > MOST_BYTES:
            raise ValueError(f"preview: {len(data)} bytes; at most {MOST_BYTES} are shown. Pass a picture of Pillow")
        return data
    if hasattr(preview, "thumbnail") and hasattr(preview, "save"):
        return _fitted(preview)
    raise TypeError(f"preview: a picture of Pillow or the bytes of an image, not {type(preview).__name__}")


def _fitted(picture: PIL.Image.Image) -> bytes:
    data = b""
    for side in _SIDES:
        small = picture.copy()
        small.thumbnail((side, side))
        out = io.BytesIO()
        small.convert("RGB").save(out, "JPEG", quality=70)
        if len(data := out.getvalue()) <= MOST_BYTES:
            break
    return data
