"""What callers send as media and as input: it is read, or it is the one error that its reader expects."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import PIL.Image
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondage.app import image
from pondage.app.inputs import Input
from pondage.app.signature import Signature
from pondage.app.sniff import HEAD, fits, kind_of
from pondage.app.unpack import Refused, unpack
from pondage.outbound import check_url
from pondage.runner.files import FileRefused, _decode_data_uri

BOUNDED = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def _picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (4, 3)).save(buffer, kind)
    return buffer.getvalue()


def _archives() -> list[bytes]:
    made = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr("a.txt", b"some text " * 20)
        made.append(buffer.getvalue())
    for mode in ("w:", "w:gz", "w:bz2", "w:xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
            member = tarfile.TarInfo("a.txt")
            member.size = 200
            tar.addfile(member, io.BytesIO(b"some text " * 20))
        made.append(buffer.getvalue())
    return made


def _bent(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Cut anywhere, or with a few bytes that are others."""

    def bend(data: bytes, cut: int, changes: list[tuple[int, int]]) -> bytes:
        bent = bytearray(data[: len(data) - cut % len(data)])
        for at, value in changes:
            bent[at % len(bent)] = value
        return bytes(bent)

    places = st.tuples(st.integers(0, 2**16), st.integers(0, 255))
    return st.builds(bend, whole, st.just(0) | st.integers(0, 2**16), st.lists(places, max_size=4))


PICTURES = _bent(st.sampled_from([_picture(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "ICO")]))
ARCHIVES = _bent(st.sampled_from(_archives()))


@BOUNDED
@given(st.binary(max_size=HEAD) | PICTURES | ARCHIVES)
def test_what_bytes_are_is_told_or_not(data: bytes) -> None:
    kind = kind_of(data[:HEAD])
    assert kind is None or "/" in kind
    assert {fits(kind, family) for family in ("image", "video", "audio", "archive")} <= {True, False}


@BOUNDED
@given(st.binary(max_size=80) | PICTURES)
def test_a_picture_has_a_size_or_none(data: bytes) -> None:
    width, height = image._size_of(data)
    assert (width is None) == (height is None)


def _unpacked_or_refused(data: bytes) -> None:
    """As the program of its own does it, without one for each of so many."""
    with tempfile.TemporaryDirectory() as folder:
        source, to = Path(folder) / "source", Path(folder) / "to"
        source.write_bytes(data)
        to.mkdir()
        with contextlib.suppress(Refused):
            unpack(source, to, room=64 * 1024 * 1024, members=1000)
        assert {path.name for path in Path(folder).iterdir()} == {"source", "to"}


@BOUNDED
@given(ARCHIVES | st.binary(max_size=40))
def test_an_archive_is_unpacked_or_refused(data: bytes) -> None:
    _unpacked_or_refused(data)


@pytest.mark.parametrize("whole", _archives())
def test_an_archive_with_any_byte_wrong_is_unpacked_or_refused(whole: bytes) -> None:
    for at in range(0, len(whole), 1 if len(whole) < 1000 else 64):
        for wrong in (0x07, whole[at] ^ 0x10):
            _unpacked_or_refused(whole[:at] + bytes([wrong]) + whole[at + 1 :])


@BOUNDED
@given(
    st.text(max_size=40)
    | st.builds("{};base64,{}".format, st.text(max_size=8), st.text(max_size=30))
    | st.builds("{},{}".format, st.text(max_size=8), st.text(max_size=30))
)
def test_a_data_uri_is_decoded_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(FileRefused):
        to = Path(folder) / "to"
        assert _decode_data_uri("data:" + text, to, 20)
        assert to.stat().st_size <= 20


@BOUNDED
@given(
    st.text(max_size=40) | st.builds("{}://{}".format, st.sampled_from(["http", "https", "ftp"]), st.text(max_size=30))
)
def test_a_url_is_good_or_a_value_error(url: str) -> None:
    with contextlib.suppress(ValueError):
        assert check_url(url).startswith("http")


# ---- inputs


class Shape(pydantic.BaseModel):
    words: list[str]
    size: tuple[int, float] | None = None


def _whole(self: Any, input: Shape) -> None: ...


def _members(self: Any, words: list[str], seed: int = 0) -> None: ...


INPUTS = [Signature(function, "Of").input for function in (_whole, _members)]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["words", "size", "seed"]), inner),
    max_leaves=8,
)


@BOUNDED
@given(st.binary(max_size=60) | VALUES.map(lambda value: msgspec.json.encode(value)), VALUES, st.sampled_from(INPUTS))
def test_an_input_fits_or_is_a_validation_error(data: bytes, value: Any, taken: Input) -> None:
    for read in (lambda: taken.parse(data), lambda: taken.arguments(value)):
        with contextlib.suppress(pydantic.ValidationError):
            assert set(read()) <= {"input", "words", "seed"}
