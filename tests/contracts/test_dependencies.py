"""Inner parts of libraries: whoever is reached into has an upper bound, and what is tested stands within it."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "uvicorn": {"uvicorn"},
    "websockets": {"websockets", "websockets.asyncio.client", "websockets.exceptions", "websockets.sync.client"},
}
"""What these libraries document; every other module of theirs is an inner part."""
PINNED_BY = {"pydantic_core": "pydantic"}
"""Libraries that come with another one, which wants exactly one version of them."""


def inner_parts() -> dict[str, set[str]]:
    """Library to its inner modules that the package imports; what begins with `_` is one, too."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "src" / "pondage").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module, *(f"{node.module}.{one.name}" for one in node.names if one.name[0] == "_")]
            elif isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            for name in names:
                library = name.partition(".")[0]
                library = PINNED_BY.get(library, library)
                inner = "._" in name or (library in PUBLIC and name not in PUBLIC[library])
                if inner and library not in {"pondage", "__future__"}:
                    found.setdefault(library, set()).add(name)
    return found


def test_what_is_reached_into_has_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [Requirement(one) for one in project["dependencies"]]
    wanted += [Requirement(one) for extra in project["optional-dependencies"].values() for one in extra]
    pinned = dict(
        line.strip().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    inner = inner_parts()
    assert {"uvicorn", "websockets"} <= inner.keys(), "the walk sees what it looks for"
    for requirement in wanted:
        if requirement.name in inner:
            operators = {one.operator for one in requirement.specifier}
            assert operators & {"<", "<=", "==", "~="}, f"{requirement}: {sorted(inner[requirement.name])} are used"
        if requirement.name in pinned:
            assert pinned[requirement.name] in requirement.specifier, f"{requirement}: the tested version fits"
    unbounded = inner.keys() - {requirement.name for requirement in wanted} - {"httptools", "asyncio", "concurrent"}
    assert not unbounded, f"inner parts of {unbounded} are used, which is no dependency of ours"
