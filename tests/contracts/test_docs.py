"""The docs say what is so: generated pages are fresh, everything is documented, links lead somewhere, examples run."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pondage import errors, settings
from pondage.cli import VERBS, explanations
from pondage.cli.dispatch import available
from pondage.client import errors as client_errors
from pondage.gateway.routes import ROUTES
from pondage.testing import ServedApp, serve

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "scripts" / "generate_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["settings.md", "errors.md", "pointing.md", "commands.md", "map.md"])
def test_generated_pages_are_as_the_code_says(page: str) -> None:
    assert (ROOT / "docs" / page).read_text("utf-8") == generator().pages()[page], "run: make docs"


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert [name for name in settings.FIELDS if f"| `{name}` |" not in page] == []


def test_every_verb_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert [verb for verb in VERBS if verb in available() and f"## pondage {verb}\n" not in page] == []


def codes(root: type[errors.PondageError]) -> Iterator[str]:
    if root.__module__.startswith("pondage.errors") or root.__module__ == client_errors.__name__:
        yield root.code
    for child in root.__subclasses__():
        yield from codes(child)


def test_every_error_code_is_explained() -> None:
    assert {code for code in codes(errors.PondageError) if code not in explanations.ALL} == set()


def test_every_route_of_ours_is_documented() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    known = {route.pattern for route in ROUTES if route.pattern.startswith("/api/v1/")}
    written = {p: p.replace("{request_id}", "{id}").replace("{app:path}", "{owner}/{alias}") for p in known}
    missing = {p for p in known if written[p] not in text and p not in text}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "#", "mailto:")):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_hold_no_path_of_one_machine(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"(?<![\w.~>}])/(?:home|root|work)/\w", text), "no path of one machine"


# ---- what the pages show runs as shown

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w.]+\.py)\n")


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    found = [(m[1], m[2]) for m in BLOCK.finditer(page.read_text("utf-8"))]
    return [(language, text) for language, text in found if language in languages]


@pytest.fixture(scope="module", params=["README.md", "docs/getting-started.md", "docs/app-guide.md", "docs/live.md"])
def page(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path, ServedApp]]:
    """A page, a folder with the files that it names, and a server with its apps."""
    source = ROOT / request.param
    folder = tmp_path_factory.mktemp("page")
    apps = []
    for _, text in blocks(source, "python"):
        if named := NAMED.match(text):
            (folder / named[1]).write_text(text)
            if "pondage.App" in text:
                apps.append(str(folder / named[1]))
    with serve(*apps) as served:
        yield source, folder, served


def environment(served: ServedApp) -> dict[str, str]:
    here = os.environ | {"PONDAGE_URL": served.url, "PYTHONWARNINGS": "error"}
    return here | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_python_on_the_page_runs(page: tuple[Path, Path, ServedApp]) -> None:
    source, folder, served = page
    scripts = [text for _, text in blocks(source, "python") if not NAMED.match(text)]
    assert scripts
    for script in scripts:
        run = subprocess.run(
            [sys.executable, "-c", script], cwd=folder, env=environment(served), capture_output=True, text=True
        )
        assert run.returncode == 0, f"{script}\n{run.stderr}"
        assert run.stdout


def test_commands_on_the_page_run(page: tuple[Path, Path, ServedApp]) -> None:
    source, folder, served = page
    ran = 0
    for _, text in blocks(source, "sh"):
        for line in text.splitlines():
            if not line.startswith(("curl", "pondage call", "pondage requests", "pondage openapi")):
                continue
            if line.startswith("curl") and not shutil.which("curl"):
                continue
            line = line.replace("http://127.0.0.1:8000", served.url)
            run = subprocess.run(
                ["sh", "-c", line], cwd=folder, env=environment(served), capture_output=True, text=True
            )
            assert run.returncode == 0, f"{line}\n{run.stderr}"
            assert run.stdout and "error" not in run.stdout[:20], f"{line}\n{run.stdout}"
            ran += 1
    assert ran or source.name in {"app-guide.md", "live.md"}


def test_the_test_on_the_page_passes(tmp_path: Path) -> None:
    for _, text in blocks(ROOT / "docs" / "app-guide.md", "python"):
        if named := NAMED.match(text):
            (tmp_path / named[1]).write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_guide.py"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
