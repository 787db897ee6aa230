"""Media types and the endings of file names, both ways. Pure.

The standard library's table has not what media mostly are (`audio/wav`, `image/jpg`, `.webp`, `.m4a`), and the rest of
what it knows depends on the machine; ours comes first, theirs after it.
"""

from __future__ import annotations

import mimetypes
from functools import cache

UNKNOWN = "application/octet-stream"

_TYPES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    # ending, its type, other names of that type
    (".png", "image/png", ("image/x-png", "image/apng", "image/vnd.mozilla.apng")),
    (".jpg", "image/jpeg", ("image/jpg", "image/pjpeg", "image/mpo")),
    (".gif", "image/gif", ()),
    (".webp", "image/webp", ()),
    (".avif", "image/avif", ("image/avif-sequence",)),
    (".heic", "image/heic", ("image/heic-sequence",)),
    (".heif", "image/heif", ("image/heif-sequence",)),
    (".bmp", "image/bmp", ("image/x-ms-bmp", "image/x-bmp")),
    (".tiff", "image/tiff", ("image/tif", "image/x-tiff")),
    (".ico", "image/x-icon", ("image/vnd.microsoft.icon", "image/ico")),
    (".icns", "image/icns", ()),
    (".jp2", "image/jp2", ("image/jpeg2000", "image/x-jp2", "image/jpx", "image/j2c")),
    (".jxl", "image/jxl", ()),
    (".svg", "image/svg+xml", ()),
    (".qoi", "image/qoi", ("image/x-qoi",)),
    (".exr", "image/x-exr", ("image/exr",)),
    (".hdr", "image/vnd.radiance", ()),
    (".dds", "image/vnd.ms-dds", ("image/x-dds",)),
    (".tga", "image/x-tga", ("image/tga", "image/targa")),
    (".pnm", "image/x-portable-anymap", ()),
    (".ppm", "image/x-portable-pixmap", ()),
    (".pgm", "image/x-portable-graymap", ()),
    (".pbm", "image/x-portable-bitmap", ()),
    (".psd", "image/vnd.adobe.photoshop", ("image/x-psd", "image/psd")),
    (".mp4", "video/mp4", ("video/x-mp4", "application/mp4")),
    (".m4v", "video/x-m4v", ("video/m4v",)),
    (".mov", "video/quicktime", ("video/mov",)),
    (".webm", "video/webm", ()),
    (".mkv", "video/x-matroska", ("video/matroska",)),
    (".avi", "video/x-msvideo", ("video/avi", "video/msvideo", "video/vnd.avi")),
    (".wmv", "video/x-ms-wmv", ()),
    (".asf", "video/x-ms-asf", ()),
    (".flv", "video/x-flv", ("video/flv",)),
    (".mpg", "video/mpeg", ("video/x-mpeg",)),
    (".ts", "video/mp2t", ("video/m2ts",)),
    (".ogv", "video/ogg", ()),
    (".3gp", "video/3gpp", ("audio/3gpp",)),
    (".3g2", "video/3gpp2", ()),
    (".wav", "audio/wav", ("audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-pn-wav")),
    (".mp3", "audio/mpeg", ("audio/mp3", "audio/x-mp3", "audio/x-mpeg", "audio/mpeg3", "audio/x-mpeg-3")),
    (".m4a", "audio/mp4", ("audio/x-m4a", "audio/m4a", "audio/mp4a-latm")),
    (".aac", "audio/aac", ("audio/x-aac", "audio/aacp", "audio/x-hx-aac-adts")),
    (".ogg", "audio/ogg", ("application/ogg", "audio/x-ogg", "audio/vorbis")),
    (".opus", "audio/opus", ()),
    (".flac", "audio/flac", ("audio/x-flac",)),
    (".weba", "audio/webm", ()),
    (".mka", "audio/x-matroska", ("audio/matroska",)),
    (".aiff", "audio/aiff", ("audio/x-aiff",)),
    (".au", "audio/basic", ("audio/au",)),
    (".caf", "audio/x-caf", ()),
    (".wma", "audio/x-ms-wma", ()),
    (".amr", "audio/amr", ()),
    (".mid", "audio/midi", ("audio/x-midi", "audio/mid")),
    (".zip", "application/zip", ("application/x-zip-compressed", "application/x-zip")),
    (".tar", "application/x-tar", ("application/tar",)),
    (".gz", "application/gzip", ("application/x-gzip",)),
    (".bz2", "application/x-bzip2", ("application/bzip2",)),
    (".xz", "application/x-xz", ()),
    (".lzma", "application/x-lzma", ()),
    (".zst", "application/zstd", ()),
    (".7z", "application/x-7z-compressed", ()),
    (".pdf", "application/pdf", ()),
    (".json", "application/json", ("text/json",)),
    (".jsonl", "application/jsonl", ("application/x-ndjson", "application/x-jsonlines")),
    (".yaml", "application/yaml", ("text/yaml", "application/x-yaml")),
    (".txt", "text/plain", ()),
    (".md", "text/markdown", ()),
    (".csv", "text/csv", ()),
    (".html", "text/html", ()),
    (".xml", "application/xml", ("text/xml",)),
    (".srt", "application/x-subrip", ("text/srt",)),
    (".vtt", "text/vtt", ()),
    (".safetensors", "application/x-safetensors", ()),
    (".gguf", "application/x-gguf", ()),
    (".npy", "application/x-npy", ()),
    (".npz", "application/x-npz", ()),
    (".glb", "model/gltf-binary", ()),
    (".gltf", "model/gltf+json", ()),
    (".obj", "model/obj", ()),
    (".stl", "model/stl", ("application/sla",)),
    (".ply", "model/ply", ("application/x-ply",)),
    (".usdz", "model/vnd.usdz+zip", ()),
)
_ALSO = {
    ".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".apng": ".png", ".tif": ".tiff", ".dib": ".bmp", ".j2k": ".jp2",
    ".jpx": ".jp2", ".mpeg": ".mpg", ".m2ts": ".ts", ".mts": ".ts", ".qt": ".mov", ".wave": ".wav", ".oga": ".ogg",
    ".m4b": ".m4a", ".aif": ".aiff", ".aifc": ".aiff", ".snd": ".au", ".midi": ".mid", ".tgz": ".gz", ".tbz2": ".bz2",
    ".txz": ".xz", ".yml": ".yaml", ".htm": ".html", ".ndjson": ".jsonl", ".markdown": ".md",
}  # fmt: skip
"""Other spellings of an ending."""

_TYPE_OF = {ending: kind for ending, kind, _ in _TYPES}
_TYPE_OF |= {other: _TYPE_OF[ending] for other, ending in _ALSO.items()}
_ENDING_OF = {name: ending for ending, kind, others in _TYPES for name in (kind, *others)}


def bare(content_type: str) -> str:
    """`text/plain` of `Text/Plain; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def ending_of(content_type: str | None) -> str:
    """The ending of a file's name, with its dot, for a media type; nothing where there is none."""
    name = bare(content_type or "")
    if not name or name == UNKNOWN:
        return ""
    return _ENDING_OF.get(name) or _theirs().guess_extension(name) or ""


def type_of_name(name: str) -> str | None:
    """The media type that the ending of a file's name stands for; None where nobody knows it."""
    ending = "." + name.rpartition(".")[2].lower() if "." in name else ""
    return _TYPE_OF.get(ending) or _theirs().guess_type(name)[0]


@cache
def _theirs() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()  # without what this machine's files say: the same everywhere
