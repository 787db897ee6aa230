"""Text that would steer a terminal, and that nothing of ours writes to one but the module that escapes it."""

from __future__ import annotations

import ast
import json
import logging
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondage import telemetry
from pondage.escaping import escape_controls, escape_lines

SOURCE = Path(__file__).parents[2] / "src" / "pondage"

WRITERS = {
    "cli/terminal.py": "all that a command says",
    "telemetry.py": "the log's handler, whose formatters escape",
    "app/unpack.py": "a child process of its own, whose answer its parent reads",
    "runner/listing.py": "the answer of `--list`, which the server reads and never shows as it is",
    "runner/forked.py": "ends a child that an app forked, whose streams are taken away as its parent's are",
    "runner/ending.py": "flushes what the app left in its own buffers",
    "runner/descriptors.py": "lets the app's own streams write by lines",
    "runner/capture.py": "takes the app's output away from the terminal",
}
"""The modules that may name a standard stream, each with its reason."""


def speaks(node: ast.AST) -> str | None:
    """What in this node would write to a terminal."""
    if isinstance(node, ast.Name) and node.id in {"print", "breakpoint"}:
        return node.id
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.write", "os.writev"}:
        return ast.unparse(node) if isinstance(node.args[0], ast.Constant) else None
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = f"{node.value.id}.{node.attr}"
        if name in {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}:
            return name
        if name.startswith("traceback.print") or node.attr in {"StreamHandler", "basicConfig"}:
            return name
    return None


def test_nothing_else_writes_to_a_terminal() -> None:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        module = str(path.relative_to(SOURCE))
        if module in WRITERS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if what := speaks(node):
                found.append(f"{module}:{getattr(node, 'lineno', 0)}: {what}")
    assert found == [], "speak through pondage.cli.terminal, or be a writer with a reason"


def test_the_walk_sees_what_it_looks_for() -> None:
    text = "print(1); sys.stderr.write('x'); os.write(1, b''); traceback.print_exc(); logging.StreamHandler()"
    assert len([node for node in ast.walk(ast.parse(text)) if speaks(node)]) == 5
    for name in WRITERS:
        assert any(speaks(node) for node in ast.walk(ast.parse((SOURCE / name).read_text()))), f"{name} needs no leave"


@given(st.text(st.characters(codec=None)))
def test_nothing_steers_and_json_stays_the_same(text: str) -> None:
    shown = escape_controls(text)
    kept = [c for c in shown if ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000]
    assert set(kept) <= {"\n", "\t"}
    assert not set(shown) & set("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    as_json = escape_controls(json.dumps(text, ensure_ascii=False))
    assert json.loads(as_json) == text


def test_text_of_people_stays() -> None:
    for text in ("Grüße, 世界 👩‍👩‍👧 …\tx", "שלום عالم", ""):
        assert escape_controls(text) == text


def test_no_text_passes_for_an_entry_of_its_own() -> None:
    assert escape_lines("one\nerror[x]: forged\n  indented") == "one\n  error[x]: forged\n  indented"
    assert escape_lines("one\r\x1b[2Kforged") == "one\\u000d\\u001b[2Kforged"


@pytest.mark.parametrize("json_lines", [False, True])
def test_logs_are_one_entry_a_line(
    json_lines: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = logging.getLogger("pondage"), logging.getLogger()
    for logger in (ours, others):
        for name in ("handlers", "level", "propagate"):
            monkeypatch.setattr(logger, name, getattr(logger, name))
        monkeypatch.setattr(logger, "handlers", [])
    # Set again to what they are, so that they are put back behind this test.
    monkeypatch.setattr(telemetry, "_json_lines", telemetry._json_lines)
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(logging.getLogger("pondage.audit"), "level", logging.getLogger("pondage.audit").level)
    try:
        telemetry.set_up("WARNING", json_lines=json_lines)
        ours.warning("a\nb %s", "\x1b]0;x\x07\x9b")
        logging.getLogger("of.a.library").error("theirs \x1b[2J")
    finally:
        logging.captureWarnings(False)
    lines = capsys.readouterr().err.splitlines()
    assert all(c.isprintable() for line in lines for c in line)
    if json_lines:
        assert [json.loads(line)["message"] for line in lines] == ["a\nb \x1b]0;x\x07\x9b", "theirs \x1b[2J"]
    else:
        assert [line.partition(": ")[2] for line in lines if line[0] != " "] == ["a", "theirs \\u001b[2J"]
        assert lines[1] == "  b \\u001b]0;x\\u0007\\u009b"
