"""`Image`: a picture by its URL, from and to PIL and NumPy; the sizes that fal's inputs name (PROTOCOL 11.4)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import pydantic
from pydantic import BaseModel, Field

from pondage.app.context import get_current_request
from pondage.app.file import IN_MEMORY, File
from pondage.app.sniff import HEAD, fits, kind_of

if TYPE_CHECKING:
    import numpy
    import PIL.Image

_FAR_TOO_LARGE = 1 << 32
"""Stands for the sides of what Pillow refuses to open for its size."""

_KNOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/bmp"})
"""Formats that Pillow reads however it was built."""

ImagePreset = Literal["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]


class ImageSize(BaseModel):
    """Width and height in pixels."""

    width: int = Field(default=512, gt=0, le=14142, description="The width of the generated image.")
    height: int = Field(default=512, gt=0, le=14142, description="The height of the generated image.")


IMAGE_SIZE_PRESETS: dict[str, ImageSize] = {
    "square_hd": ImageSize(width=1024, height=1024),
    "square": ImageSize(width=512, height=512),
    "portrait_4_3": ImageSize(width=768, height=1024),
    "portrait_16_9": ImageSize(width=576, height=1024),
    "landscape_4_3": ImageSize(width=1024, height=768),
    "landscape_16_9": ImageSize(width=1024, height=576),
}
ImageSizeInput = ImageSize | ImagePreset
"""What an input may say: a preset's name, or width and height."""


def get_image_size(source: ImageSizeInput) -> ImageSize:
    """The size that an input means.

    Raises:
        TypeError: neither a size nor the name of a preset.
    """
    if isinstance(source, ImageSize):
        return source
    if size := IMAGE_SIZE_PRESETS.get(source):
        return size.model_copy()
    raise TypeError(f"{source!r} is no image size; there are {', '.join(IMAGE_SIZE_PRESETS)}")


class Image(File):
    """A picture. `width` and `height` in pixels, if they are known."""

    model_config = pydantic.ConfigDict(json_schema_extra={"x-pondage-media": "image"})
    family: ClassVar[str] = "image"
    max_pixels: ClassVar[int | None] = None
    """Most pixels of an input, below the server's own limit. A subclass may set it."""
    min_side: ClassVar[int] = 1
    """Least width and height of an input, in pixels. A subclass may raise it."""

    width: int | None = Field(default=None, description="The width of the image in pixels.")
    height: int | None = Field(default=None, description="The height of the image in pixels.")

    @classmethod
    def from_pil(
        cls,
        image: PIL.Image.Image,
        format: str | None = None,
        file_name: str | None = None,
        repository: str | None = None,
        *,
        sync_mode: bool = False,
        save_kwargs: Mapping[str, Any] | None = None,
        **_storage: Any,
    ) -> Self:
        """Store a PIL image; PNG unless `format` (`jpeg`, `webp`, …) says otherwise."""
        format = _format(format or "png")
        if format == "jpeg" and image.mode not in {"RGB", "L", "CMYK"}:
            image = image.convert("RGB")
        buffer = io.BytesIO()
        options: dict[str, Any] = {"png": {"compress_level": 1}, "jpeg": {"quality": 95}}.get(format, {})
        image.save(buffer, format, **{**options, **(save_kwargs or {})})
        inline = sync_mode or repository == IN_MEMORY
        return cls._stored(
            buffer.getvalue(), f"image/{format}", file_name, inline=inline, width=image.width, height=image.height
        )

    @classmethod
    def from_numpy(cls, array: numpy.ndarray[Any, Any], format: str | None = None, **options: Any) -> Self:
        """Store an array of shape (height, width), or with 1, 3 or 4 channels last. Floats are taken as 0 to 1."""
        import numpy
        import PIL.Image

        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
            raise ValueError(f"an image is (height, width[, 1, 3 or 4]), got an array of shape {array.shape}")
        if array.dtype.kind == "f":
            array = numpy.nan_to_num(array).clip(0, 1) * 255 + 0.5
        elif array.dtype.kind == "b":
            array = array * 255
        return cls.from_pil(PIL.Image.fromarray(array.astype(numpy.uint8)), format, **options)

    @classmethod
    def from_bytes(  # type: ignore[override]  # fal's third argument of pictures is their size
        cls,
        data: bytes,
        format: str | None = None,
        size: ImageSize | None = None,
        file_name: str | None = None,
        repository: str | None = None,
        *,
        sync_mode: bool = False,
        **_storage: Any,
    ) -> Self:
        """Store the bytes of an image file. Width and height are read from them unless `size` is given."""
        content_type = f"image/{_format(format)}" if format else kind_of(data[:HEAD]) or "image/png"
        width, height = (size.width, size.height) if size else _size_of(io.BytesIO(data))
        inline = sync_mode or repository == IN_MEMORY
        return cls._stored(data, content_type, file_name, inline=inline, width=width, height=height)

    @classmethod
    def from_path(
        cls,
        path: str | Path,
        content_type: str | None = None,
        repository: str | None = None,
        *,
        sync_mode: bool = False,
        **_storage: Any,
    ) -> Self:
        """Store an image file of this machine."""
        image = super().from_path(path, content_type, repository, sync_mode=sync_mode)
        image.width, image.height = _size_of(Path(path))
        return image

    def to_pil(self, mode: str | None = "RGB") -> PIL.Image.Image:
        """The picture, decoded, upright, in `mode` (None: as it is stored).

        Raises:
            MediaError: it cannot be fetched or decoded.
        """
        import PIL.Image
        import PIL.ImageOps

        path = self.local_path
        try:
            with PIL.Image.open(path) as opened:
                image = PIL.ImageOps.exif_transpose(opened)
                image.load()
        except Exception as error:
            why = str(error).replace(str(path), path.name)
            raise self._error(f"the image cannot be decoded: {why}", "image_load_error") from error
        return image.convert(mode) if mode else image

    def to_numpy(self, mode: str = "RGB") -> numpy.ndarray[Any, Any]:
        """The picture as an array of bytes, (height, width, channels). Raises as `to_pil`."""
        import numpy

        return numpy.asarray(self.to_pil(mode))

    def _check(self, path: Path, kind: str | None) -> None:
        width, height = _size_of(path)
        if width is None or height is None:
            # What Pillow knows and cannot read has a size that nobody has checked.
            if not fits(kind, "image") or (kind in _KNOWN and find_spec("PIL") is not None):
                raise self._error("this is no image that can be read", "image_load_error")
            return
        request = get_current_request()
        limits = (self.max_pixels, request.files.max_image_pixels if request else None)
        most = min((limit for limit in limits if limit is not None), default=None)
        if width == _FAR_TOO_LARGE or (most is not None and width * height > most):
            has = "far too many" if width == _FAR_TOO_LARGE else f"{width}x{height}"
            raise self._error(f"the image has {has} pixels; at most {most} are taken", "image_too_large")
        if min(width, height) < self.min_side:
            raise self._error(
                f"the image has {width}x{height} pixels; each side must have {self.min_side}", "image_too_small"
            )
        self.width, self.height = width, height
        self.content_type = kind if fits(kind, "image") else self.content_type


def _format(format: str) -> str:
    format = format.lower().lstrip(".")
    return "jpeg" if format == "jpg" else format


def _size_of(source: Path | io.BytesIO) -> tuple[int | None, int | None]:
    """Width and height as the header says, without decoding; None where it is no picture or PIL is not installed."""
    try:
        import PIL.Image
    except ImportError:
        return None, None
    try:
        with warnings.catch_warnings():
            # The limit is ours to check, with a better message.
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(source) as image:
                return image.width, image.height
    except PIL.Image.DecompressionBombError:
        return _FAR_TOO_LARGE, _FAR_TOO_LARGE
    except Exception:
        return None, None
