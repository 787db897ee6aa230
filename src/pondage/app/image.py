"""`Image`: a picture by its URL, from and to PIL and NumPy; the sizes that fal's inputs name (PROTOCOL 11.4)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import pydantic
from pydantic import BaseModel, Field

from pondage.app.context import get_current_request
from pondage.app.file import IN_MEMORY, File, MediaError
from pondage.app.pictures import FORMATS, TooManyPixels, header_of, opened, orientation_of, turned
from pondage.app.sniff import HEAD, fits, kind_of
from pondage.pixels import DEEP, eight_bits, fit_for, upright
from pondage.wire import media_types

if TYPE_CHECKING:
    import numpy
    import PIL.Image

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
    formats: ClassVar[tuple[str, ...]] = FORMATS
    """Pillow's names of the formats that an input may have. A subclass may name fewer, or others."""

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
        """Store a PIL image, upright; PNG unless `format` (`jpeg`, `webp`, …) says otherwise.

        Pixels of 16 and 32 bits are kept where the format has them (PNG 16, TIFF both), else scaled to 8.

        Raises:
            PixelRange: they cannot be scaled, since nobody says how bright they are; also a ValueError.
        """
        format = _format(format or "png")
        options: dict[str, Any] = {"png": {"compress_level": 1}, "jpeg": {"quality": 95}}.get(format, {})
        options |= save_kwargs or {}
        image = fit_for(image if "exif" in options else upright(image), format)
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        inline = sync_mode or repository == IN_MEMORY
        return cls._stored(
            buffer.getvalue(), _content_type(format), file_name, inline=inline, width=image.width, height=image.height
        )

    @classmethod
    def from_numpy(cls, array: numpy.ndarray[Any, Any], format: str | None = None, **options: Any) -> Self:
        """Store an array of shape (height, width), or with 1, 3 or 4 channels last. Whole numbers are taken as 0 to
        255, `uint16` as 0 to 65535 (kept in a PNG of one channel, else scaled), floats as 0 to 1.

        Raises:
            ValueError: another shape, or numbers beyond that.
        """
        import numpy
        import PIL.Image

        array = numpy.asarray(array)
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
            raise ValueError(f"an image is (height, width[, 1, 3 or 4]), got an array of shape {array.shape}")
        return cls.from_pil(PIL.Image.fromarray(_as_bytes(array)), format, **options)

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
        content_type = _content_type(_format(format)) if format else kind_of(data[:HEAD]) or "image/png"
        width, height = (size.width, size.height) if size else _size_of(data)
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
        """The picture, decoded, upright, in `mode` (None: as it is stored). Where that has 8 bits, pixels of 16 are
        scaled, and floats from 0 to 1.

        Raises:
            MediaError: it cannot be fetched, decoded, or made such a picture.
        """
        path = self.local_path
        try:
            with opened(path, self.formats) as image:
                orientation = orientation_of(image, path)
                image.load()
                shown = turned(image, orientation)
            if mode is None:
                return shown
            if mode not in DEEP and image.mode in DEEP:
                shown.format = image.format
                shown = eight_bits(shown)
            elif image.mode == "LAB" and mode != "LAB":
                raise ValueError("its colours are LAB, which cannot be converted; take it as it is (mode None)")
        except Exception as error:
            why = str(error).replace(str(path), path.name)
            raise self._error(f"the image cannot be decoded: {why}", "image_load_error") from error
        return shown if shown.mode == mode else shown.convert(mode)

    def to_numpy(self, mode: str | None = "RGB") -> numpy.ndarray[Any, Any]:
        """The picture as an array, (height, width, channels), of bytes unless `mode` has other pixels. Raises as
        `to_pil`."""
        import numpy

        return numpy.asarray(self.to_pil(mode))

    def _check(self, path: Path, kind: str | None) -> None:
        request = get_current_request()
        limits = (self.max_pixels, request.files.max_image_pixels if request else None)
        most = min((limit for limit in limits if limit is not None), default=None)
        try:
            header = header_of(path, self.formats)
        except TooManyPixels:
            raise self._too_large("far too many pixels", f"at most {most} are taken") from None
        if header is None:
            # What Pillow knows and cannot read has a size that nobody has checked.
            if not fits(kind, "image") or (kind in _KNOWN and find_spec("PIL") is not None):
                raise self._error("this is no image that can be read", "image_load_error")
            return
        width, height = header.width, header.height
        if most is not None and width * height > most:
            raise self._too_large(f"{width}x{height} pixels", f"at most {most} are taken")
        if request is not None and header.decoded_bytes > (room := request.files.max_image_bytes):
            raise self._too_large(f"{header.decoded_bytes} bytes, decoded", f"at most {room} are taken")
        if min(width, height) < self.min_side:
            raise self._error(
                f"the image has {width}x{height} pixels; each side must have {self.min_side}", "image_too_small"
            )
        self.width, self.height = width, height
        self.content_type = kind if fits(kind, "image") else self.content_type

    def _too_large(self, has: str, taken: str) -> MediaError:
        return self._error(f"the image has {has}; {taken}", "image_too_large")


def _format(format: str) -> str:
    format = format.lower().lstrip(".")
    return {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000", "j2k": "jpeg2000"}.get(format, format)


def _content_type(format: str) -> str:
    return media_types.type_of_name(f".{format}") or {"jpeg2000": "image/jp2"}.get(format, f"image/{format}")


def _size_of(source: Path | bytes) -> tuple[int | None, int | None]:
    """Width and height as the picture is shown; None where it is no picture or PIL is not installed."""
    try:
        header = header_of(source)
    except TooManyPixels:
        return None, None
    return (header.width, header.height) if header else (None, None)


def _as_bytes(array: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """An array of numbers as Pillow takes it: 8 bits, or 16 where there is one channel.

    Raises:
        ValueError: nobody can tell what its numbers mean as brightness.
    """
    import numpy

    kind = array.dtype.kind
    if kind == "b":
        return array.astype(numpy.uint8) * numpy.uint8(255)
    if kind not in "uif":
        raise ValueError(f"an image is made of numbers, got an array of {array.dtype}")
    if array.size == 0:
        raise ValueError(f"an image has pixels, got an array of shape {array.shape}")
    if kind == "f":
        if not numpy.isfinite(array).all():
            raise ValueError("the array holds NaN or an infinity")
        least, most = float(array.min()), float(array.max())
        if least < -0.5 / 255 or most > 1 + 0.5 / 255:
            raise ValueError(
                f"the array holds floats from {least:g} to {most:g}; they are taken from 0 to 1: scale them"
            )
        return (array.astype(numpy.float64).clip(0, 1) * 255 + 0.5).astype(numpy.uint8)
    if array.dtype.itemsize == 2 and kind == "u":
        array = array.astype(numpy.uint16)  # in this machine's order of bytes
        return array if array.ndim == 2 else ((array.astype(numpy.uint32) * 255 + 32_767) // 65_535).astype(numpy.uint8)
    least, most = int(array.min()), int(array.max())
    if least < 0 or most > 255:
        raise ValueError(
            f"the array holds {array.dtype} from {least} to {most}; whole numbers are taken from 0 to 255, "
            "uint16 from 0 to 65535: scale them"
        )
    return array.astype(numpy.uint8)
