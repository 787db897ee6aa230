"""Which of an author's own files an app is made of: its file, and what that imports of the same folder, and so on.

Nothing is imported: the sources are parsed. What is installed (below `site-packages`) is nobody's own; what is imported
by a name that is only made at run time is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def own_files(path: Path, roots: list[Path]) -> set[Path]:
    """The file at `path` and the own files that it imports, directly or not.

    Args:
        path: the app's file.
        roots: folders that a runner finds modules in, besides the one that holds the app's outermost package.
    """
    top = path.parent
    while (top / "__init__.py").is_file() and top.parent != top:
        top = top.parent
    found: set[Path] = set()
    todo = [path]
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for base, name in _imports(file):
            for root in [base] if base is not None else [top, *roots]:
                if modules := _module(root, name):
                    todo += modules
                    break
    return found


def _imports(file: Path) -> Iterator[tuple[Path | None, str]]:
    """The modules that a file names, each with the folder it is relative to, if it is relative to one."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (OSError, SyntaxError, ValueError):
        return  # it is noticed when it is mended
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((None, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = None if node.level == 0 else file.parents[min(node.level, len(file.parents)) - 1]
            if node.module:
                yield base, node.module
            # What is imported from a package may be a module of it.
            yield from ((base, f"{node.module}.{alias.name}" if node.module else alias.name) for alias in node.names)


def _module(root: Path, name: str) -> list[Path]:
    """The files of a module below a folder, those of its packages included; none if it is not there."""
    files: list[Path] = []
    at = root
    for part in name.split("."):
        package, module = at / part / "__init__.py", at / f"{part}.py"
        if package.is_file():
            files.append(package)
        elif module.is_file():
            files.append(module)
            break
        elif not (at / part).is_dir():
            break
        at = at / part
    return [file for file in files if "site-packages" not in file.parts]
