"""How Pondage speaks in a terminal: the result goes to standard output, everything else to standard error.

No colour and no redrawing where standard error is no terminal; `NO_COLOR` turns colour off, and
`PONDAGE_ACCESSIBLE=1` turns redrawing off: whole lines of words, which a screen reader can follow.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import msgspec

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
        self.colour = tty and not os.environ.get("NO_COLOR")
        self.redraws = tty and not self.accessible

    def result(self, text: str) -> None:
        """A line of the result."""
        print(text, file=self._out, flush=True)

    def result_json(self, value: Any) -> None:
        """The result as one line of JSON."""
        self.result(msgspec.json.encode(value).decode())

    def output(self, value: Any) -> None:
        """An endpoint's output: one line of JSON for programs; for people in a terminal, laid out and in colour."""
        if self.json or not self._out.isatty():
            self.result_json(value)
            return
        from rich.console import Console

        console = Console(file=self._out, color_system=None if os.environ.get("NO_COLOR") else "auto")
        console.print_json(msgspec.json.encode(value).decode(), ensure_ascii=False)

    def say(self, text: str = "") -> None:
        """Something that is not the result."""
        if self.level >= 0:
            print(text, file=self._err, flush=True)

    def detail(self, text: str) -> None:
        """Something for `-v`."""
        if self.level > 0:
            print(text, file=self._err, flush=True)

    def complain(self, text: str) -> None:
        """An error; also with `-q`."""
        print(text, file=self._err, flush=True)

    def redraw(self, text: str) -> None:
        """Put `text` in the place of the line that was redrawn last; nothing wipes it. Cut at the window's edge."""
        columns = shutil.get_terminal_size().columns
        self._err.write("\r\x1b[2K" + text[: columns - 1])
        self._err.flush()

    def paint(self, text: str, style: str) -> str:
        """`text` in colour, where there is colour."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour else text


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> list[str]:
    """Columns of equal width, two spaces apart. The last column is never padded."""
    lines = [list(head)] if head else []
    lines += [list(row) for row in rows]
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
