"""What an author's code prints, logs and warns, given to the request it belongs to.

Standard output and error are replaced by writers that ask the context whose request is served; threads and executors
that a request starts carry its context on, because in Python they do not by themselves.
"""

from __future__ import annotations

import codecs
import concurrent.futures.thread
import contextvars
import functools
import io
import logging
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TextIO

from pondage.app.context import get_current_request
from pondage.wire.events import Level
from pondage.wire.text import cut

HTTP_CLIENTS = ("httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "aiohttp", "requests", "websockets", "botocore")
"""Loggers of HTTP clients, which write a line for each call. Their warnings alone go to a caller's log, unless the app
sets their level itself."""


class Sink(Protocol):
    """Takes the words of one request, or those that belong to none."""

    def write(self, stream: Level, text: str | bytes) -> None: ...

    def log(self, level: str, message: str, source: str = "") -> None: ...


def install(unattributed: Sink) -> None:
    """From now on output goes to the request whose code made it; `unattributed` gets the rest. Once per process."""
    sys.stdout = Writer("STDOUT", "<stdout>", 1, unattributed)
    sys.stderr = Writer("STDERR", "<stderr>", 2, unattributed)
    root = logging.getLogger()
    root.addHandler(RecordHandler(unattributed))
    root.setLevel(logging.INFO)
    for name in HTTP_CLIENTS:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.WARNING)
    heed_basic_config()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        sink_for(unattributed).log("WARN", f"{category.__name__}: {message} ({filename}:{lineno})", "warnings")

    warnings.showwarning = show
    carry_context()
    os.register_at_fork(after_in_child=_give_back)


def _give_back() -> None:
    """In a forked child: its output is its own, and goes where the process's does."""
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    root = logging.getLogger()
    # The child is one of the parent's pool threads and must not wait for itself when it ends.
    concurrent.futures.thread._threads_queues.clear()  # type: ignore[attr-defined]
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, RecordHandler)]


def sink_for(unattributed: Sink) -> Sink:
    """The sink of the request that the calling code serves."""
    request = get_current_request()
    return unattributed if request is None else request._sink  # type: ignore[return-value]


class Writer(io.TextIOWrapper):
    """A standard stream whose text goes to the current request, line by line. It is all that a text stream is, and
    nobody can close it, since every request writes to it."""

    def __init__(self, stream: Level, name: str, descriptor: int, unattributed: Sink) -> None:
        bytes_of = _Bytes(stream, name, descriptor, unattributed, self)
        super().__init__(bytes_of, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self.mode = "w"  # type: ignore[misc]
        self._stream = stream
        self._unattributed = unattributed

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        sink_for(self._unattributed).write(self._stream, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """What was written is with its request already."""

    def close(self) -> None:
        """Nothing: the other requests go on writing."""

    def detach(self) -> io.BufferedIOBase:  # type: ignore[override]
        """The bytes beneath, for a stream of the author's own; this one stays as it is."""
        return self.buffer  # type: ignore[return-value]


class _Bytes(io.BufferedIOBase):
    """`sys.stdout.buffer`: bytes in any pieces, decoded where whole characters have come."""

    def __init__(self, stream: Level, name: str, descriptor: int, unattributed: Sink, text: Writer) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._unattributed = unattributed
        self._text = weakref.ref(text)
        self._begun = _Begun()
        self.name = name
        self.mode = "wb"
        self.raw = self

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        """The real descriptor, which child processes inherit."""
        return self._descriptor

    def write(self, data: Any) -> int:
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        raw = bytes(data)
        sink, text = sink_for(self._unattributed), self._text()
        if text is None or text.encoding.lower() in ("utf-8", "utf8", "ascii"):
            sink.write(self._stream, raw)
        else:
            sink.write(self._stream, self._begun.decode(text.encoding, sink, raw))
        return len(raw)

    def flush(self) -> None:
        """What was written is with its request already."""

    def close(self) -> None:
        """Nothing: a stream that an author's code wraps around this one ends, and the others go on writing."""


class _Begun(threading.local):
    """The character that this thread has begun to write in an encoding that an author's code has asked for."""

    of: tuple[str, Sink] | None = None
    decoder: codecs.IncrementalDecoder

    def decode(self, encoding: str, sink: Sink, data: bytes) -> str:
        if self.of is None or self.of[0] != encoding or self.of[1] is not sink:
            self.of, self.decoder = (encoding, sink), codecs.getincrementaldecoder(encoding)("replace")
        return self.decoder.decode(data)


class RecordHandler(logging.Handler):
    """Log records, each to its request, with fal's names of the levels."""

    def __init__(self, unattributed: Sink) -> None:
        super().__init__()
        self._unattributed = unattributed
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + self._formatter.formatException(record.exc_info)
            if record.stack_info:
                message += "\n" + record.stack_info
            sink_for(self._unattributed).log(level_of(record.levelno), message, record.name)
        except Exception:
            self.handleError(record)


def heed_basic_config() -> None:
    """Let `logging.basicConfig` do what it does where nobody has set logging up before: our handler is not the
    author's. It takes the place of one that would write to a standard stream."""
    configure = logging.basicConfig

    @functools.wraps(configure)
    def basic_config(**given: Any) -> None:
        root = logging.getLogger()
        ours = [handler for handler in root.handlers if isinstance(handler, RecordHandler)]
        if not ours or given.get("force"):
            configure(**given)
            return
        for handler in ours:
            root.removeHandler(handler)
        try:
            if isinstance(given.get("stream"), Writer):
                del given["stream"]
            if not root.handlers and given.keys().isdisjoint(("filename", "stream", "handlers")):
                given["handlers"] = ours
            configure(**given)
        finally:
            for handler in ours:
                root.addHandler(handler)

    logging.basicConfig = basic_config


def level_of(number: int) -> Level:
    """fal's name for a level of the `logging` module."""
    if number >= logging.ERROR:
        return "ERROR"
    if number >= logging.WARNING:
        return "WARN"
    return "INFO" if number >= logging.INFO else "DEBUG"


def carry_context() -> None:
    """Make threads and thread pools run in the context of whoever started them."""
    start = threading.Thread.start
    submit: Callable[..., Future[Any]] = ThreadPoolExecutor.submit

    @functools.wraps(start)
    def start_in_context(self: threading.Thread) -> None:
        if get_current_request() is not None:
            run, context = self.run, contextvars.copy_context()

            def run_in_context() -> None:
                del self.run
                try:
                    context.run(run)
                except SystemExit:
                    raise
                except BaseException:  # its traceback is the request's, too
                    context.run(self._invoke_excepthook, self)  # type: ignore[attr-defined]

            self.run = run_in_context  # type: ignore[method-assign]
        start(self)

    @functools.wraps(submit)
    def submit_in_context(
        self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        # Always, also outside of a request: the pool's thread may have been started by one.
        return submit(self, contextvars.copy_context().run, fn, *args, **kwargs)

    threading.Thread.start = start_in_context  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[method-assign,assignment]


class Lines:
    """Text in pieces becomes whole lines; a carriage return ends one too, so that progress bars can be read."""

    __slots__ = ("_cut", "_decoder", "_limit", "_part")

    def __init__(self, limit: int) -> None:
        """`limit`: the most characters of a line; the rest is cut and counted."""
        self._limit = limit
        self._part = ""
        self._cut = 0
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, text: str | bytes) -> list[str]:
        """The lines that `text` completes; bytes are UTF-8, and may end within a character."""
        if not isinstance(text, str):
            if self._decoder is None:
                self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            text = self._decoder.decode(text)
        elif self._decoder is not None:
            text = self._decoder.decode(b"", final=True) + text
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "\n" not in text:
            self._add(text)
            return []
        first, *rest = text.split("\n")
        self._add(first)
        lines = [self._take()]
        last = rest.pop()
        lines += [cut(line, self._limit) for line in rest]
        self._add(last)
        return lines

    def rest(self) -> str:
        """What no line end has completed."""
        if self._decoder is not None:
            self._add(self._decoder.decode(b"", final=True))
        return self._take()

    def _add(self, text: str) -> None:
        room = self._limit - len(self._part)
        self._part += text[:room]
        self._cut += max(0, len(text) - room)

    def _take(self) -> str:
        line = f"{self._part} … ({self._cut} characters cut)" if self._cut else self._part
        self._part, self._cut = "", 0
        return line
