"""A commit and the present state side by side: each in an environment of its own, over the same libraries."""

from __future__ import annotations

import importlib.metadata
import io
import re
import site
import subprocess
import sys
import tarfile
import tomllib
import venv
from pathlib import Path

from benchmarks.servers import ROOT

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", re.MULTILINE)
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


class NoRevision(RuntimeError):
    """A commit cannot be had or installed."""


def install(revision: str | None, folder: Path) -> Path:
    """Make an environment whose `pondage` is that of a commit, or of this checkout as it stands (None).

    Returns:
        Its `pondage` command.

    Raises:
        NoRevision: there is no such commit, or what it needs is not installed here and cannot be fetched.
    """
    source = ROOT if revision is None else _checked_out(revision, folder / "source")
    environment = folder / "environment"
    python = environment / "bin" / "python"
    if (missing := disagreeing(source)) and source != ROOT:
        venv.create(environment, with_pip=True, symlinks=True)
        wanted = [str(python), "-m", "pip", "install", "--quiet", "-c", str(source / "constraints.txt")]
        _run([*wanted, f"{source}[server]"], f"it needs {', '.join(missing)}, which cannot be installed")
        return environment / "bin" / "pondage"
    venv.create(environment, with_pip=False, symlinks=True)
    # Its own source first, then what is installed here. Lines within those folders that would add a source of ours
    # are not followed.
    places = [str(source / "src"), *site.getsitepackages()]
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "side_by_side.pth").write_text("\n".join(places) + "\n")
    command = environment / "bin" / "pondage"
    command.write_text(f"#!{python}\nimport sys\nfrom pondage.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)
    _run([str(python), "-m", "compileall", "-q", str(source / "src")], "it cannot be compiled")
    found = _run([str(python), "-c", "import pondage; print(pondage.__file__)"], "it cannot be imported").strip()
    if not Path(found).is_relative_to(source):
        raise NoRevision(f"{found} was found in the place of {source}")
    return command


def disagreeing(source: Path) -> list[str]:
    """What a checkout needs to serve that is not installed here, or in another version than it pins."""
    pins = {_plain(name): version for name, version in _PIN.findall((source / "constraints.txt").read_text())}
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    found = []
    for name in _needed(project):
        try:
            here = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found.append(name)
            continue
        if here != pins.get(_plain(name), here):
            found.append(f"{name} {pins[_plain(name)]}")
    return found


def _needed(project: dict[str, object]) -> list[str]:
    """The names of what is installed with `[server]`; its extras name others of its own."""
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})  # type: ignore[assignment]
    dependencies: list[str] = project["dependencies"]  # type: ignore[assignment]
    waiting, names, seen = [*dependencies, *extras.get("server", [])], [], set()
    while waiting:
        text = waiting.pop()
        match = _NAME.match(text)
        if match is None or text in seen:
            continue
        seen.add(text)
        if match[0] == project["name"]:
            for extra in re.findall(r"[a-z]+", text.partition("[")[2].partition("]")[0]):
                waiting += extras.get(extra, [])
        else:
            names.append(match[0])
    return sorted(names)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _checked_out(revision: str, to: Path) -> Path:
    """The files of a commit. The repository itself is left alone."""
    asked = ["git", "-C", str(ROOT), "archive", "--format=tar", revision, "src", "pyproject.toml", "constraints.txt"]
    more = ["README.md", "LICENSE"]  # which its metadata names
    ran = subprocess.run([*asked, *more], capture_output=True)
    if ran.returncode:
        raise NoRevision(f"{revision}: {ran.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(ran.stdout)) as tar:
        tar.extractall(to, filter="data")
    return to


def _run(command: list[str], why: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        raise NoRevision(f"{why}: {(ran.stderr or ran.stdout).strip()[-800:]}")
    return ran.stdout


def described(revision: str) -> str:
    """A commit's short name and first line."""
    asked = ["git", "-C", str(ROOT), "log", "-1", "--format=%h %s", revision]
    return _run(asked, f"there is no commit {revision}").strip()


if sys.platform == "win32":
    raise NoRevision("side by side is measured where environments have a folder bin")
