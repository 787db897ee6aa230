"""Pictures of many kinds in and out: nothing is cut off, nothing wraps around, nothing lies on its side."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy
import PIL.Image
import PIL.ImageOps
import pytest

from pondage.app.media import Image, MediaError, prepare
from pondage.client.inputs import image_bytes
from pondage.pixels import PixelRange, eight_bits

from .test_media import Files, data_uri, png
from .test_media import files as files  # a fixture

GREY, EIGHT = 40_000, 156
DEEP_MODES = ["I;16", "I;16L", "I;16B"]


def deep(mode: str, value: int = GREY) -> PIL.Image.Image:
    order = "big" if mode == "I;16B" else "little"
    return PIL.Image.frombytes(mode, (2, 2), value.to_bytes(2, order) * 4)  # type: ignore[arg-type]


def written(image: PIL.Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pixel(data: bytes) -> Any:
    with PIL.Image.open(io.BytesIO(data)) as image:
        return image.getpixel((0, 0))


def reading(data: bytes) -> Image:
    return Image(url=data_uri(data, "image/any"))


# ---- in


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
@pytest.mark.parametrize(
    "data",
    [
        written(deep("I;16"), "PNG"),
        written(deep("I;16"), "TIFF"),
        written(deep("I;16B"), "TIFF"),
        b"P5 2 2 65535\n" + GREY.to_bytes(2, "big") * 4,
        written(PIL.Image.new("F", (2, 2), GREY / 65_535), "TIFF"),
    ],
    ids=["png", "tiff", "tiff-big", "pgm", "float"],
)
def test_more_than_8_bits_are_scaled(files: Files, data: bytes, mode: str) -> None:
    expected = PIL.Image.new("L", (1, 1), EIGHT).convert(mode).getpixel((0, 0))
    found = reading(data).to_pil(mode).getpixel((0, 0))
    assert numpy.allclose(found, expected, atol=1)


def test_16_bits_of_colour_are_scaled(files: Files) -> None:
    rows = (b"\0" + struct.pack(">HHH", GREY, 0, 65_535) * 2) * 2

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert reading(data).to_pil().getpixel((0, 0)) == (EIGHT, 0, 255)


def test_as_it_is_stored_or_in_a_deep_mode_nothing_is_scaled(files: Files) -> None:
    image = reading(written(deep("I;16"), "PNG"))
    assert image.to_numpy(None).max() == image.to_pil("I").getpixel((0, 0)) == GREY
    assert image.to_pil("F").getpixel((0, 0)) == GREY


@pytest.mark.parametrize(
    "picture",
    [PIL.Image.new("I", (2, 2), 70_000), PIL.Image.new("I", (2, 2), -1), PIL.Image.new("F", (2, 2), 3.5),
     PIL.Image.new("F", (2, 2), -1.0), PIL.Image.new("F", (2, 2), float("nan"))],
)  # fmt: skip
def test_what_nobody_can_scale_is_refused(files: Files, picture: PIL.Image.Image) -> None:
    with pytest.raises(MediaError) as caught:
        reading(written(picture, "TIFF")).to_pil()
    assert (caught.value.type == "image_load_error" and "scale" in str(caught.value)) or "NaN" in str(caught.value)
    assert reading(written(picture, "TIFF")).to_pil(None).mode == picture.mode
    with pytest.raises(PixelRange):
        Image.from_pil(picture, "jpeg")
    with pytest.raises(ValueError, match="pixels"):
        image_bytes(picture, "jpeg")


def test_32_bits_that_hold_8_are_taken(files: Files) -> None:
    assert reading(written(PIL.Image.new("I", (2, 2), 200), "TIFF")).to_pil("L").getpixel((0, 0)) == 200


# ---- out


@pytest.mark.parametrize("mode", DEEP_MODES)
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "bmp", "tiff", "jp2", "avif"])
def test_a_deep_picture_is_kept_or_scaled(files: Files, mode: str, format: str) -> None:
    image = Image.from_pil(deep(mode), format, save_kwargs={"lossless": True} if format == "webp" else None)
    assert image.file_name is not None
    for data in (files.folder.joinpath(image.file_name).read_bytes(), image_bytes(deep(mode), _theirs(format))):
        found = numpy.max(pixel(data))
        assert found == GREY or abs(int(found) - EIGHT) <= 1


def _theirs(format: str) -> str:
    return "jpeg2000" if format == "jp2" else format


def test_a_deep_gif_is_scaled(files: Files) -> None:
    image = Image.from_pil(deep("I;16"), "gif", file_name="a.gif")
    assert image.content_type == "image/gif"
    with PIL.Image.open(files.folder / "a.gif") as stored:
        assert stored.convert("L").getpixel((0, 0)) == EIGHT


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (numpy.full((2, 2), GREY, "uint16"), GREY),
        (numpy.full((2, 2), GREY, ">u2"), GREY),
        (numpy.full((2, 2, 3), GREY, "uint16"), (EIGHT,) * 3),
        (numpy.full((2, 2), 200, "int64"), 200),
        (numpy.full((2, 2), 200, "uint8"), 200),
        (numpy.full((2, 2), 0.5, "float16"), 128),
        (numpy.full((2, 2), 1.001, "float32"), 255),
        (numpy.full((2, 2), True), 255),
        ([[0.0, 1.0]], 0),
    ],
)
def test_arrays_keep_their_brightness(files: Files, array: Any, expected: Any) -> None:
    image = Image.from_numpy(array, file_name="a.png")
    assert pixel((files.folder / "a.png").read_bytes()) == expected and image.width == 2


@pytest.mark.parametrize(
    "array",
    [
        numpy.full((2, 2), 300, "int32"), numpy.full((2, 2), -1, "int8"), numpy.full((2, 2), 256, "uint32"),
        numpy.full((2, 2), 2.0), numpy.full((2, 2), -0.5), numpy.full((2, 2), numpy.nan), numpy.full((2, 2), numpy.inf),
        numpy.full((2, 2), 1j), numpy.full((2, 2), "x"), numpy.full((0, 2), 1, "uint8"),
    ],
)  # fmt: skip
def test_arrays_that_nobody_can_scale_are_refused(files: Files, array: Any) -> None:
    with pytest.raises(ValueError, match="array"):
        Image.from_numpy(array)


# ---- which way up


def photo(format: str, orientation: int) -> bytes:
    picture = PIL.Image.new("RGB", (40, 20))
    picture.paste((255, 255, 255), (0, 0, 10, 10))  # its upper left corner is white
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return written(picture, format, exif=exif)


def corner(picture: PIL.Image.Image) -> tuple[bool, bool]:
    """Whether the white corner is to the left, and at the top."""
    grey = numpy.asarray(picture.convert("L"))
    high, wide = grey.shape
    return bool(grey[:, : wide // 2].max() > 200), bool(grey[: high // 2].max() > 200)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "MPO", "AVIF"])
def test_size_and_pixels_agree_which_way_is_up(files: Files, format: str, orientation: int) -> None:
    data = photo(format, orientation)
    image = reading(data)
    prepare({"image": image})
    picture = image.to_pil()
    assert (image.width, image.height) == picture.size == ((40, 20) if orientation < 5 else (20, 40))
    with PIL.Image.open(io.BytesIO(data)) as opened:
        assert corner(picture) == corner(PIL.ImageOps.exif_transpose(opened))
    stored = Image.from_bytes(data)
    assert (stored.width, stored.height) == picture.size
    for again in (Image.from_pil(PIL.Image.open(io.BytesIO(data)), "png", file_name="up.png"),):
        assert (again.width, again.height) == picture.size
    with PIL.Image.open(files.folder / "up.png") as kept, PIL.Image.open(io.BytesIO(data)) as given:
        assert kept.size == picture.size and corner(kept) == corner(picture)
        assert corner(PIL.Image.open(io.BytesIO(image_bytes(given, "png")))) == corner(picture)


def test_exif_behind_the_pixels_of_a_png_counts(files: Files) -> None:
    data = photo("PNG", 6)
    begin = data.index(b"eXIf") - 4
    end = begin + 12 + int.from_bytes(data[begin : begin + 4], "big")
    late = data[:begin] + data[end:-12] + data[begin:end] + data[-12:]
    image = reading(late)
    prepare({"image": image})
    assert (image.width, image.height) == image.to_pil().size == (20, 40)


# ---- what is not read


def test_only_common_formats_are_opened(files: Files) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n"
    with pytest.raises(MediaError, match="no image"):
        prepare({"image": reading(eps)})
    with pytest.raises(MediaError, match="no image"):
        reading(eps).to_pil()

    class OnlyPng(Image):
        formats = ("PNG",)

    prepare({"image": OnlyPng(url=data_uri(png()))})
    with pytest.raises(MediaError):
        prepare({"image": OnlyPng(url=data_uri(photo("JPEG", 1)))})


def test_the_memory_that_a_picture_takes_has_a_limit(files: Files) -> None:
    files.max_image_bytes = 40 * 20 * 4 - 1
    with pytest.raises(MediaError, match="3200 bytes, decoded") as caught:
        prepare({"image": reading(photo("PNG", 1))})
    assert caught.value.type == "image_too_large"
    prepare({"image": reading(written(PIL.Image.new("L", (40, 20)), "PNG"))})


def test_pictures_of_8_bits_are_left_as_they_are() -> None:
    picture = PIL.Image.new("RGB", (1, 1))
    assert eight_bits(picture) is picture


# ---- names, and media outside of requests


def test_the_local_name_ends_as_the_file_is(files: Files, tmp_path: Path) -> None:
    from pondage.app.media import Audio, File

    wav = b"RIFF\0\0\0\0WAVEfmt "
    for given, ending in (
        ({"url": data_uri(wav, "audio/wav")}, ".wav"),
        ({"url": data_uri(wav, "application/octet-stream")}, ".wav"),
        ({"url": data_uri(wav, "audio/x-wav"), "file_name": "a.wave"}, ".wave"),
        ({"url": data_uri(wav, ""), "content_type": "audio/vnd.wave"}, ".wav"),
    ):
        assert Audio.model_validate(given).local_path.suffix == ending
    (tmp_path / "get.php").write_bytes(wav)
    assert File(url="https://files.example/get.php").local_path.name == "get.wav"
    (tmp_path / "b.flac").write_bytes(wav)
    assert File(url="https://files.example/b.flac").local_path.name == "b.flac"
    assert Audio.from_bytes(wav).file_name == "audio.wav"


def test_outside_of_a_request_nothing_is_left_behind(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import os, pondage\n"
        "for _ in range(5):\n"
        "    file = pondage.File(url='data:audio/wav;base64,QUJD')\n"
        "    assert file.as_bytes() == b'ABC'\n"
        "assert os.listdir(os.environ['TMPDIR']) == []\n"
        "assert file.local_path.read_bytes() == b'ABC' and file.local_path.suffix == '.wav'\n"
        "try:\n"
        "    pondage.File(url='data:;base64,%%').as_bytes()\n"
        "except pondage.FieldException as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], env={"TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=60
    )
    assert "not base64" in ran.stdout, ran.stderr
    assert list(tmp_path.iterdir()) == []
