"""Which apps a file holds, without importing it: its heavy imports belong in the runner.

The source is parsed; where a class's name cannot be read from it, a child process imports it and says.
"""

from __future__ import annotations

import ast
import asyncio
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import msgspec

from pondage.errors import SetupError
from pondage.fleet.environment import inherited
from pondage.wire.ids import app_name_of, check_app_name


class AppSource(NamedTuple):
    """An app to run: `spec` is what a runner loads (`file.py:Class` or `module:Class`), `name` is `owner/alias`."""

    spec: str
    name: str
    path: Path | None
    env: str = "inherit"
    pass_env: tuple[str, ...] = ()


class Declared(msgspec.Struct):
    """What a class says of itself; an empty name is made from the class's."""

    name: str = ""
    env: str = "inherit"
    pass_env: list[str] = []


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
    for class_name, declared in found.items():
        name = declared.name or app_name_of(class_name)
        try:
            name = check_app_name(name if "/" in name else f"{owner}/{name}")
        except ValueError as error:
            raise SetupError(f"{class_name} in {where}: {error}") from error
        apps.append(AppSource(f"{where}:{class_name}", name, path, declared.env, tuple(declared.pass_env)))
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


def _parsed(path: Path) -> dict[str, Declared] | None:
    """The classes by name, from the source; None if the source alone does not tell.

    A file that does not parse is the runner's to report, with file and line: here its stem names the app.
    """
    source = path.read_bytes()
    try:
        try:
            tree = ast.parse(source, str(path))
        except SystemError:  # CPython 3.11: what a finalizer prints meanwhile spoils the parser's count of its depth
            tree = ast.parse(source, str(path))
    except SyntaxError:
        return {path.stem.title().replace("_", ""): Declared()}
    found: dict[str, Declared] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases}
        if "App" not in bases:
            if bases & found.keys():
                return None
            continue
        declared = Declared()
        for name, value in _assigned(node):
            if name in {"name", "app_name"}:
                if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
                    return None
                declared.name = value.value
            elif name == "env":
                # What is no such word is the class's to refuse, or something else of its own.
                if not isinstance(value, ast.Constant):
                    return None
                declared.env = "named" if value.value == "named" else "inherit"
            elif name == "pass_env":
                try:
                    declared.pass_env = msgspec.convert(ast.literal_eval(value), list[str])
                except (ValueError, msgspec.ValidationError):
                    return None
        found[node.name] = declared
    return found or None


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """The class keywords, and what the body assigns."""
    for keyword in node.keywords:
        if keyword.arg:
            yield keyword.arg, keyword.value
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            yield from ((target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value


async def _imported(target: str) -> dict[str, Declared]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "pondage.runner", "--list", target,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=inherited(os.environ, strict=False, passed=()).environment,
    )  # fmt: skip
    out, err = await process.communicate()
    if process.returncode != 0:
        lines = err.decode(errors="replace").strip().splitlines()
        raise SetupError(f"{target} does not import: {lines[-1] if lines else 'no reason given'}")
    return msgspec.json.decode(out, type=dict[str, Declared])


async def discover_all(targets: list[str], owner: str) -> list[AppSource]:
    """The apps that the targets name.

    Raises:
        SetupError: two have one name.
    """
    sources = [source for target in targets for source in await discover(target, owner)]
    seen: dict[str, str] = {}
    for source in sources:
        if source.name in seen:
            raise SetupError(
                f"{source.spec} and {seen[source.name]} are both named {source.name}; give one another name"
            )
        seen[source.name] = source.spec
    return sources
