"""Formats by how they begin, in all the ways in which decoders take them."""

from __future__ import annotations

import io
import tarfile

import pytest

from pondage.app.sniff import fits, kind_of

MP3 = b"\xff\xfb\x90\x64" + bytes(413)  # a frame of 128 kbit/s at 44.1 kHz has 417 bytes
ADTS = b"\xff\xf1\x50\x80\x04\x1f\xfc" + bytes(25)  # 32 bytes


def box(name: bytes, size: int = 16) -> bytes:
    return size.to_bytes(4, "big") + name + bytes(max(0, size - 8))


@pytest.mark.parametrize("first", [b"free", b"wide", b"mdat", b"moov", b"skip", b"pnot", b"moof", b"styp"])
def test_a_film_begins_with_any_of_its_boxes(first: bytes) -> None:
    assert kind_of(box(first)) == "video/quicktime"
    assert kind_of(box(b"ftyp")) == "video/mp4"
    assert kind_of(b"\0\0\0\x01" + first + (1 << 33).to_bytes(8, "big")) == "video/quicktime"
    assert kind_of(b"\0\0\0\x03" + first + bytes(20)) is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"BW64\xff\xff\xff\xffWAVE", "audio/wav"),
        (b"RIFX\0\0\0\0WAVE", "audio/wav"),
        (MP3, "audio/mpeg"),
        (bytes(300) + MP3 + MP3, "audio/mpeg"),
        (b"junk" + MP3 * 2, "audio/mpeg"),
        (ADTS, "audio/aac"),
        (b"\0\0" + ADTS * 2, "audio/aac"),
        (b"\0\0\0\x01\x67\x42", "video/h264"),
        (b"\0\0\0\x10" + b"G" + bytes(187) + b"\0\0\0\0G" + bytes(187) + b"\0\0\0\0G" + bytes(187), "video/mp2t"),
        (b"OggS" + bytes(24) + b"\x80theora", "video/ogg"),
        (b"II+\0\x08\0\0\0", "image/tiff"),
        (b"P5\n2 2\n255\n", "image/x-portable-anymap"),
        (b"\xff\x4f\xff\x51", "image/jp2"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "image/bmp"),
        (b"]\0\0\x80\0", "application/x-lzma"),
    ],
)
def test_ways_to_begin(head: bytes, kind: str) -> None:
    assert kind_of(head) == kind


@pytest.mark.parametrize(
    "head",
    [b"BMW is no picture of bits", "ein Text".encode("utf-16"), b"\xff\xff\xff\xff", b"", b"P", b"P9 x", bytes(4096),
     b"ID", bytes(300) + MP3, b"<html>" * 100],
)  # fmt: skip
def test_what_only_looks_like_it(head: bytes) -> None:
    assert kind_of(head) is None


def test_an_old_tar_is_one_by_its_sum() -> None:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            tar.addfile(tarfile.TarInfo("x"))
        head = bytearray(file.getvalue()[:512])
    head[257:265] = bytes(8)
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    assert kind_of(bytes(head)) == "application/x-tar"
    head[0] ^= 1
    assert kind_of(bytes(head)) is None


def test_what_stands_for_what() -> None:
    assert fits("image/gif", "video") and fits("audio/ogg", "video") and fits("video/mp2t", "audio")
    assert fits("application/mxf", "audio") and not fits("audio/wav", "video") and not fits("image/png", "video")
    assert not fits("video/mp4", "image") and not fits(None, "video") and fits("application/x-tar", "archive")
