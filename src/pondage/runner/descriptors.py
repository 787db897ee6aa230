"""File descriptors 1 and 2: what child processes and C code print, given to the request that alone is being served.

They are pipes. Their other ends are read here by a thread, and held by the gateway too, which reads what is left when
this process has died: the last words of C code that aborts. Nobody says in a pipe for whom a line was written, so that
it is a request's only while no other is served; else it goes to the runner's log.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import sys
import threading
import time
from collections.abc import Callable

from pondage.runner.journal import Notebook
from pondage.wire.events import Level

_PIECE = 64 * 1024
_PAUSE = 0.01
"""Seconds that output waits to be read; what has come by the end of a request is its own all the same."""
_STREAMS: tuple[Level, Level] = ("STDOUT", "STDERR")
_IOLBF = 1
"""Line buffering, as setvbuf(3) calls it."""


class Descriptors:
    """The pipes of one runner.

    Args:
        reads: the ends to read standard output and error from; None makes pipes and puts them in place.
        whose: the notebook that what is printed now belongs to.
        room: holds the calling thread while the gateway has too much to read already.
        send: sends what the notebooks hold; from any thread.
    """

    def __init__(
        self,
        reads: tuple[int, int] | None,
        *,
        whose: Callable[[], Notebook],
        room: Callable[[], None],
        send: Callable[[], None],
    ) -> None:
        self._whose = whose
        self._room = room
        self._send = send
        self._lock = threading.Lock()
        self.unread = False
        """Something was written that is not taken in yet, as far as is known."""
        self._open: dict[int, Level] = dict(zip(reads or _replace(), _STREAMS, strict=True))
        # Two, since no two threads may ask one.
        self._waiting, self._ready = select.poll(), select.poll()
        for descriptor in self._open:
            os.set_inheritable(descriptor, False)
            os.set_blocking(descriptor, False)
            self._waiting.register(descriptor, select.POLLIN)
            self._ready.register(descriptor, select.POLLIN)
        _by_lines()
        threading.Thread(target=self._read_on, name="pondage-output", daemon=True).start()

    def settle(self) -> None:
        """Take in what was written so far. Never waits; from any thread."""
        with self._lock:
            if self._ready.poll(0):
                self._take()

    def _read_on(self) -> None:
        while self._open:
            self._waiting.poll()
            self.unread = True
            # Who prints and dies at once has left its last words in the pipe, where the gateway finds them.
            time.sleep(_PAUSE)
            self._room()
            with self._lock:
                self._take()
            self._send()

    def _take(self) -> None:
        self.unread = False
        for descriptor, stream in list(self._open.items()):
            try:
                data = os.read(descriptor, _PIECE)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                self._whose().overhear(stream, data)
            else:  # an author's code has closed the stream
                del self._open[descriptor]
                self._waiting.unregister(descriptor)
                self._ready.unregister(descriptor)


def flush_c() -> None:
    """Write what C code has printed and its library still holds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)


def _replace() -> tuple[int, int]:
    reads = []
    for number in (1, 2):
        reading, writing = os.pipe()
        os.dup2(writing, number)
        os.close(writing)
        reads.append(reading)
    return reads[0], reads[1]


def _by_lines() -> None:
    """Let C code, and whoever writes to Python's own streams beneath ours, print by lines, though it is to a pipe."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with contextlib.suppress(ValueError, AttributeError):
                stream.reconfigure(line_buffering=True)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        library = ctypes.CDLL(None)
        stdout = ctypes.c_void_p.in_dll(library, "__stdoutp" if sys.platform == "darwin" else "stdout")
        library.setvbuf(stdout, None, _IOLBF, ctypes.c_size_t(0))
