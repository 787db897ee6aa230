"""Which files an app is made of."""

from __future__ import annotations

from pathlib import Path

from pondage.fleet.imports import own_files


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(folder: Path, app: str) -> set[str]:
    return {str(file.relative_to(folder)) for file in own_files(folder / app, [folder])}


def test_its_own_imports_and_theirs(tmp_path: Path) -> None:
    write(
        tmp_path,
        app="import json, helper\nfrom models import unet\n\ndef late():\n    import lazy\n",
        helper="from deep.inner import thing\n",
        lazy="",
        other="import helper\n",
        models__unet="from . import blocks\nfrom ..nothing import x\n",
        models__blocks="",
        models__unused="",
        deep__inner="import app\n",
    )
    (tmp_path / "models" / "__init__.py").touch()
    assert names(tmp_path, "app.py") == {
        "app.py", "helper.py", "lazy.py", "models/__init__.py", "models/unet.py", "models/blocks.py", "deep/inner.py",
    }  # fmt: skip
    assert names(tmp_path, "other.py") >= {"other.py", "helper.py"}


def test_an_app_within_a_package(tmp_path: Path) -> None:
    write(tmp_path, pkg__apps__main="from pkg.tools import x\nfrom .near import y\n", pkg__tools="", pkg__apps__near="")
    for folder in ("pkg", "pkg/apps"):
        (tmp_path / folder / "__init__.py").touch()
    assert names(tmp_path, "pkg/apps/main.py") == {
        "pkg/apps/main.py", "pkg/apps/near.py", "pkg/__init__.py", "pkg/tools.py",
    }  # fmt: skip


def test_what_is_broken_or_gone_is_itself(tmp_path: Path) -> None:
    write(tmp_path, app="import broken\n", broken="def (")
    assert names(tmp_path, "app.py") == {"app.py", "broken.py"}
    assert names(tmp_path, "gone.py") == {"gone.py"}
