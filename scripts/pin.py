"""Writes constraints.txt: the versions, in the environment that runs this, of everything that the Makefile installs."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
HEAD = "# The versions that everything was tested with; `make` installs these. Written by scripts/pin.py.\n"


def roots() -> list[str]:
    """What is asked for: the extras, the tools, the build, the examples, and pip itself."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = document["project"]
    groups = document["dependency-groups"]
    wanted = [*project["dependencies"], *document["build-system"]["requires"], *groups["dev"], *groups["web"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    for path in ROOT.glob("examples/**/requirements.txt"):
        wanted += path.read_text("utf-8").split()
    return [*wanted, "pip"]


def pin(wanted: list[str]) -> dict[str, str]:
    """The versions of `wanted` and of all that they need here."""
    pins: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(text) for text in wanted]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if name == "pondage" or key in seen:
            continue
        seen.add(key)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform, or an optional part that is not installed
        pins[name] = found.version
        for text in found.requires or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(needed)
    return pins


def weights() -> dict[str, str]:
    """The versions of packages that are installed for their files alone, without what they need (`--no-deps`)."""
    lines = [line for path in ROOT.glob("examples/**/weights.txt") for line in path.read_text("utf-8").splitlines()]
    names = [canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith("#")]
    return {name: distribution(name).version for name in names}


if __name__ == "__main__":
    lines = [f"{name}=={version}\n" for name, version in sorted((pin(roots()) | weights()).items())]
    (ROOT / "constraints.txt").write_text(HEAD + "".join(lines), "utf-8")
