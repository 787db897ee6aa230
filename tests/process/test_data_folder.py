"""The data folder under a running gateway: gone, replaced, without its lock; on a disk that is full at the start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from pondage.testing import GatewayProcess

from .conftest import APPS

APP = APPS / "basic.py"

Start = Callable[..., GatewayProcess]


def eventually(what: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def test_nothing_is_acknowledged_once_the_folder_is_gone(gateway: Start) -> None:
    process = gateway("basic.py")
    process.start()
    with httpx2.Client(base_url=process.url, timeout=30) as http:
        assert http.post("/queue/acme/echo", json={"x": 1}).status_code == 200
        process.data.rename(process.data.with_name("away"))
        for path in ("/queue/acme/echo", "/acme/echo"):
            refused = http.post(path, json={"x": 1})
            assert (refused.status_code, "data folder" in refused.text) == (503, True), refused.text
            assert str(process.data) not in refused.text, "no path reaches a caller"
        eventually(lambda: "data folder" in http.get("/readyz").json()["waiting"])
        # Another folder in its place is no better, and the one that was opened is: it goes on by itself.
        process.data.mkdir()
        (process.data / "pondage.db").touch()
        assert http.post("/queue/acme/echo", json={"x": 1}).status_code == 503
        shutil.rmtree(process.data)
        process.data.with_name("away").rename(process.data)
        eventually(lambda: http.get("/readyz").status_code == 200)
        assert http.post("/acme/echo", json={"x": 1}).json() == {"y": 2}


def test_a_lost_lock_file_lets_no_second_gateway_in(gateway: Start) -> None:
    first = gateway("basic.py")
    first.start()
    lock = first.data / "pondage.lock"
    lock.unlink()
    command = [sys.executable, "-m", "pondage.cli", "serve", str(APP), "--port", "0", "--data", str(first.data)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 2 and "in use" in said.stderr, said.stderr
    # The running gateway makes the file again, and names itself in it.
    eventually(lambda: lock.exists() and lock.read_text().strip() == str(first.pid))
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert f"in use by the process {first.pid}" in again.stderr
    assert httpx2.get(first.url + "/readyz").status_code == 200


def test_a_start_on_a_full_disk_serves_what_is_there(tmp_path: Path) -> None:
    """In a mount namespace of its own, with a disk of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = Path(__file__).with_name("full_disk.py")
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False) if os.geteuid() == 0 else None
    if probe is None or probe.returncode != 0:
        pytest.skip("making a small disk needs the right to mount")
    command = f'mount -t tmpfs -o size=16m tmpfs "{disk}" && exec "{sys.executable}" "{script}" "{disk}"'
    said = subprocess.run(
        ["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, timeout=110, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "runners").write_text("")
    for folder in (tmp_path / "file" / "data", tmp_path / "taken"):
        command = [sys.executable, "-m", "pondage.cli", "serve", str(APP), "--port", "0", "--data", str(folder)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert said.returncode == 2, said.stderr
        assert f"error[setup]: cannot use the data folder {folder}: " in said.stderr
