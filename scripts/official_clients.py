"""Set up what the tests of fal's JavaScript clients need: Node, the packages, and a browser.

Node and Chromium are installed with apt where they are missing and this is root on a Debian; else it is said what is
missing, and the tests that need it are skipped with the same words. The packages are those of
`tests/contracts/official/js/package-lock.json`. Run again at any time: what is there stays.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = Path(__file__).parents[1] / "tests" / "contracts" / "official" / "js"
LEAST_NODE = 18
_INSTALL_LIMIT = 900.0


class Missing(Exception):
    """Something is not there and cannot be installed here; the message says what and how."""


def chromium() -> str:
    """The browser's path.

    Raises:
        Missing: there is none.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (path := shutil.which(name)) is not None:
            return path
    raise Missing("there is no Chromium: apt-get install chromium")


def node() -> str:
    """Node's path.

    Raises:
        Missing: there is none, or it is too old.
    """
    path, npm = shutil.which("node"), shutil.which("npm")
    if path is None or npm is None:
        raise Missing("there is no Node with npm: apt-get install nodejs npm")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30).stdout.strip()  # noqa: S603
    if int(version.removeprefix("v").partition(".")[0] or 0) < LEAST_NODE:
        raise Missing(f"Node {version} is too old for fal's client; {LEAST_NODE} or newer is needed")
    return path


def packages() -> Path:
    """The folder with the packages, installed as the lock file says. Of several processes, one installs.

    Raises:
        Missing: no Node, or npm cannot install them.
    """
    node()
    lock = (PACKAGES / "package-lock.json").read_bytes()
    stamp = PACKAGES / "node_modules" / ".installed"
    digest = hashlib.sha256(lock).hexdigest()
    with open(PACKAGES / ".npm-lock", "w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != digest:
            ran = subprocess.run(
                ["npm", "ci", "--no-audit", "--no-fund"],  # noqa: S607 - found by node()
                cwd=PACKAGES, capture_output=True, text=True, timeout=_INSTALL_LIMIT,
            )  # fmt: skip
            if ran.returncode:
                raise Missing(f"npm cannot install fal's JavaScript clients: {ran.stderr.strip()[-400:]}")
            stamp.write_text(digest)
    return PACKAGES


def _apt(*names: str) -> None:
    if os.geteuid() or shutil.which("apt-get") is None:
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    print(f"installing {' '.join(names)} (once)", file=sys.stderr)
    for arguments in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends", *names)):
        subprocess.run(["apt-get", *arguments], env=environment, stdout=subprocess.DEVNULL, timeout=_INSTALL_LIMIT)  # noqa: S603, S607


def main() -> int:
    for find, names in ((node, ("nodejs", "npm")), (chromium, ("chromium",))):
        try:
            find()
        except Missing:
            _apt(*names)
    for find in (packages, chromium):
        try:
            find()
        except Missing as missing:
            print(f"{missing}; the tests that need it will be skipped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
