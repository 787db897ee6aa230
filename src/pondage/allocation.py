"""How the processes of a server use the C library's allocator."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""

MAPPED_FROM = 8 * 1024 * 1024
"""Buffers from this size on, in bytes, are mapped for themselves and given back when they are freed."""

KEPT_FREE = 32 * 1024 * 1024
"""Bytes of free memory that a process keeps for the next buffers."""


def reuse_buffers() -> None:
    """Reuse the memory of messages and pieces of files, up to `MAPPED_FROM` each.

    glibc maps every buffer above 128 KiB anew at first, and each page of it faults: for messages of 1 MB this was half
    of what gateway and runner spent. Elsewhere nothing changes.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM)
        mallopt(_M_TRIM_THRESHOLD, KEPT_FREE)
