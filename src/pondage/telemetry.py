"""Logs and metrics. Logs are the standard library's, as JSON lines or as text; request ids travel in the record."""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import QueueListener, WatchedFileHandler
from typing import Any

from pondage.escaping import escape_lines

log = logging.getLogger("pondage")

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and whatever came in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class TextLines(logging.Formatter):
    """One entry a line, whatever it says: further lines are indented, control characters are shown as text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return escape_lines(super().format(record))


class LineFile:
    """A file that gets a line for each entry, written by a thread of its own; `-` is standard output, `stderr` standard
    error, which the log has as well: there an entry is one of the log's.

    It is opened again where it was moved away (logrotate). What its disk does not take in time is left out.
    """

    MOST = 100_000
    """Entries that wait at most."""

    def __init__(self, path: str) -> None:
        """Raises OSError: the file cannot be opened."""
        self._json = _json_lines
        self._in_log = path == "stderr"
        target: logging.Handler
        if self._in_log:
            target = logging.StreamHandler(sys.stderr)
            if log.handlers:
                target.lock = log.handlers[0].lock  # two threads write there, a line at a time
        elif path == "-":
            target = logging.StreamHandler(sys.stdout)
        else:
            target = WatchedFileHandler(path, encoding="utf-8")
        target.setFormatter(logging.Formatter("%(message)s"))
        self._entries: queue.Queue[logging.LogRecord] = queue.Queue(self.MOST)
        self._listener = QueueListener(self._entries, target)
        self._listener.start()
        self._target = target
        self._open = True
        self.left_out = 0

    def put(self, entry: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> None:
        """Write an entry, as JSON or as `text(entry)`. Never blocks."""
        if self._json and self._in_log:
            said = {"level": "INFO", "logger": "pondage.access", "message": text(entry)}
            line = json.dumps({"time": entry["time"], **said, **entry})
        else:
            line = json.dumps(entry) if self._json else escape_lines(text(entry)).replace("\n", " ")
        try:
            self._entries.put_nowait(logging.makeLogRecord({"msg": line}))
        except queue.Full:
            self.left_out += 1

    def close(self) -> None:
        """Write what waits, and close the file. Blocks. Safe to call twice."""
        if self._open:
            self._open = False
            self._listener.stop()
            self._target.close()


_json_lines = False


def set_up(level: str = "INFO", *, json_lines: bool = False) -> None:
    """Send our logs, and the warnings of the libraries, to standard error in one form.

    Called by the commands only; a library never configures logging.
    """
    global _json_lines
    _json_lines = json_lines
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if json_lines else TextLines())
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
    # Whom it lets in and what operators do is said whatever else is not.
    logging.getLogger("pondage.audit").setLevel(logging.INFO)
    # Without a handler of its own Python writes a library's bare message, whoever worded it.
    others = logging.getLogger()
    others.handlers[:] = [handler]
    others.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    threading.excepthook = _of_a_thread
    sys.unraisablehook = _unraisable


def _of_a_thread(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread is not None else "?"
    _report(f"the thread {name} has ended", args.exc_value)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    _report(f"{args.err_msg or 'an exception was ignored'} in {args.object!r}", args.exc_value)


def _report(what: str, error: BaseException | None) -> None:
    """What Python would write to standard error in a form of its own."""
    if not isinstance(error, SystemExit):
        log.error("%s: %s", what, error, exc_info=error)
