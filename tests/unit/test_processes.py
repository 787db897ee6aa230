"""Which processes are a runner's, and that exactly those are ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pondage import processes
from pondage.processes import MARK, Process, Survey, kin, orphans

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells processes apart by /proc"),
]

ME = os.getpid()


def process(pid: int, parent: int = 1, group: int = 0, session: int = 0, zombie: bool = False) -> Process:
    return Process(pid, parent, group or pid, session or group or pid, f"then/{pid}", zombie)


def found(*all_of_them: Process, **marks: str) -> Survey:
    return Survey({p.pid: p for p in all_of_them}, {int(pid[1:]): mark for pid, mark in marks.items()}, ())


def pids(some: list[Process]) -> list[int]:
    return sorted(p.pid for p in some)


def test_kin_are_children_groups_sessions_marks_and_what_these_have_started() -> None:
    all_of_them = found(
        process(100, ME),  # the runner
        process(101, 100),  # a child that leads a group and session
        process(102, 1, group=100),  # its parent is gone
        process(103, 1, group=103, session=100),
        process(104, 1),  # marked
        process(105, 104),
        process(106, 101),
        process(107, 100, zombie=True),
        process(200, ME),  # another runner
        process(201, 200),
        process(300, 1),
        process(ME, 50),
        _100="r1", _104="r1", _200="r2", _201="r2",
    )  # fmt: skip
    assert pids(kin(all_of_them, "r1", 100)) == [101, 102, 103, 104, 105, 106]


def test_without_the_runner_its_number_says_nothing() -> None:
    stranger = found(process(100, 1), process(101, 100, group=100), process(102, 1), _102="r1")
    assert pids(kin(stranger, "r1")) == [102]
    assert kin(stranger, "") == []


def test_the_asking_process_is_nobodys_child_to_end() -> None:
    nested = found(process(100, 1), process(ME, 100, group=100), process(101, ME), _100="r1")
    assert pids(kin(Survey(nested.processes, {**nested.marks, ME: "r1"}, ()), "r1", 100)) == []


def test_orphans_are_children_of_ours_in_sessions_that_are_not() -> None:
    all_of_them = found(
        process(ME, 1, group=ME, session=40),
        process(100, ME),
        process(101, ME),
        process(102, ME, 102, 40),
        process(103, 1),
    )
    assert pids(orphans(all_of_them, {100})) == [101]


async def test_a_number_that_is_somebody_elses_by_now_is_left_alone() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], env={MARK: "somebody"})
    try:
        seen = await asyncio.to_thread(processes.survey)
        same = seen.processes[child.pid]
        assert seen.marks[child.pid] == "somebody"
        assert (same.parent, same.session) == (ME, os.getsid(0))
        processes.kill(same._replace(started="long ago/1"))
        assert child.poll() is None
        processes.kill(same)
        await asyncio.wait_for(processes.ended(child.pid), 20)
        assert processes.has_dead_child(), "it was not reaped"
        assert processes.started_at(child.pid) == ""
        processes.kill(same)
    finally:
        child.kill()
        child.wait()
    processes.kill(same)


async def test_without_handles_of_processes_the_same_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        same = Process(child.pid, ME, 0, 0, await asyncio.to_thread(processes.started_at, child.pid), False)
        processes.kill(same._replace(started="long ago/1"))
        assert child.poll() is None
        processes.kill(same)
        await asyncio.wait_for(processes.ended(child.pid), 20)
    finally:
        child.kill()
        assert child.wait() == -9
