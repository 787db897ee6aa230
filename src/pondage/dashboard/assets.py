"""The built files of the pages: read once, each under an address that names its build, so that it never changes."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "html": "text/html; charset=utf-8"}
_PACKED = ".br"


class Asset(NamedTuple):
    """A built file, as it is and packed."""

    content_type: str
    plain: bytes
    brotli: bytes
    gzip: bytes


class Built(NamedTuple):
    """A build: its id, its page and its files by name."""

    id: str
    page: str
    assets: dict[str, Asset]


@cache
def built() -> Built:
    """What `make web` made; it is read at the first call, since most servers of a test never show a page."""
    folder = files("pondage.dashboard") / "static"
    contents = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(name.encode() + b"\0" + contents[name] + b"\0")
    assets = {
        name: Asset(_TYPES[name.rpartition(".")[2]], plain, contents[name + _PACKED], gzip.compress(plain, 9, mtime=0))
        for name, plain in contents.items()
        if not name.endswith((_PACKED, ".html", ".txt"))
    }
    return Built(digest.hexdigest()[:16], contents["index.html"].decode(), assets)


@cache
def page(prefix: str) -> bytes:
    """The one HTML page, for a server below `prefix` (empty, or `/path` of its public URL)."""
    return built().page.replace('"./', f'"{prefix}/ui/static/{built().id}/').encode()
