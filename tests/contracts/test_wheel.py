"""The wheel and the sdist are built, and the wheel is tried from an empty folder, as a user gets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
APP = """
import pondage


class Hello(pondage.App):
    @pondage.endpoint("/")
    def run(self, name: str) -> dict[str, str]:
        return {"text": f"hello, {name}"}
"""

pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both distributions, built from the working tree; the wheel through the sdist, as an index would."""
    out = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return out


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel alone; its dependencies are borrowed from ours, so that nothing is fetched."""
    place = tmp_path_factory.mktemp("env")
    venv.create(place, with_pip=False)
    site = next((place / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    # Of our own environment everything but the editable install of this very package.
    ours = site / "borrowed"
    ours.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "pondage" not in entry.name.lower():
            (ours / entry.name).symlink_to(entry)
    (site / "borrowed.pth").write_text(str(ours))
    return place


def python(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        [str(installed / "bin" / "python"), *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )


def test_the_wheel_carries_what_it_reads(dist: Path) -> None:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    source = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "pondage").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert source <= names
    assert {name.split("/")[0] for name in names} <= {"pondage", "pondage-0.1.0.dist-info"}


def test_an_index_would_take_both(dist: Path) -> None:
    files = sorted(str(path) for path in dist.iterdir())
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


OURS = {".py", ".pyi", ".sql", ".md", ".toml", ".typed", ".json"}


def test_the_notices_name_what_the_wheel_carries_of_others(dist: Path) -> None:
    """What is no source of ours is named in the notices, as is each package that the pages are built with."""
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        notices = next(name for name in wheel.namelist() if name.endswith("licenses/THIRD-PARTY-NOTICES.md"))
        text = wheel.read(notices).decode()
    foreign = {name for name in names if Path(name).suffix not in OURS}
    assert {str(Path(name).parent) for name in foreign if f"`{Path(name).parent}/`" not in text} == set()
    page = ROOT / "web" / "package.json"
    bundled = json.loads(page.read_text("utf-8")).get("dependencies", {}) if page.is_file() else {}
    assert [package for package in bundled if f"`{package}`" not in text] == []


def test_the_sdist_can_be_read_and_built_again(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "THIRD-PARTY-NOTICES.md",
        "CHANGELOG.md",
        "docs/getting-started.md",
    } <= names
    assert not any(name.startswith((".venv", "pondage-data", "demo-out")) for name in names)


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """`pondage serve` of the wheel, in an otherwise empty folder; its URL and that folder."""
    (tmp_path / "hello.py").write_text(APP)
    command = [str(installed / "bin" / "python"), "-m", "pondage.cli", "serve", "hello.py", "--port", "0", "--json"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    server = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        listening: dict[str, Any] = json.loads(server.stdout.readline())
        assert listening["event"] == "listening", listening
        yield listening["url"], tmp_path
    finally:
        server.terminate()
        assert server.wait(30) == 0
        if server.stdout is not None:
            server.stdout.close()


def test_the_wheel_serves_and_calls(installed: Path, served: tuple[str, Path]) -> None:
    url, folder = served
    call = python(installed, folder, "-m", "pondage.cli", "call", "local/hello", "name=fox", "--server", url)
    assert (call.returncode, json.loads(call.stdout)) == (0, {"text": "hello, fox"}), call.stderr
    code = f"import pondage; print(pondage.SyncClient(base_url={url!r}).run('local/hello', {{'name': 'owl'}}))"
    run = python(installed, folder, "-c", code)
    assert run.stdout.strip() == "{'text': 'hello, owl'}", run.stderr


def test_the_demo_of_the_sdist_runs_with_the_wheel(installed: Path, dist: Path, tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        sdist.extractall(tmp_path, filter="data")
    demo = next(tmp_path.glob("pondage-*")) / "examples" / "ocr" / "demo.py"
    run = python(installed, tmp_path, str(demo))
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "demo-out" / "page-annotated.png").is_file()


SERVER_ONLY = ("apsw", "starlette", "uvicorn", "aiohttp", "obstore", "jwt", "prometheus_client", "cryptography", "rich")


@pytest.mark.parametrize("module", ["pondage", "pondage.client", "pondage.app.app", "pondage.toolkit"])
def test_callers_and_authors_load_no_server_code(installed: Path, tmp_path: Path, module: str) -> None:
    """In an environment that has nothing of the server's, and without loading any of its rooms."""
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SERVER_ONLY!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import {module}
rooms = {{"database", "queue", "files", "fleet", "gateway", "server", "cli", "outbound", "testing"}}
print(sorted(name for name in sys.modules if name.startswith("pondage.") and name.split(".")[1] in rooms))
"""
    run = python(installed, tmp_path, "-c", code)
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr


def test_the_command_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    code = """
import sys
sys.modules["rich"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "rich" else find(name, package)
from pondage.cli import main
sys.exit(main(["apps"]))
"""
    run = python(installed, tmp_path, "-c", code)
    assert run.returncode == 2
    assert "the command line needs the extra [cli]" in run.stderr
    assert "docs/installing.md" in run.stderr
