"""One virtual environment per peer, in a cache folder, made once.

`python -m benchmarks.peers.environments` makes them all; a run makes what it needs and is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

FRONT = ("fastapi", "uvicorn[standard]")
"""A queue library has no HTTP of its own: the usual FastAPI application stands before it."""

MAIN = ("fastapi", "arq", "taskiq", "celery", "huey")
"""What the goals compare with; a quick run measures no others."""

PEERS: dict[str, tuple[str, ...]] = {
    "fastapi": FRONT,
    "arq": ("arq", *FRONT),
    "taskiq": ("taskiq", "taskiq-redis", *FRONT),
    "celery": ("celery[redis]", *FRONT),
    "huey": ("huey", "redis", *FRONT),
    "procrastinate": ("procrastinate", "psycopg[binary]", *FRONT),
    "pgqueuer": ("pgqueuer", "asyncpg", *FRONT),
    "mosec": ("mosec",),
    "litserve": ("litserve",),
    "bentoml": ("bentoml",),
    "gradio": ("gradio",),
    "cog": ("cog",),
    "ray": ("ray[serve]",),
}


INSTALL_LIMIT = 900.0
"""Seconds that pip has for one peer; the largest is some 600 MB."""


class Missing(Exception):
    """A peer cannot be had here; the text says why."""


def cache() -> Path:
    """Where the environments are: `PONDAGE_BENCH_CACHE`, or a folder in the user's cache."""
    return Path(os.environ.get("PONDAGE_BENCH_CACHE") or Path.home() / ".cache" / "pondage-bench").resolve()


def python_of(peer: str) -> str:
    """The interpreter of a peer's environment, which is made if it is not there.

    Raises:
        Missing: pip could not install it.
    """
    folder = cache() / peer
    python = folder / "bin" / "python"
    done = folder / "installed"
    wanted = " ".join(PEERS[peer])
    if done.exists() and done.read_text() == wanted:
        return str(python)
    print(f"  installing {wanted} (once, into {folder})", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True, text=True
        )
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS[peer]]
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=INSTALL_LIMIT)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise Missing(f"could not be installed: {said.strip().splitlines()[-1]}") from error
    done.write_text(wanted)
    return str(python)


def versions_of(peer: str) -> dict[str, str]:
    """The versions of what was asked for in a peer's environment."""
    names = [name.partition("[")[0] for name in PEERS[peer]]
    code = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    told = subprocess.run([python_of(peer), "-c", code, *names], check=True, capture_output=True, text=True)
    return dict(json.loads(told.stdout))


def redis_server() -> str:
    """A program that is a Redis server.

    Debian's redis-tools has it under another name: redis-check-rdb is the same program, and what it does goes by the
    name that it was started with.

    Raises:
        Missing: there is none.
    """
    if found := shutil.which("redis-server"):
        return found
    if found := shutil.which("redis-check-rdb"):
        link = cache() / "redis-server"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(found)
        return str(link)
    raise Missing("there is no redis-server (Debian: redis-tools or redis-server, macOS: brew install redis)")


def redis_version() -> str:
    """The version of that program.

    Raises:
        Missing: there is none.
    """
    told = subprocess.run([redis_server(), "--version"], check=True, capture_output=True, text=True)
    return told.stdout.partition(" v=")[2].partition(" ")[0]


if __name__ == "__main__":
    for peer in PEERS:
        try:
            python_of(peer)
            print(peer, versions_of(peer))
        except Missing as missing:
            print(peer, missing)
