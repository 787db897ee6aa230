"""Inputs from outside, kept over requests: asked for again each time, sent again only if they have changed."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple

from pondage import outbound


class _Kept(NamedTuple):
    path: Path
    size: int
    content_type: str
    validators: Mapping[str, str]
    final_url: str


class Inputs:
    """What the callers' URLs led to. Its methods are called from many threads.

    Args:
        room: most bytes that are kept; what was used longest ago goes first.
        timeout: seconds for one fetch.
        allow_private: whether addresses that are not public may be reached.
    """

    def __init__(self, room: int, *, timeout: float, allow_private: bool) -> None:
        self._room = room
        self._timeout = timeout
        self._allow_private = allow_private
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._numbers = count()
        self._folder: Path | None = None

    def fetch(self, url: str, to: Path, max_bytes: int) -> str:
        """Make `to` a read-only file with what `url` names now; returns its content type.

        Only what has an `ETag` or a `Last-Modified` is kept, and its sender is asked each time: a copy is never older
        than the sender says. A copy is a link to what is kept, so that it stays when that goes.

        Raises:
            OutboundError: it is refused, too large, or does not answer.
        """
        part = to.with_name(f"{to.name}.part")
        kept = self._find(url, to)
        if kept is not None and kept.size <= max_bytes:
            fetched = self._ask(url, part, max_bytes, kept.validators)
            if fetched.unchanged and fetched.final_url == kept.final_url:
                return kept.content_type
        if kept is None or kept.size > max_bytes or fetched.unchanged:
            fetched = self._ask(url, part, max_bytes, {})
        part.chmod(0o444)
        part.replace(to)
        self._keep(url, to, fetched)
        return fetched.content_type

    def _ask(self, url: str, to: Path, max_bytes: int, held: Mapping[str, str]) -> outbound.Fetched:
        return outbound.fetch_to(
            to, url, allow_private=self._allow_private, max_bytes=max_bytes, timeout=self._timeout, held=held
        )

    def _find(self, url: str, to: Path) -> _Kept | None:
        """What is kept of `url`, linked to `to`."""
        with self._lock:
            kept = self._kept.get(url)
            if kept is None:
                return None
            self._kept.move_to_end(url)
            try:
                os.link(kept.path, to)
            except OSError:  # somebody has cleaned the folder up
                self._forget(url)
                return None
            return kept

    def _keep(self, url: str, path: Path, fetched: outbound.Fetched) -> None:
        with self._lock:
            self._forget(url)
            if not fetched.validators or fetched.size > self._room:
                return
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="pondage-inputs-"))
                weakref.finalize(self, shutil.rmtree, self._folder, True)
            copy = self._folder / str(next(self._numbers))
            try:
                os.link(path, copy)
            except OSError:  # a file system without links: nothing is kept
                return
            self._kept[url] = _Kept(copy, fetched.size, fetched.content_type, fetched.validators, fetched.final_url)
            self._bytes += fetched.size
            while self._bytes > self._room:
                self._forget(next(iter(self._kept)))

    def _forget(self, url: str) -> None:
        kept = self._kept.pop(url, None)
        if kept is not None:
            self._bytes -= kept.size
            kept.path.unlink(missing_ok=True)
