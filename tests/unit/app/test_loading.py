"""From a specification to classes; a failure says file and line."""

from __future__ import annotations

import os
import py_compile
from pathlib import Path

import pytest

from pondage.app.loading import LoadError, load

TWO = """
import pondage
from pondage import App

class Second(pondage.App):
    @pondage.endpoint("/")
    def run(self): ...

class First(Second, name="acme/first"): ...

class _Hidden(pondage.App): ...
"""


def test_a_file_gives_its_classes_in_order(tmp_path: Path) -> None:
    path = tmp_path / "two_apps.py"
    path.write_text(TWO)
    assert [c.__name__ for c in load(str(path))] == ["Second", "First"]
    assert [c.__name__ for c in load(f"{path}:First")] == ["First"]


def test_a_change_within_a_second_is_not_overlooked(tmp_path: Path) -> None:
    path = tmp_path / "changed_app.py"
    path.write_text("import pondage\nclass A(pondage.App):\n    version = '1'\n")
    py_compile.compile(str(path))
    before = path.stat()
    path.write_text("import pondage\nclass A(pondage.App):\n    version = '2'\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(str(path))[0].version == "2"


def test_a_file_finds_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_app.py").write_text("VALUE = 5\n")
    (tmp_path / "with-dash.py").write_text(
        "import pondage, neighbour_of_app\nclass A(pondage.App):\n    version = str(neighbour_of_app.VALUE)\n"
    )
    assert load(str(tmp_path / "with-dash.py"))[0].version == "5"


def test_a_module_is_imported_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_package_of_apps"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inside.py").write_text(TWO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [c.__name__ for c in load("a_package_of_apps.inside:First")] == ["First"]


@pytest.mark.parametrize(
    ("source", "reason", "line"),
    [
        ("import nothing_like_this\n", "ModuleNotFoundError: No module named 'nothing_like_this'", 1),
        ("x = 1\ny = = 2\n", "SyntaxError: invalid syntax", 2),
        ("def f():\n    raise ValueError('deep')\nf()\n", "ValueError: deep", 2),
        ("raise SystemExit('bye')\n", "SystemExit: bye", 1),
    ],
)
def test_an_import_that_fails_says_where(tmp_path: Path, source: str, reason: str, line: int) -> None:
    path = tmp_path / "fails.py"
    path.write_text(source)
    with pytest.raises(LoadError) as caught:
        load(str(path))
    assert caught.value.reason == f"{path} does not import: {reason}"
    assert caught.value.where == f"{path}:{line}"
    assert "importlib" not in caught.value.trace


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("not_there.py", "there is no file not_there.py"),
        ("not_there_at_all:App", "not_there_at_all does not import: ModuleNotFoundError"),
        ("json:JSONDecoder", "JSONDecoder in json is no class that derives from pondage.App; there is: none"),
        ("json", "no class in json derives from pondage.App"),
    ],
)
def test_what_is_not_there_is_named(spec: str, reason: str) -> None:
    with pytest.raises(LoadError) as caught:
        load(spec)
    assert caught.value.reason.startswith(reason)
