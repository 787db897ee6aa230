"""How Pondage speaks in a terminal."""

from __future__ import annotations

import io

import pytest

from pondage.cli.terminal import Terminal, bar, duration, short, size, table


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"), (0.0124, "12 ms"), (0.9994, "999 ms"), (1, "1.00 s"), (9.84, "9.84 s"), (31.2, "31.2 s"),
        (119.6, "2 min 0 s"), (3725, "1 h 2 min"),
    ],
)  # fmt: skip
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 B"), (999, "999 B"), (1234, "1.2 KB"), (3_100_000, "3.1 MB")])
def test_size(number: int, shown: str) -> None:
    assert size(number) == shown


def test_bar_stays_within_its_bounds() -> None:
    assert bar(0, 4) == "▱▱▱▱"
    assert bar(0.5, 4) == "▰▰▱▱"
    assert bar(7, 4) == "▰▰▰▰"
    assert bar(-1, 4) == "▱▱▱▱"


def test_short_ids_are_tails() -> None:
    assert short("01a20b72-25b2-795e-8db8-af7acc897de2") == "…cc897de2"


def test_table_has_even_columns_and_no_trailing_blanks() -> None:
    assert table([("a", "bb", ""), ("ccc", "d", "e")], ("x", "y", "z")) == ["x    y   z", "a    bb", "ccc  d   e"]


def test_results_and_the_rest_go_different_ways() -> None:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out=out, err=err)
    terminal.result("result")
    terminal.say("said")
    assert (out.getvalue(), err.getvalue()) == ("result\n", "said\n")


def test_quiet_keeps_complaints() -> None:
    err = io.StringIO()
    terminal = Terminal(level=-1, err=err)
    terminal.say("said")
    terminal.complain("bad")
    assert err.getvalue() == "bad\n"


def test_colour_and_redrawing_need_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plain, rich = Terminal(err=io.StringIO()), Terminal(err=Tty())
    assert (plain.colour, plain.redraws, plain.paint("x", "red")) == (False, False, "x")
    assert (rich.colour, rich.redraws) == (True, True)
    file = Tty()
    rich = Terminal(err=file)
    rich.say(f"{rich.paint('x', 'red')} y")
    assert file.getvalue() == "\x1b[31mx\x1b[0m y\n"


def test_no_color_and_accessible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PONDAGE_ACCESSIBLE", "1")
    terminal = Terminal(err=Tty())
    assert (terminal.colour, terminal.redraws) == (False, False)


def test_outputs_are_one_line_for_programs_and_laid_out_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    piped, seen, asked = io.StringIO(), Tty(), Tty()
    Terminal(out=piped).output({"text": "é"})
    Terminal(out=seen).output({"text": "é"})
    Terminal(out=asked, json=True).output({"text": "é"})
    assert piped.getvalue() == asked.getvalue() == '{"text":"é"}\n'
    assert seen.getvalue() == '{\n  "text": "é"\n}\n'
