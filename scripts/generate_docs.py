"""Writes the pages of docs/ that are made from the code: settings, errors, pointing, commands, the map of the source.

`make docs` runs it; a test compares what it would write with what is there (`--check` does the same).
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from pathlib import Path
from typing import Any

from pondage import settings
from pondage.cli import VERBS, env, explanations
from pondage.cli.dispatch import available, load

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- Made by scripts/generate_docs.py from {source}. Change that, then `make docs`. -->"


def pages() -> dict[str, str]:
    """Each generated page and its text."""
    return {
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "pointing.md": pointing_page(),
        "commands.md": commands_page(),
        "map.md": map_page(),
    }


def map_page() -> str:
    """Every file of the source with the first sentence of its docstring, room by room."""
    lines = [
        "# Map of the source",
        NOTE.format(source="the docstrings of src/pondage"),
        "",
        "One line for each file, made from its docstring. [Architecture](architecture.md#rooms-and-doors) says what",
        "each room is for, and which it may import. Tests of `src/pondage/ROOM/FILE.py` are in `tests/unit/ROOM/`.",
    ]
    root = DOCS.parent / "src" / "pondage"
    rooms: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        room = path.parent.relative_to(root).as_posix()
        if path.name == "__init__.py" and path.parent != root:
            rooms.setdefault(room, [])
            rooms[room][:0] = [f"\n{_first_sentence(path)}.\n" if _first_sentence(path) else ""]
        else:
            rooms.setdefault(room, []).append(f"- `{path.name}`: {_first_sentence(path)}")
    for room, files in sorted(rooms.items()):
        title = "src/pondage" if room == "." else room
        lines += ["", f"## {title}", *([""] if room == "." else []), *filter(None, files)]
    return "\n".join(lines) + "\n"


def _first_sentence(path: Path) -> str:
    text = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".:")


def settings_page() -> str:
    """Every field of `Settings`, in its groups, with what its docstring says."""
    lines = [
        "# Settings",
        NOTE.format(source="src/pondage/settings.py"),
        "",
        "A setting comes from, weakest first: its default, `pondage.toml` in the working folder (or `--config`),",
        "the environment (`PONDAGE_` and the name in capitals), a flag (`--set name=value`; the usual ones have their",
        "own). `pondage serve -v` prints which are set and from where. Sizes are bytes. Durations are seconds, or",
        "text with a unit: `90s`, `15m`, `12h`, `7d`, `2w`.",
        "",
        "```toml",
        "# pondage.toml",
        "port = 9000",
        'owner = "acme"',
        'retention = "30d"',
        "```",
    ]
    for group, fields in _fields().items():
        lines += ["", f"## {group.capitalize()}", "", "| setting | default | what |", "| --- | --- | --- |"]
        for name, default, text in fields:
            lines.append(f"| `{name}` | {_default(default)} | {text} |")
    return "\n".join(lines) + "\n"


def _fields() -> dict[str, list[tuple[str, Any, str]]]:
    """Group to fields: name, default, docstring. Groups are the lower-case comments between the fields."""
    source = inspect.getsource(settings.Settings)
    body = ast.parse(source).body[0]
    if not isinstance(body, ast.ClassDef):
        raise SystemExit("settings.py: Settings is no class")
    lines = source.splitlines()
    headings = {
        number: line.strip().removeprefix("# ") for number, line in enumerate(lines, 1) if line.startswith("    # ")
    }
    defaults = settings.Settings()
    groups: dict[str, list[tuple[str, Any, str]]] = {}
    for node, after in zip(body.body, [*body.body[1:], None], strict=True):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        group = headings[max(number for number in headings if number < node.lineno)]
        if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
            raise SystemExit(f"settings.py: {node.target.id} has no docstring")
        text = " ".join(str(after.value.value).split()).replace("|", "\\|")
        groups.setdefault(group, []).append((node.target.id, getattr(defaults, node.target.id), text))
    return groups


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(f"{item:g}" for item in value)
    if isinstance(value, int) and value and value % 1024 == 0:
        for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
            if value % 1024**power == 0:
                return f"{value // 1024**power} {unit}"
    return f"`{int(value)}`" if isinstance(value, float) and value.is_integer() else f"`{value}`"


def errors_page() -> str:
    """Every code that `pondage explain` knows."""
    lines = [
        "# Errors",
        NOTE.format(source="src/pondage/cli/explanations.py"),
        "",
        "`pondage explain CODE` prints the same. Bodies of HTTP errors are JSON objects with `detail`: a sentence, or",
        "for 422 a list of entries `{loc, msg, type}`; infrastructure errors carry `error_type` besides, in the header",
        "`X-Fal-Error-Type`. Once a request was begun it never ends in 429, 502, 503 or 504 (but for 504 with",
        "`X-Fal-Request-Timeout-Type: user`), because some clients would send it again.",
    ]
    families = (
        ("Codes", "What commands print in brackets, and `error.code` in Python.", explanations.OURS),
        ("Error types", "`error_type` of infrastructure errors.", explanations.INFRASTRUCTURE),
        ("Field types", "`type` in the entries of a 422. Pydantic's own types occur as well.", explanations.FIELDS),
    )
    for title, text, table in families:
        lines += ["", f"## {title}", "", text, "", "| code | what it means | what to do |", "| --- | --- | --- |"]
        lines += [f"| `{code}` | {entry.what} | {entry.then} |" for code, entry in table.items()]
    return "\n".join(lines) + "\n"


def pointing_page() -> str:
    """What `pondage env` prints, for the default address."""
    lines = [
        "# Pointing fal's clients at your server",
        NOTE.format(source="src/pondage/cli/pointing"),
        "",
        "`pondage env --client NAME` prints one of these with your server's address in it. An application keeps its",
        "code; it only has to be told where to call. Pondage is independent of fal: the names are used to say what",
        "works together.",
        "",
        "One origin serves all roles: runs at `/`, the queue at `/queue/`, storage and tokens at `/rest/` and at the",
        "root, files at `/files/`, fal's proxy protocol at `/api/fal/proxy`. With `--domain` they have host names too.",
    ]
    for name in env.CLIENTS:
        text = env.text(name, url="http://127.0.0.1:8000").rstrip()
        lines += ["", "#" + text]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """The help of every verb."""
    lines = [
        "# Commands",
        NOTE.format(source="src/pondage/cli"),
        "",
        "Standard output has the result, standard error everything else. `--json` gives one object, or lines where",
        "there is a stream. `NO_COLOR` turns colour off; `PONDAGE_ACCESSIBLE=1` says everything in whole lines.",
        "Request ids may be given by their last digits.",
        "",
        "| exit code | meaning |",
        "| --- | --- |",
        "| 0 | done |",
        "| 1 | the request failed, or a check found something |",
        "| 2 | the arguments, the input or the set-up must be changed first |",
        "| 3 | nothing answers at the server's address |",
        "| 4 | not allowed: no key, a wrong one, or one without the right |",
        "| 5 | the time limit is over; the request goes on |",
        "| 130 | stopped by Ctrl-C |",
    ]
    for verb in VERBS:
        if verb not in available():
            continue
        module = load(verb)
        lines += ["", f"## pondage {verb}", "", module.HELP[0].upper() + module.HELP[1:] + ".", ""]
        parser = argparse.ArgumentParser(prog=f"pondage {verb}", add_help=False)
        module.configure(parser)
        lines += _arguments(parser)
    return "\n".join(lines) + "\n"


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    rows: list[str] = []
    later: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, sub in action.choices.items():
                later += [
                    "",
                    f"### {parser.prog} {name}",
                    "",
                    f"{told.get(name, '')[:1].upper()}{told.get(name, '')[1:]}.",
                    "",
                ]
                later += _arguments(sub)
        elif action.help is not argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            names = ", ".join(f"`{option}`" for option in action.option_strings) or f"`{action.metavar or action.dest}`"
            choices = f"one of {', '.join(map(str, action.choices))}" if action.choices else ""
            text = "; ".join(part for part in (action.help or "", choices) if part)
            rows.append(f"| {names} | {text.replace('|', chr(92) + '|')} |")
    return (["| argument | what |", "| --- | --- |", *rows] if rows else []) + later


def main() -> int:
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        if not path.is_file() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        print(f"not as the code says: {', '.join(stale)}; run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
