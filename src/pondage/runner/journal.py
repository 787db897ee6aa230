"""What attempts say, on its way to the gateway: gathered for a moment, bounded, and sent in batches."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec

from pondage.app.preview import LEAST_PAUSE
from pondage.clock import Clock
from pondage.runner.capture import Lines
from pondage.runner.link import Link
from pondage.wire.events import Chunk, Entry, Level, Log, Progress
from pondage.wire.frames import Entries, Preview, RunnerLog
from pondage.wire.text import MAX_NAME, clean, number_of, text_of

FLUSH_INTERVAL = 0.02
FLUSH_BYTES = 64 * 1024
THREAD_PAUSE = 0.002
MAX_UNSENT = 4 * 1024 * 1024
STUCK = 60.0
LONG = 160
"""Characters of a log entry that count as one."""
LEVELS = frozenset({"STDERR", "STDOUT", "ERROR", "INFO", "WARN", "DEBUG"})


class Limits(msgspec.Struct, frozen=True):
    """How much one attempt may write: characters of a line, and entries. A long entry counts as several."""

    line: int
    entries: int


class Journal:
    """Collects the notebooks that have something to send."""

    def __init__(self, link: Link, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.link = link
        self.clock = clock
        self._loop = loop
        self._thread = threading.get_ident()
        self._dirty: dict[int, Notebook] = {}
        self._timed = False
        self._soon = False
        self._flushed = 0.0

    def moved(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop runs in the calling thread from now on."""
        self._loop, self._thread = loop, threading.get_ident()
        self.flush()

    def note(self, book: Notebook, *, now: bool) -> None:
        """`book` has entries: send them within FLUSH_INTERVAL, or in this turn of the loop."""
        self._dirty[id(book)] = book
        on_loop = threading.get_ident() == self._thread
        if now:
            if not self._soon:
                self._soon = True
                if on_loop:
                    self._loop.call_soon(self.flush)
                elif self.clock.monotonic() - self._flushed > THREAD_PAUSE:
                    self._loop.call_soon_threadsafe(self.flush)
                else:
                    # The loop and a busy thread take turns; each turn should be worth its price.
                    self._loop.call_soon_threadsafe(self._loop.call_later, THREAD_PAUSE, self.flush)
        elif not self._timed:
            self._timed = True
            if on_loop:
                self._loop.call_later(FLUSH_INTERVAL, self.flush)
            else:
                self._loop.call_soon_threadsafe(self._loop.call_later, FLUSH_INTERVAL, self.flush)

    def flush(self) -> None:
        """Send everything that was written. From any thread."""
        self._timed = self._soon = False
        self._flushed = self.clock.monotonic()
        while self._dirty:
            try:
                _, book = self._dirty.popitem()
            except KeyError:
                return
            book.flush()


class Notebook:
    """The log of one attempt, or (without a request id) the runner's own. Written from any thread."""

    def __init__(self, journal: Journal, limits: Limits, request_id: str = "", attempt: int = 0) -> None:
        self.request_id = request_id
        self.attempt = attempt
        self._journal = journal
        self._limits = limits
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._bytes = 0
        self._count = 0
        self._dropped = 0
        self._lines: dict[tuple[Level, int], Lines] = {}
        self._closed_for: Notebook | None = None
        self._previewed = -LEAST_PAUSE
        self.used = False

    # ---- writing

    def write(self, stream: Level, text: str | bytes) -> None:
        """Text of a standard stream, in any pieces."""
        if self._closed_for is not None:
            self._closed_for.write(stream, text)
            return
        if isinstance(text, str) and type(text) is not str:
            text = str.__getitem__(text, slice(None))  # its characters, whatever a subclass says of them
        self._noted(self._write(stream, text, threading.get_ident()))

    def overhear(self, stream: Level, data: bytes) -> None:
        """What a child process or C code has written to a standard stream. Never holds the caller."""
        if self._closed_for is not None:
            self._closed_for.overhear(stream, data)
        elif self._write(stream, data, 0):
            self.flush()
        else:
            self._journal.note(self, now=False)

    def _write(self, stream: Level, text: str | bytes, writer: int) -> bool:
        """Keep the lines that `text` completes of those of one writer; whether it is time to send."""
        with self._lock:
            self.used = True
            key = (stream, writer)
            lines = self._lines.get(key)
            if lines is None:
                lines = self._lines[key] = Lines(self._limits.line)
            for line in lines.feed(text):
                if line:
                    self._add_log(stream, line, "")
            return self._bytes >= FLUSH_BYTES

    def log(self, level: str, message: str, source: str = "") -> None:
        """One entry."""
        if self._closed_for is not None:
            self._closed_for.log(level, message, source)
            return
        known: Any = level if level in LEVELS else "INFO"
        text, name = text_of(message, self._limits.line), text_of(source, MAX_NAME)
        with self._lock:
            self.used = True
            self._add_log(known, text, name)
            full = self._bytes >= FLUSH_BYTES
        self._noted(full)

    def progress(self, step: float, total: float | None, message: str) -> None:
        """How far the work is.

        Raises:
            TypeError: `step` or `total` is no number. ValueError: it is NaN or infinite.
        """
        done = number_of(step, "progress(): step")
        whole = None if total is None else number_of(total, "progress(): total")
        text = text_of(message, self._limits.line)
        if self._closed_for is not None:
            return
        with self._lock:
            self.used = True
            if self._room(len(text)):
                self._entries.append(Progress(self._journal.clock.wall(), done, whole, text))
            full = self._bytes >= FLUSH_BYTES
        self._noted(full)

    def takes_preview(self) -> bool:
        """Whether it is time for another preview; then it is this one's."""
        now = self._journal.clock.monotonic()
        if self._closed_for is not None or not self.request_id or now - self._previewed < LEAST_PAUSE:
            return False
        self._previewed = now
        return True

    def preview(self, data: bytes) -> None:
        """A picture for who watches. It is no entry: the log does not have it, and nobody sends it again."""
        self._journal.link.send(Preview(self.request_id, self.attempt, data))

    def chunk(self, chunk: Chunk) -> None:
        """Partial output; it goes out at once, after what was written before it."""
        with self._lock:
            self.used = True
            self._entries.append(chunk)
            self._bytes += len(chunk.data)
            full = self._bytes >= FLUSH_BYTES
        if full:
            self.flush()
        else:
            self._journal.note(self, now=True)

    def now(self) -> float:
        """Wall time, for an entry."""
        return self._journal.clock.wall()

    def _add_log(self, level: Level, message: str, source: str) -> None:
        if self._room(len(message)):
            self._entries.append(Log(self._journal.clock.wall(), level, clean(message), source))

    def _room(self, length: int) -> bool:
        """Take room for an entry with so many characters; without any it is counted as dropped."""
        if self._count >= self._limits.entries:
            self._dropped += 1
            return False
        self._count += 1 + length // LONG
        self._bytes += length + 32
        return True

    def _noted(self, full: bool) -> None:
        if not full:
            self._journal.note(self, now=False)
            return
        self.flush()
        # Whoever writes faster than the gateway reads is held here.
        self._journal.link.wait_for_room(MAX_UNSENT, STUCK)

    # ---- sending

    def flush(self) -> None:
        """Hand what was written to the link."""
        with self._lock:
            if not self._entries:
                return
            entries, self._entries = self._entries, []
            self._bytes = 0
            if self.request_id:
                self._journal.link.send(Entries(self.request_id, self.attempt, entries))
            else:
                self._journal.link.send(RunnerLog(entries))

    def end_lines(self) -> None:
        """What no line end has completed is complete now."""
        with self._lock:
            for (stream, _), lines in self._lines.items():
                if line := lines.rest():
                    self._add_log(stream, line, "")
        self._journal.note(self, now=False)

    def close(self, rest: Notebook) -> None:
        """The attempt is over: unfinished lines and the count of dropped entries go out; what is written later goes to
        `rest`."""
        self._closed_for = rest
        if not self.used:
            return
        self.end_lines()
        with self._lock:
            if self._dropped:
                text = f"{self._dropped} more log entries were dropped: one request may write {self._limits.entries}"
                self._entries.append(Log(self._journal.clock.wall(), "WARN", text, "pondage"))
        self.flush()
