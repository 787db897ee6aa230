"""What `make dist` runs: builds sdist and wheel into dist/, checks them, and tries them as a user would.

The trial happens in an empty folder with an environment of its own, into which the wheel alone is installed: the
`pondage` command, an app of ten lines, the client, and the OCR demo of the sdist. What that environment holds is the
bill of materials beside the wheel (CycloneDX, scripts/sbom.py).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

import sbom

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
TRIAL_LIMIT = 300.0
"""Seconds that one step of the trial may take."""

APP = """
import pondage


class Hello(pondage.App):
    @pondage.endpoint("/")
    def run(self, name: str) -> dict[str, str]:
        return {"text": f"hello, {name}"}
"""

CALLER = (
    "import pondage, sys; print(pondage.SyncClient(base_url=sys.argv[1]).run('local/hello', {'name': 'owl'})['text'])"
)


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), str(ROOT))
    wheel, sdist = next(DIST.glob("*.whl")), next(DIST.glob("*.tar.gz"))
    run(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist))
    with tempfile.TemporaryDirectory(prefix="pondage-dist-") as folder:
        python = install(wheel, Path(folder))
        bill = wheel.with_name(f"{wheel.name.partition('-py3')[0]}.cdx.json")
        sbom.write(python, bill)
        try_it(python, Path(folder))
        try_demo(python, sdist, Path(folder))
    print("\n" + "\n".join(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes" for path in (wheel, sdist, bill)))


def install(wheel: Path, folder: Path) -> Path:
    """An environment in `folder` that has the wheel with its extra `server`; returns its Python."""
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "install", "-c", str(ROOT / "constraints.txt"), f"{wheel}[server]")
    return python


def try_it(python: Path, folder: Path) -> None:
    """Serve an app of ten lines from an empty folder, and call it by the command and by the client."""
    place = folder / "place"
    place.mkdir()
    (place / "hello.py").write_text(APP)
    command = str(python.parent / "pondage")
    run(command, "--version", cwd=place)
    server = subprocess.Popen(
        [command, "serve", "hello.py", "--port", "0", "--json"], cwd=place, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        run(command, "call", "local/hello", "name=fox", "--server", url, cwd=place)
        run(str(python), "-c", CALLER, url, cwd=place)
    finally:
        server.terminate()
        server.wait(30)


def try_demo(python: Path, sdist: Path, folder: Path) -> None:
    """The OCR demo, from the sdist's examples."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    examples = next(folder.glob("pondage-*")) / "examples"
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "install", "-c", str(ROOT / "constraints.txt"), "-r", str(examples / "ocr" / "requirements.txt"))
    run(str(python), str(examples / "ocr" / "demo.py"), cwd=folder)


def run(*command: str, cwd: Path = ROOT) -> None:
    """One step; it is shown, and ends everything when it fails."""
    print("$", " ".join(command), flush=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PONDAGE_", "PYTHONPATH"))}
    subprocess.run(command, cwd=cwd, check=True, timeout=TRIAL_LIMIT, env=env)


if __name__ == "__main__":
    main()
