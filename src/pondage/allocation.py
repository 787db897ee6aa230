"""How the processes of a server use the C library's allocator."""

from __future__ import annotations

import asyncio
import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""

MAPPED_FROM = 8 * 1024 * 1024
"""Buffers from this size on, in bytes, are mapped for themselves and given back when they are freed."""

KEPT_FREE = 32 * 1024 * 1024
"""Bytes of free memory that a process keeps for the next buffers."""

_LOOK = 4.0
"""Seconds between two looks at how much is kept."""


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


class _Mallinfo2(ctypes.Structure):
    """mallinfo(3): bytes by what they are."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def kept_free() -> int:
    """Bytes that this process has freed and not given back; 0 where that cannot be known."""
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if mallinfo2 is None:
        return 0
    mallinfo2.restype = _Mallinfo2
    return int(mallinfo2().fordblks)


def give_back() -> None:
    """Give freed memory back to the system, as after a burst of large messages. It takes some milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


async def trim() -> None:
    """For ever: once a burst is over, give back what it left. What is free in two looks in a row is not in use."""
    before = 0
    while True:
        await asyncio.sleep(_LOOK)
        kept = kept_free()
        if min(before, kept) > KEPT_FREE:
            await asyncio.to_thread(give_back)
            kept = 0
        before = kept
