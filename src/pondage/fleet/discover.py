"""Which apps a file holds, without importing it: its heavy imports belong in the runner.

The source is parsed; where a class's name cannot be read from it, a child process imports it and says.
"""

from __future__ import annotations

import ast
import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import msgspec

from pondage.errors import SetupError
from pondage.wire.ids import app_name_of, check_app_name


class AppSource(NamedTuple):
    """An app to run: `spec` is what a runner loads (`file.py:Class` or `module:Class`), `name` is `owner/alias`."""

    spec: str
    name: str
    path: Path | None


async def discover(target: str, owner: str) -> list[AppSource]:
    """The apps that `target` names: `file.py` (all of them), `file.py:Class`, or `package.module:Class`.

    Raises:
        SetupError: no such file or module, no App in it, or a name that cannot be an address.
    """
    where, _, only = target.partition(":")
    path = _path_of(where)
    if path is not None and not path.is_file():
        raise SetupError(f"there is no file {where}; name an app as app.py, app.py:Class or package.module:Class")
    found = _parsed(path) if path is not None else None
    if found is None or (only and only not in found):
        found = await _imported(target)
    if only:
        found = {only: found[only]} if only in found else {}
    if not found:
        raise SetupError(f"no class in {target} derives from pondage.App")
    apps = []
    for class_name, given in found.items():
        name = given or app_name_of(class_name)
        try:
            name = check_app_name(name if "/" in name else f"{owner}/{name}")
        except ValueError as error:
            raise SetupError(f"{class_name} in {where}: {error}") from error
        apps.append(AppSource(f"{where}:{class_name}", name, path))
    return apps


def _path_of(where: str) -> Path | None:
    if where.endswith(".py") or "/" in where:
        return Path(where).resolve()
    if "." in where:
        return None  # finding it would import its parents
    sys.path.insert(0, "")
    try:
        spec = find_spec(where)
    except (ImportError, ValueError):
        return None
    finally:
        sys.path.pop(0)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _parsed(path: Path) -> dict[str, str] | None:
    """Class name to given name (empty: none given), from the source; None if the source alone does not tell.

    A file that does not parse is the runner's to report, with file and line: here its stem names the app.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except SyntaxError:
        return {path.stem.title().replace("_", ""): ""}
    found: dict[str, str] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases}
        if "App" not in bases:
            if bases & found.keys():
                return None
            continue
        name = ""
        given: list[ast.expr] = [keyword.value for keyword in node.keywords if keyword.arg in {"name", "app_name"}]
        for statement in node.body:
            if isinstance(statement, ast.Assign) and any(getattr(t, "id", "") == "app_name" for t in statement.targets):
                given.append(statement.value)
            elif isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", "") == "app_name":
                given += [statement.value] if statement.value else []
        for value in given:
            if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
                return None
            name = value.value
        found[node.name] = name
    return found or None


async def _imported(target: str) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "pondage.runner", "--list", target,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    if process.returncode != 0:
        lines = err.decode(errors="replace").strip().splitlines()
        raise SetupError(f"{target} does not import: {lines[-1] if lines else 'no reason given'}")
    return msgspec.json.decode(out, type=dict[str, str])
