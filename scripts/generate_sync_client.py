"""Write the blocking client, `pondage/client/blocking`, from the async one, `pondage/client/aio`.

    python scripts/generate_sync_client.py          write
    python scripts/generate_sync_client.py --check  exit with 1 if what is there is not what would be written

Names are replaced token by token, so that text in strings changes only where a rule says so. `flow.py` is written by
hand on both sides: it holds what differs by more than a word.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src/pondage/client/aio"
TARGET = ROOT / "src/pondage/client/blocking"
BY_HAND = {"__init__.py", "flow.py"}

DROPPED = {"async", "await"}

NAMES = {
    "aio": "blocking",
    "aclose": "close",
    "aread": "read",
    "aiter_bytes": "iter_bytes",
    "anext": "next",
    "asynccontextmanager": "contextmanager",
    "AsyncClient": "SyncClient",
    "AsyncGenerator": "Generator",
    "AsyncIterator": "Iterator",
    "AsyncRealtimeConnection": "RealtimeConnection",
    "StopAsyncIteration": "StopIteration",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}

RENAMED = re.compile(r"\bAsync(?=[A-Z])")
"""Other classes of ours: the async one begins with `Async`, the blocking one with `Sync`."""


def translate(source: str) -> str:
    """The blocking form of a module of the async client."""
    out: list[str] = []
    line, column = 1, 0
    dropped = False
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.ENDMARKER:
            break
        (start_line, start_column), (end_line, end_column) = token.start, token.end
        if start_line > line:
            out.append("\n" * (start_line - line) if not out or not out[-1].endswith("\n") else "")
            column = 0
        gap = token.line[column:start_column] if start_line == end_line or token.type == tokenize.STRING else ""
        out.append("" if dropped and gap.isspace() else gap)
        dropped = token.type == tokenize.NAME and token.string in DROPPED
        out.append("" if dropped else _token(token))
        line, column = end_line, end_column
        if token.type in (tokenize.NEWLINE, tokenize.NL):
            line, column = end_line + 1, 0
    text = "".join(out)
    text = text.replace("Awaitable[None] | None", "None").replace("Awaitable, ", "")
    return re.sub(r"\bAwaitable\[([^\[\]]+)\]", r"\1", text)


def _token(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME:
        return NAMES.get(token.string) or RENAMED.sub("Sync", token.string)
    if token.type == tokenize.STRING and token.string.startswith(('"""', '"')):
        # Names of classes in docstrings and in quoted types.
        text = re.sub("|".join(rf"\b{name}\b" for name in NAMES if name.startswith("Async")), _renamed, token.string)
        return RENAMED.sub("Sync", text)
    return token.string


def _renamed(match: re.Match[str]) -> str:
    return NAMES[match[0]]


def formatted(text: str, name: str) -> str:
    """The text as `ruff` wants it, imports sorted."""
    ruff = [sys.executable, "-m", "ruff"]
    at = ["--stdin-filename", str(TARGET / name), "-"]
    fixed = subprocess.run(  # noqa: S603
        [*ruff, "check", "--quiet", "--select", "I,F401,UP028", "--fix", "--unsafe-fixes", *at],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    return subprocess.run(  # noqa: S603
        [*ruff, "format", "--quiet", *at], input=fixed, capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


def generated() -> dict[str, str]:
    """The text of each generated file, by name."""
    texts = {}
    for path in sorted(SOURCE.glob("*.py")):
        if path.name not in BY_HAND:
            notice = (
                f"# Generated from pondage/client/aio/{path.name} by scripts/generate_sync_client.py: change that.\n"
            )
            texts[path.name] = formatted(notice + translate(path.read_text("utf-8")), path.name)
    return texts


def main(arguments: list[str]) -> int:
    stale = []
    for name, text in generated().items():
        path = TARGET / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text, "utf-8")
    for name in stale:
        print(f"{'stale' if '--check' in arguments else 'written'}: {TARGET / name}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
