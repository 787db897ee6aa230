"""What bytes are, by how they begin: no name and no declared type is believed. Pure.

The measure is what decoders take, so a format has as many entries as it has ways to begin.
"""

from __future__ import annotations

HEAD = 4096
"""Bytes from the beginning that `kind_of` wants to see."""

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"icns", "image/icns"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"qoif", "image/qoi"),
    (b"DDS ", "image/vnd.ms-dds"),
    (b"v/1\x01", "image/x-exr"),
    (b"#?RADIANCE", "image/vnd.radiance"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"\x00\x00\x00\x01\x67", "video/h264"),
    (b"\x00\x00\x00\x01\x09", "video/h264"),
    (b"\x00\x00\x01\x67", "video/h264"),
    (b"\x00\x00\x00\x01\x40\x01", "video/h265"),
    (b"DKIF", "video/x-ivf"),
    (b"YUV4MPEG2 ", "video/x-yuv4mpeg"),
    (b".RMF", "video/vnd.rn-realvideo"),
    (b"\x06\x0e+4\x02\x05\x01\x01\x0d\x01\x02", "application/mxf"),
    (b"0&\xb2u\x8ef\xcf\x11", "video/x-ms-asf"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"ADIF", "audio/aac"),
    (b"wvPk", "audio/x-wavpack"),
    (b"MAC ", "audio/x-ape"),
    (b"TTA1", "audio/x-tta"),
    (b"MPCK", "audio/x-musepack"),
    (b"MP+", "audio/x-musepack"),
    (b"DSD ", "audio/x-dsf"),
    (b".snd", "audio/basic"),
    (b"MThd", "audio/midi"),
    (b"#!AMR", "audio/amr"),
    (b"caff", "audio/x-caf"),
    (b"Creative Voice File\x1a", "audio/x-voc"),
    (b"\x0b\x77", "audio/ac3"),
    (b"\x7f\xfe\x80\x01", "audio/vnd.dts"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"PK\x07\x08PK", "application/zip"),
    (b"PK00PK", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"]\x00\x00", "application/x-lzma"),
    (b"7z\xbc\xaf'\x1c", "application/x-7z-compressed"),
    (b"(\xb5/\xfd", "application/zstd"),
    (b"%PDF-", "application/pdf"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo", b"RMID": "audio/midi"}
_RIFFS = frozenset({b"RIFF", b"RIFX", b"RF64", b"BW64"})
_WAVE64 = b"riff.\x91\xcf\x11\xa5\xd6(\xdb\x04\xc1\x00\x00"
_BRANDS = {
    b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic", b"heim": "image/heic",
    b"heis": "image/heic", b"hevc": "image/heic", b"hevx": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif",
    b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"M4P ": "audio/mp4", b"qt  ": "video/quicktime",
}  # fmt: skip
_BOXES = frozenset({b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"junk", b"uuid", b"udta", b"styp", b"moof",
                    b"sidx", b"emsg"})  # fmt: skip
"""What a film may begin with instead of its `ftyp`: QuickTime from before it, pieces of a stream."""
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def kind_of(head: bytes) -> str | None:
    """The content type that the first bytes tell, or None."""
    if head[:4] in _RIFFS:
        return _RIFF.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return "audio/aiff"
    if head[:4] == b"OggS":
        return "video/ogg" if b"\x80theora" in head else "audio/ogg"
    if head[:16] == _WAVE64:
        return "audio/wav"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3] in b" \t\r\n#" and len(head) > 3:
        return "image/x-portable-anymap"
    if head[4:8] in _BOXES and _is_box(head):
        return "video/quicktime"
    if _is_tar(head):
        return "application/x-tar"
    if _in_packets(head):
        return "video/mp2t"
    return _frames_of(head)


def _is_box(head: bytes) -> bool:
    """Whether the first box of a film has a size that can be: its own head at least, or to the end (0), or long (1)."""
    size = int.from_bytes(head[:4], "big")
    return size >= 8 or size == 0 or (size == 1 and int.from_bytes(head[8:16], "big") >= 16)


def _is_tar(head: bytes) -> bool:
    """Whether a tar's first member stands here; the oldest tars have no mark but the sum of their bytes."""
    if head[257:262] == b"ustar":
        return True
    if len(head) < 512 or not head[0]:
        return False
    try:
        told = int(head[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return told == sum(head[:148]) + 8 * 32 + sum(head[156:512])


def _in_packets(head: bytes) -> bool:
    """Whether these are packets of a transport stream, with or without the time in front of each (192 bytes)."""
    return any(
        len(head) > at + 2 * size and all(head[at + n * size] == 0x47 for n in range(3))
        for at, size in ((0, 188), (4, 192))
    ) or (head[:1] == b"G" and head[188:189] == b"G")


# ---- sound that has no head: frames, one behind the other

_RATES = {
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits a second of MPEG 1 and 2, layers II and III, by the number in the frame's head."""
_SAMPLES = (44_100, 48_000, 32_000)


def _frames_of(head: bytes) -> str | None:
    """The type of the sound whose frames begin here, or behind bytes that decoders skip; None for none.

    One frame's head proves something at the very beginning; further on it takes two, the second where the first says.
    """
    if _adts(head, 0):
        return "audio/aac"
    if _mpeg_audio(head, 0):
        return "audio/mpeg"
    at = head.find(b"\xff", 1)
    while at >= 0:
        if (length := _mpeg_audio(head, at)) and _mpeg_audio(head, at + length):
            return "audio/mpeg"
        if (length := _adts(head, at)) and _adts(head, at + length):
            return "audio/aac"
        at = head.find(b"\xff", at + 1)
    return None


def _mpeg_audio(head: bytes, at: int) -> int:
    """The length of the frame of layer II or III that begins at `at`; 0 where none does."""
    if len(head) < at + 3 or head[at] != 0xFF or head[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = (head[at + 1] >> 3) & 3, 4 - ((head[at + 1] >> 1) & 3)
    rate, sample = head[at + 2] >> 4, (head[at + 2] >> 2) & 3
    if version == 1 or layer not in (2, 3) or rate == 15 or sample == 3:
        return 0
    if rate == 0:
        return 4  # any rate: its length stands nowhere
    one = version == 3
    kilobits = _RATES[(1 if one else 2, layer)][rate]
    samples = _SAMPLES[sample] // {3: 1, 2: 2, 0: 4}[version]
    factor = 144 if one or layer == 2 else 72
    return factor * kilobits * 1000 // samples + ((head[at + 2] >> 1) & 1)


def _adts(head: bytes, at: int) -> int:
    """The length of the AAC frame that begins at `at`; 0 where none does."""
    if len(head) < at + 3 or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0 or (head[at + 2] >> 2) & 15 > 12:
        return 0
    if len(head) < at + 6:
        return 7
    return max(7, (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5)
