"""Named SQL statements, kept in commented `.sql` files beside the code that uses them.

A statement begins at a line `-- name: claim` and ends where the next one begins; the comment lines below its name say
why it is as it is.
"""

from __future__ import annotations

from importlib import resources


class Statements(dict[str, str]):
    """Statements by name; `statements["claim"]` is one SQL statement without its comments."""

    def __missing__(self, name: str) -> str:
        raise KeyError(f"there is no statement {name!r}; there are {', '.join(sorted(self))}")


def parse(text: str) -> Statements:
    """Take a file of named statements apart.

    Raises:
        ValueError: a name is given twice, or SQL stands before the first name.
    """
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("-- name:"):
            name = stripped.removeprefix("-- name:").strip()
            if name in found:
                raise ValueError(f"the statement {name!r} is there twice")
            current = found[name] = []
        elif stripped and not stripped.startswith("--"):
            if current is None:
                raise ValueError(f"{stripped!r} stands before the first `-- name:`")
            current.append(stripped)
    return Statements({name: "\n".join(lines).rstrip(";") for name, lines in found.items()})


def load(package: str, *files: str) -> Statements:
    """The statements of `files`, which lie in the package `package` (`pondage.queue`, `sql/claim.sql`)."""
    statements = Statements()
    for file in files:
        more = parse(resources.files(package).joinpath(file).read_text("utf-8"))
        if twice := statements.keys() & more.keys():
            raise ValueError(f"{file} names again: {', '.join(sorted(twice))}")
        statements.update(more)
    return statements
