"""Runner processes: whatever else fails, their end is told."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from pondage import processes
from pondage.fleet import placement
from pondage.fleet.discover import AppSource
from pondage.fleet.placement import LocalProcesses, RunnerNote, alive

pytestmark = pytest.mark.anyio

SOURCE = AppSource("there_is_no_such_module:App", "acme/none", None)


class Told:
    """Hears of ends; the first so many times it fails."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.causes: list[str] = []
        self.heard = asyncio.Event()

    def __call__(self, runner_id: str, cause: str) -> None:
        if self.failures:
            self.failures -= 1
            raise KeyError(runner_id)
        self.causes.append(cause)
        self.heard.set()


def local_processes(tmp_path: Path) -> LocalProcesses:
    return LocalProcesses(
        folder=tmp_path / "runners", socket=tmp_path / "none.sock", secret="s", last_words=lambda *_: None
    )


async def test_an_end_is_told_though_its_note_cannot_be_removed(tmp_path: Path) -> None:
    local, told = local_processes(tmp_path), Told()
    pid = await local.start("r1", SOURCE, told)
    note = tmp_path / "runners" / "r1.json"
    note.unlink()
    note.mkdir()  # what no unlink removes, as root neither
    os.kill(pid, signal.SIGKILL)
    await asyncio.wait_for(told.heard.wait(), 20)
    assert told.causes == ["runner r1 was ended by SIGKILL"]


async def test_an_end_is_told_until_it_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_REPEAT", 0.01)
    local, told = local_processes(tmp_path), Told(failures=2)
    await local.start("r1", SOURCE, told)
    local.end("r1")
    await asyncio.wait_for(told.heard.wait(), 20)
    assert (told.failures, len(told.causes)) == (0, 1)


async def test_a_runner_without_a_note_runs_and_is_ended(tmp_path: Path) -> None:
    local, told = local_processes(tmp_path), Told()
    shutil.rmtree(tmp_path / "runners")
    pid = await local.start("r1", SOURCE, told)
    os.kill(pid, 0)
    local.end("r1")
    await asyncio.wait_for(told.heard.wait(), 20)
    assert told.causes == ["runner r1 was ended by SIGKILL"]


async def test_an_unknown_signal_is_an_end_like_others(tmp_path: Path) -> None:
    local, told = local_processes(tmp_path), Told()
    pid = await local.start("r1", SOURCE, told)
    os.kill(pid, 40)  # a real-time signal, which has no name
    await asyncio.wait_for(told.heard.wait(), 20)
    assert told.causes == ["runner r1 was ended by signal 40"]


async def test_a_survivor_that_cannot_be_looked_at_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local, told = local_processes(tmp_path), Told()
    process = await asyncio.create_subprocess_exec("sleep", "60")
    note = RunnerNote("r1", "acme/none", SOURCE.spec, process.pid, processes.started_at(process.pid))
    looks = 0

    def no_descriptor(pid: int) -> str:
        nonlocal looks
        looks += 1
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(processes, "started_at", no_descriptor)
        local.adopt(note, told)
        while looks < 2:
            await asyncio.sleep(0.05)
        local.end("r1")
    assert not told.heard.is_set() and alive(note)
    process.kill()
    await process.wait()
    await asyncio.wait_for(told.heard.wait(), 20)
    assert told.causes == ["runner r1 is gone"]
