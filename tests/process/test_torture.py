"""The crash test itself, in short, as a user runs it: a command, from any folder."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from pondage.torture.report import Report

COMMAND = [sys.executable, "-m", "pondage.cli", "torture"]


def torture(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=170, check=False)


@pytest.mark.timeout(180)
def test_a_short_torture(tmp_path: Path) -> None:
    ran = torture(tmp_path, "--kills", "4", "--requests", "200", "--seed", "4", "--report", "r.json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=Report)
    assert (report.acknowledged, report.lost, report.duplicate_results, report.kills) == (200, 0, 0, 4)
    assert len(report.recoveries) == 4 and report.executed > 150
    assert len(report.hostile) > 1 and sum(report.hostile.values()) > 8, report.hostile
    last = ran.stdout.rstrip().splitlines()[-1]
    assert last.startswith("acknowledged=200 lost=0 duplicate_results=0 extra_runs=") and " recovery_max=" in last
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"], "it leaves nothing behind"

    added = torture(tmp_path, "--add", "r.json", "r.json")
    assert added.returncode == 0 and "acknowledged=400 lost=0" in added.stdout


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["at a terminal", "behind a script"])
def interrupt(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a process inherits for Ctrl-C: a shell without job control has what it starts with `&` ignore that."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("interrupt")
def test_told_to_end_again_and_again_it_leaves_no_process_behind(tmp_path: Path) -> None:
    arguments = ["--kills", "0", "--requests", "100000", "--seed", "1", "--keep", "kept"]
    with subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        mine = psutil.Process(process.pid)
        journal = tmp_path / "kept" / "journals" / "callers.jsonl"
        while not (journal.exists() and journal.stat().st_size):  # the server answers, and has runners
            assert process.poll() is None
            time.sleep(0.05)
        children = mine.children(recursive=True)
        while process.poll() is None:  # at any moment of its end
            process.send_signal(signal.SIGTERM)
            time.sleep(0.01)
        assert process.returncode != 0
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert torture(tmp_path, "--keep", "full").returncode == 2
    assert torture(tmp_path, "--requests", "0").returncode == 2
    refused = torture(tmp_path, "--add", "none.json")
    assert refused.returncode == 2 and "no report" in refused.stderr
