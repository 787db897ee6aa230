"""How Pondage speaks in a terminal: the result goes to standard output, everything else to standard error.

No colour and no redrawing where standard error is no terminal; `NO_COLOR` turns colour off, and
`PONDAGE_ACCESSIBLE=1` turns redrawing off: whole lines of words, which a screen reader can follow.

This is the only module that writes to a terminal (a test looks): what apps, callers and servers said passes
`escaping` here, whoever shows it.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TextIO

import msgspec

from pondage.escaping import escape_controls, escape_lines

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Terminal:
    """One command's way to speak.

    Args:
        json: one object (or one per line) on standard output, for programs.
        level: -1 says errors only, 0 the usual, 1 also details.
    """

    def __init__(
        self, *, json: bool = False, level: int = 0, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.json = json
        self.level = level
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        tty = self._err.isatty() and os.environ.get("TERM") != "dumb"
        self.accessible = os.environ.get("PONDAGE_ACCESSIBLE", "") not in ("", "0")
        self.tty = tty
        """Whether a person watches, and no log keeps what is said."""
        self.colour = tty and not os.environ.get("NO_COLOR")
        self.redraws = tty and not self.accessible
        self._log: logging.Logger | None = None
        # What stands for a colour until a line is written. Nobody can guess it, so nobody's text is taken for it.
        self._mark = f"colour-{os.urandom(8).hex()}:"
        self._marked = re.compile(self._mark + "([0-9]+);")

    def into_log(self, log: logging.Logger) -> None:
        """From now on whatever is not the result becomes an entry of `log`, which has standard error for itself."""
        log.setLevel(logging.INFO)
        self._log = log
        self.tty = self.colour = self.redraws = False

    def result(self, text: str) -> None:
        """A line of the result."""
        print(self._coloured(escape_controls(text), self._out), file=self._out, flush=True)

    def result_json(self, value: Any) -> None:
        """The result as one line of JSON."""
        self.result(msgspec.json.encode(value).decode())

    def result_list(self, items: Iterable[Any], next_cursor: str | None = None) -> None:
        """A list as JSON, in the one shape that every list has. `next_cursor` names the next page, if there is one."""
        self.result_json({"items": list(items), "next_cursor": next_cursor})

    def result_bytes(self, piece: bytes) -> None:
        """A piece of a file, as it is.

        Raises:
            ValueError: standard output is a terminal, which would obey what the file says.
        """
        if self._out.isatty():
            raise ValueError("a file is not written to a terminal; name the place with -o PATH, or pipe it on")
        self._out.flush()
        self._out.buffer.write(piece)
        self._out.buffer.flush()

    def output(self, value: Any) -> None:
        """An endpoint's output: one line of JSON for programs; for people in a terminal, laid out and in colour."""
        if self.json or not self._out.isatty():
            self.result_json(value)
            return
        from rich.console import Console
        from rich.highlighter import JSONHighlighter

        console = Console(file=self._out, color_system=None if os.environ.get("NO_COLOR") else "auto")
        text = escape_controls(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
        console.print(JSONHighlighter()(text), soft_wrap=True)

    def say(self, text: str = "") -> None:
        """Something that is not the result."""
        if self.level >= 0:
            self._write(text)

    def detail(self, text: str) -> None:
        """Something for `-v`."""
        if self.level > 0:
            self._write(text)

    def complain(self, text: str) -> None:
        """An error; also with `-q`."""
        self._write(text, logging.ERROR)

    def trace(self, error: BaseException) -> None:
        """An error's traceback, for `-v`."""
        self.detail("".join(traceback.format_exception(error)).rstrip())

    def redraw(self, text: str) -> None:
        """Put `text` in the place of the line that was redrawn last; nothing wipes it. Cut at the window's edge."""
        columns = shutil.get_terminal_size().columns
        line = escape_controls(text.replace("\n", " "))
        self._err.write("\r\x1b[2K" + line[: columns - 1])
        self._err.flush()

    def paint(self, text: str, style: str) -> str:
        """`text` in colour, where there is colour: for a line of this terminal, and for nothing else."""
        return f"{self._mark}{_CODES[style]};{text}{self._mark}0;" if self.colour else text

    def _write(self, text: str, level: int = logging.INFO) -> None:
        if self._log is not None:
            self._log.log(level, "%s", text.strip())
            return
        print(self._coloured(escape_lines(text), self._err), file=self._err, flush=True)

    def _coloured(self, line: str, file: TextIO) -> str:
        if not self.colour:
            return line
        return self._marked.sub("\x1b[\\1m" if file.isatty() else "", line)


class Parser(argparse.ArgumentParser):
    """Reads a verb's arguments; what it says of them is as harmless as everything else."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        # Newer Pythons would colour the help with sequences that we could not tell from others'.
        self.color = False

    def error(self, message: str) -> NoReturn:
        super().error(escape_lines(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(escape_controls(message), file)


def say_before(text: str, *, error: bool = False) -> None:
    """A line that is written before a verb has its `Terminal`."""
    print(escape_lines(text) if error else escape_controls(text), file=sys.stderr if error else sys.stdout, flush=True)


def drop_output() -> None:
    """The reader of standard output has gone, as with `| head`: what is still buffered has nowhere to go."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> list[str]:
    """Columns of equal width, two spaces apart. The last column is never padded."""
    lines = [list(head)] if head else []
    # A cell is one line, and as wide as it is shown.
    lines += [[escape_controls(cell.replace("\n", " ")) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))] if lines else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def short(request_id: str) -> str:
    """A request id as people see it: its last eight digits. (The first ones are only the time.)"""
    return "…" + request_id[-8:]


def duration(seconds: float) -> str:
    """A time span in the unit that reads best."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(number: int) -> str:
    """A size in the unit that reads best."""
    value, unit = float(number), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"


def bar(share: float, width: int = 12) -> str:
    """A progress bar of text."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return "▰" * filled + "▱" * (width - filled)
