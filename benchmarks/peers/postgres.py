"""A PostgreSQL of its own for a queue library: a new cluster with default settings, so a commit waits for the disk."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.load import HOST
from benchmarks.peers.environments import Missing
from benchmarks.processes import Processes, as_user, free_port

ACCOUNT = "postgres"
"""Whom the server runs as where this runs as root, whom PostgreSQL refuses."""

START_LIMIT = 30.0
"""Seconds that each step of the start has."""


def programs() -> Path:
    """The folder of initdb and postgres. Debian keeps them outside the path, a folder for each version.

    Raises:
        Missing: there is none.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(3))
    if not versions:
        raise Missing("there is no initdb (Debian: postgresql, macOS: brew install postgresql)")
    return versions[-1].parent


def version() -> str:
    """What the server says of itself.

    Raises:
        Missing: there is none.
    """
    told = subprocess.run([programs() / "postgres", "--version"], check=True, capture_output=True, text=True)
    return told.stdout.strip().rpartition(") ")[2].partition(" (")[0]


def start(processes: Processes, folder: Path) -> str:
    """Make a cluster in `folder` and start its server; returns the address of its database.

    Raises:
        Missing: there is no PostgreSQL, or it does not start.
    """
    bin, data, port = programs(), folder / "cluster", free_port()
    user = _account(folder)
    data.mkdir()
    if user:
        shutil.chown(data, user, user)
    _run([bin / "initdb", "--pgdata", data, "--username", ACCOUNT, "--auth", "trust"], user)
    options = ["-D", str(data), "-p", str(port), "-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="]
    process = processes.start([str(bin / "postgres"), *options], user=user)
    end = time.monotonic() + START_LIMIT
    while subprocess.run([bin / "pg_isready", "--quiet", "--host", HOST, "--port", str(port)]).returncode:
        if process.poll() is not None or time.monotonic() > end:
            raise Missing(f"PostgreSQL did not start: {processes.log.read_text(errors='replace')[-300:]}")
        time.sleep(0.02)
    return f"postgresql://{ACCOUNT}@{HOST}:{port}/postgres"


def _account(folder: Path) -> str | None:
    """Whom to run as, and let that account pass through to its folder."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise Missing(f"PostgreSQL does not run as root, and there is no user {ACCOUNT}") from None
    for one in (folder, folder.parent):
        one.chmod(one.stat().st_mode | 0o011)
    return ACCOUNT


def _run(command: list[str | Path], user: str | None) -> None:
    try:
        subprocess.run(
            command, cwd="/", check=True, capture_output=True, text=True, timeout=START_LIMIT, **as_user(user)
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"PostgreSQL could not be set up: {getattr(error, 'stderr', None) or error}") from error
