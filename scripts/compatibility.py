"""Writes docs/compatibility.md: what of fal's protocol the tests show, from their markers and a list of facts.

A test says with `@pytest.mark.compat("a fact", …, client="swift", call="queue.submit")` what it shows. The list,
`compatibility_facts.toml`, says what there is to show. A fact that no test shows is on the page as such; a fact that a
test names and the list does not is on the page too. `--check` compares, and changes nothing.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compatibility.md"
FACTS = ROOT / "scripts" / "compatibility_facts.toml"
NOTHING = "*not shown by a test*"

HEAD = """\
# Compatibility with fal's clients
<!-- Made by scripts/compatibility.py from the tests' markers and its list of facts. Change those, then `make docs`. -->

Pondage speaks the wire protocol of fal's client libraries, so that an application that calls fal can call your server.
Pondage is independent of fal: it is neither made nor endorsed by fal. The names of fal and of its products are used to
say what works together, and for nothing else.

Each row names the tests that show it. The Python and JavaScript clients are the published packages. For Swift, Java,
Kotlin, Dart the tests send what those clients send, and read the answers as strictly as they do. How to point a client
at your server is in [pointing](pointing.md), the protocol in [protocol](protocol.md).
"""


class Shown(NamedTuple):
    """One test that shows something: its path and name, the client, the call."""

    path: str
    name: str
    client: str
    call: str


class Collector:
    """A plugin of pytest that reads the markers, and knows every test there is."""

    def __init__(self) -> None:
        self.facts: dict[str, dict[Shown, None]] = {}
        self.calls: dict[Shown, None] = {}
        self.tests: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            path, _, name = item.nodeid.partition("::")
            name = name.partition("[")[0]
            self.tests.add(f"{path}::{name}")
            for marker in item.iter_markers("compat"):
                shown = Shown(path, name, marker.kwargs.get("client", ""), marker.kwargs.get("call", ""))
                self.calls[shown] = None
                for fact in marker.args:
                    self.facts.setdefault(fact, {})[shown] = None


def collect() -> Collector:
    """What the tests say.

    Raises:
        SystemExit: they cannot be collected.
    """
    found = Collector()
    folders = [str(ROOT / "tests" / name) for name in ("contracts", "stories")]
    arguments = ["--collect-only", "-q", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), *folders]
    # What pytest prints of a collection is of no use here.
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        code = pytest.main(["-c", str(ROOT / "pyproject.toml"), *arguments], plugins=[found])
    finally:
        sys.stdout = stdout
    if code:
        raise SystemExit(f"the tests cannot be collected: {code!r}")
    return found


def page(found: Collector, facts: dict[str, Any]) -> str:
    """The whole page.

    Raises:
        SystemExit: the list names a test or a client that there is not.
    """
    clients: dict[str, str] = facts["clients"]
    for shown in found.calls:
        if shown.client not in clients:
            raise SystemExit(f"{shown.path}::{shown.name}: compat names the client {shown.client!r}")
    listed = {fact for section in facts["section"] for fact in section["facts"]}
    if strange := facts["also"].keys() - listed:
        raise SystemExit(f"[also] has facts that no section has: {', '.join(sorted(strange))}")
    lines = [HEAD, *_short(found, clients, facts), *_calls(found, clients, facts["calls"])]
    lines += ["", "# Routes, headers, fields"]
    for section in facts["section"]:
        lines += ["", f"## {section['title']}", "", "| what | clients | shown by |", "| --- | --- | --- |"]
        lines += [_row(fact, found, facts["also"].get(fact, [])) for fact in section["facts"]]
    if more := sorted(found.facts.keys() - listed):
        lines += ["", "## Further", "", "| what | clients | shown by |", "| --- | --- | --- |"]
        lines += [_row(fact, found, []) for fact in more]
    lines += ["", "# What fal has and Pondage has not", "", "| what | why |", "| --- | --- |"]
    lines += [f"| {_cell(entry['what'])} | {_cell(entry['why'])} |" for entry in facts["missing"]]
    return "\n".join(lines) + "\n"


def _short(found: Collector, clients: dict[str, str], facts: dict[str, Any]) -> list[str]:
    """One row for each client: what of it works, in numbers; and what there is not."""
    lines = ["# In short", "", "| client | calls that work | tests |", "| --- | --- | --- |"]
    for client, names in facts["calls"].items():
        tests = [shown for shown in found.calls if shown.client == client]
        known = " ".join(shown.call for shown in tests)
        works = [name for name in names if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", known)]
        missing = [name for name in names if name not in works]
        all_of = f"all {len(works)}"
        some = f"{len(works)} of {len(names)}; not tested: {', '.join(f'`{name}`' for name in missing)}"
        lines.append(f"| {clients[client]} | {some if missing else all_of} | {len(set(tests))} |")
    absent = len(facts["missing"])
    return [*lines, "", f"[What fal has and Pondage has not](#what-fal-has-and-pondage-has-not) lists {absent} things, "
            "each with its reason. The rest of this page is the evidence.", ""]  # fmt: skip


def _calls(found: Collector, clients: dict[str, str], wanted: dict[str, list[str]]) -> list[str]:
    lines = ["# Calls of the clients"]
    for client, names in wanted.items():
        lines += ["", f"## {clients[client]}", "", "| call | shown by |", "| --- | --- |"]
        mine = [shown for shown in found.calls if shown.client == client]
        for name in names:
            # A name stands in a marker's `call` by itself or with parameters: `run(path=)`, never as `queue.run`.
            expression = re.compile(rf"(?<![\w.]){re.escape(name)}(?![\w.])")
            tests = [shown for shown in mine if expression.search(shown.call)]
            lines.append(f"| `{name}` | {_tests((shown.path, shown.name) for shown in tests)} |")
    return lines


def _row(fact: str, found: Collector, also: list[str]) -> str:
    if unknown := [test for test in also if test not in found.tests]:
        raise SystemExit(f"[also] names tests that there are not: {', '.join(unknown)}")
    shown = found.facts.get(fact, {})
    tests = [(one.path, one.name) for one in shown] + [
        (path, name) for path, _, name in (t.partition("::") for t in also)
    ]
    clients = ", ".join(sorted({one.client for one in shown} - {"http", ""}))
    return f"| {_cell(fact)} | {clients} | {_tests(tests)} |"


def _tests(tests: Iterable[tuple[str, str]]) -> str:
    links = [f"[{name}](../{path})" for path, name in dict.fromkeys(tests)]
    return "<br>".join(links) or NOTHING


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def text() -> str:
    """The page as it should be."""
    return page(collect(), tomllib.loads(FACTS.read_text("utf-8")))


def main() -> int:
    new = text()
    old = PAGE.read_text("utf-8") if PAGE.is_file() else ""
    if new == old:
        return 0
    if "--check" in sys.argv:
        print(f"{PAGE.relative_to(ROOT)} is not as the tests say; run make docs", file=sys.stderr)
        return 1
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
