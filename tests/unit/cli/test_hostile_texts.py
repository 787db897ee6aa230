"""Whatever an app, a caller or a server says: no command sends it to the terminal as it is."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pondage.cli.failures import report
from pondage.cli.follow import Follower
from pondage.cli.serve import ServeOutput
from pondage.cli.terminal import Terminal
from pondage.client import Completed, InProgress
from pondage.client.statuses import Progress
from pondage.testing import ServedApp, serve

from .conftest import Pondage, Said

APP = Path(__file__).parents[2] / "apps" / "hostile.py"
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
TEXT = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def hostile() -> Iterator[ServedApp]:
    with serve(str(APP), wait=False) as served:

        async def said_why() -> None:
            while not (app := served.server.fleet.app("acme/broken")) or not app.fault:
                await asyncio.sleep(0.02)

        served.call(said_why())
        yield served


@pytest.fixture
def there(pondage: Pondage, hostile: ServedApp, monkeypatch: pytest.MonkeyPatch) -> Pondage:
    monkeypatch.setenv("PONDAGE_URL", hostile.url)
    return pondage


def harmless(said: Said, *, owned: bool = True) -> Said:
    assert STEERS.findall(said.out + said.err) == []
    assert not owned or "\\u001b]0;owned\\u0007" in said.out + said.err
    return said


def test_calls_and_what_is_shown_of_them(there: Pondage) -> None:
    called = harmless(there("call", "acme/hostile", "--json"))
    request_id = called.json["request_id"]
    assert "\x1b]0;owned\x07" in called.json["output"]["text"], "the value itself has not changed"
    harmless(there("call", "acme/hostile"))
    harmless(there("call", "acme/hostile/stream", "--stream"))
    for endpoint in ("fails", "refuses"):
        for more in ((), ("-v",), ("--json",)):
            harmless(there("call", f"acme/hostile/{endpoint}", *more))
    for more in (("--logs", "--events"), ("--json", "--events")):
        harmless(there("requests", "show", request_id, *more))
    for more in ((), ("--json",)):
        harmless(there("requests", "logs", request_id, *more))
        harmless(there("requests", "list", *more))


def test_servers_and_runners(there: Pondage) -> None:
    for more in ((), ("--json",)):
        harmless(there("apps", *more))
        harmless(there("runners", "logs", "acme/broken", *more))
        harmless(there("doctor", *more), owned=False)


def test_arguments_that_do_not_fit(there: Pondage) -> None:
    for words in (
        ("call", "acme/hostile", TEXT), ("call", TEXT), ("requests", "show", TEXT), ("requests", TEXT), (TEXT,),
        ("call", "acme/hostile", f"{TEXT}=1"), ("explain", TEXT),
        ("serve", TEXT), ("files", "get", TEXT), ("webhooks", "show", TEXT), ("restore", TEXT),
    ):  # fmt: skip
        said = harmless(there(*words), owned=False)
        assert said.code != 0 and said.err


def test_names_of_keys(pondage: Pondage, hostile: ServedApp) -> None:
    folder = str(hostile.data)
    harmless(pondage("keys", "list", "--data", folder), owned=False)


def test_serve_itself() -> None:
    file = io.StringIO()
    screen = ServeOutput(Terminal(err=file), argparse.Namespace(json=False))
    view = SimpleNamespace(
        id="01a20b72-25b2-795e-8db8-af7acc897de2", app="acme/hostile", path=f"/{TEXT}", outcome="error",
        error=f"{TEXT}\nforged", error_type=TEXT, started_at=1.0, finished_at=2.0, submitted_at=0.0,
    )  # fmt: skip
    screen._finished_line(view)
    screen._app_line("acme/hostile", "fault", TEXT)
    assert STEERS.findall(file.getvalue()) == [] and "\\u001b]0;owned" in file.getvalue()
    assert "\nforged" not in file.getvalue()


def test_the_bar_is_redrawn_with_nothing_but_our_own_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    file = Tty()
    follower = Follower(Terminal(err=file), "01a20b72-25b2-795e-8db8-af7acc897de2")
    follower.show(InProgress(None, Progress(1, 2, TEXT), [{"message": f"{TEXT}\n{TEXT}"}]))
    follower._draw()
    follower.show(Completed(None, {}, TEXT, TEXT))
    ours = file.getvalue().replace("\r\x1b[2K", "").replace("\x1b[31m", "").replace("\x1b[0m", "")
    assert STEERS.findall(ours) == []


def test_colours_are_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = Tty()
    terminal = Terminal(err=file)
    terminal.say(f"{terminal.paint('x', 'red')} \x1b[32mgreen colour-0000000000000000:32;")
    assert file.getvalue() == "\x1b[31mx\x1b[0m \\u001b[32mgreen colour-0000000000000000:32;\n"


def test_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    args = argparse.Namespace(terminal=Terminal(level=1))
    try:
        raise KeyError(TEXT)
    except KeyError as error:
        assert report(error, args) == 1
    said = capsys.readouterr()
    assert "Traceback" in said.err and STEERS.findall(said.err + said.out) == []


def test_outputs_in_a_terminal_are_laid_out_and_harmless() -> None:
    out = Tty()
    Terminal(out=out, err=io.StringIO()).output({"text": TEXT, "plain": "世界"})
    plain = re.sub("\x1b\\[[0-9;]*m", "", out.getvalue())
    assert STEERS.findall(plain) == [] and "世界" in plain
    assert json.loads(plain) == {"text": TEXT, "plain": "世界"}


def test_files_are_not_written_to_a_terminal() -> None:
    with pytest.raises(ValueError, match="-o PATH"):
        Terminal(out=Tty(), err=io.StringIO()).result_bytes(b"\x1b[2J")
