"""No page, help or error text tells people to install somebody else's package: every install line is read."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pondage import errors
from pondage.cli import explanations

ROOT = Path(__file__).parents[2]
ALLOWED = tomllib.loads((Path(__file__).parent / "installs.toml").read_text("utf-8"))
PLACES = ["*.md", "docs/**/*.md", "docs/**/*.toml", "examples/**/*", "src/**/*", "scripts/**/*", "Makefile", "web/*.md"]
TEXTS = {".md", ".py", ".mjs", ".js", ".ts", ".tsx", ".txt", ".toml", ".html", ""}
LINE = re.compile(
    r"(?P<python>\b(?:pip3?|pipx|uv pip|uv tool|uv) (?:install|add|run --with|download)|\buvx|\buv tool run|\bpipx run)"
    r"|(?P<npm>\b(?:npm|pnpm) (?:install|i|add|ci)\b(?= )|\byarn add|\bbun add|\bnpx)"
)
TAKES_A_VALUE = {"-c", "-r", "-e", "--group", "--constraint", "--requirement", "--outdir", "--prefix", "-d", "--target"}


def texts() -> Iterator[tuple[str, str]]:
    """Every line that people may read, and where it stands."""
    for pattern in PLACES:
        for path in sorted(ROOT.glob(pattern)):
            if (
                path.is_file()
                and path.suffix in TEXTS
                and "node_modules" not in path.parts
                and ".venv" not in path.parts
            ):
                for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                    yield f"{path.relative_to(ROOT)}:{number}", line


def wrong(line: str) -> list[str]:
    """What the install commands of a line name that nobody may be told to install."""
    bad: list[str] = []
    for found in LINE.finditer(line):
        kind = found.lastgroup or ""
        # A command ends at a backtick, a pipe, a comment, or where prose goes on behind a full stop or a bracket.
        rest = re.split(r"`|&&|\|\||[|;#>)]|\.\s|\\n|\"\"\"|,\s", line[found.end() :], maxsplit=1)[0]
        bad += [name for name in packages(rest) if not allowed(name, kind)]
    return bad


def packages(rest: str) -> list[str]:
    """What an install command is given, without its options."""
    rest = rest.replace('\\"', '"').replace("\\'", "'")
    try:
        words = shlex.split(rest)
    except ValueError:
        words = rest.replace('"', " ").replace("'", " ").split()
    names, skip = [], False
    for word in words:
        if skip or word.startswith("-"):
            skip = not skip and word in TAKES_A_VALUE
            continue
        if word in {"…", "..."}:
            continue
        names.append(word)
    return names


def allowed(name: str, kind: str) -> bool:
    if kind == "npm":
        return re.sub(r"(?<=.)@[\w.^~-]+\Z", "", name) in ALLOWED["npm"]
    if name.startswith((".", "dist/", "/")) or name.endswith((".whl", ".tar.gz")):
        return True  # a checkout, or a file that was built from one
    return re.split(r"[\[<>=~! ]", name, maxsplit=1)[0].lower() in ALLOWED["python"]


def test_every_install_line_names_what_it_may() -> None:
    seen = [(place, line) for place, line in texts() if LINE.search(line)]
    assert len(seen) >= 5, "the README alone has some: the search is broken"
    assert [(place, wrong(line)) for place, line in seen if wrong(line)] == []


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("pip install pondage", ["pondage"]),
        ("run `pip install 'pondage[server]'` first", ["pondage[server]"]),
        ("uvx pondage serve", ["pondage", "serve"]),
        ("uv add pondage>=1", ["pondage"]),
        ("pipx install pondage", ["pondage"]),
        ("pip install -U evil-package", ["evil-package"]),
        ("npm install left-pad", ["left-pad"]),
        ("npx left-pad", ["left-pad"]),
        ("npm install @fal-ai/client@1.10", []),
        ("pip install '.[server]'   # in a checkout", []),
        ("pip install -c constraints.txt '.[webhooks]' flask", []),
        ("pip install 'dist/pondage-0.1.0-py3-none-any.whl[cli]'", []),
    ],
)
def test_the_reader_of_install_lines_knows_bad_ones(line: str, bad: list[str]) -> None:
    assert wrong(line) == bad


def test_a_missing_extra_is_named_with_the_page() -> None:
    text = str(errors.ExtraMissing("serving apps", "server"))
    assert "[server]" in text
    page = ROOT / errors.INSTALLING
    assert errors.INSTALLING in text and page.is_file()
    assert errors.ExtraMissing.code in explanations.ALL
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert [
        extra for extra in document["project"]["optional-dependencies"] if f"[{extra}]" not in page.read_text()
    ] == []
