"""Processes of this machine: which are kin of a runner, and how to end exactly those.

A pid alone may be somebody else by now, so a process is its pid and the moment it was started. Where there is no /proc
the system's `ps` is asked, and kin are what is left of the process group.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

MARK = "PONDAGE_RUNNER_ID"
"""The environment variable that names the runner, for it and all that it starts."""

_HAS_PROC = Path("/proc/self/stat").exists()
_PR_SET_CHILD_SUBREAPER = 36
_LOOK = 0.1
"""Seconds between two looks at a child, where the system tells nobody of its end."""
_JANITORS = (b"multiprocessing.resource_tracker", b"torch_shm_manager")
"""What removes the shared memory of others once they have gone, and then ends by itself."""


class Process(NamedTuple):
    """A process as it was when the system was asked."""

    pid: int
    parent: int
    group: int
    session: int
    started: str
    zombie: bool


class Survey(NamedTuple):
    """All processes, the marks of those whose environment may be read, and who cleans up after others."""

    processes: Mapping[int, Process]
    marks: Mapping[int, str]
    janitors: Collection[int]


def survey() -> Survey:
    """Ask for all processes; nothing where there is no /proc. Takes milliseconds: not for an event loop."""
    processes: dict[int, Process] = {}
    marks: dict[int, str] = {}
    janitors: set[int] = set()
    for name in os.listdir("/proc") if _HAS_PROC else ():
        if not name.isdigit():
            continue
        try:
            process = _of_stat(int(name))
            processes[process.pid] = process
            environment = Path(f"/proc/{name}/environ").read_bytes()
            if (at := (b"\0" + environment).find(b"\0" + MARK.encode() + b"=")) >= 0:
                marks[process.pid] = environment[at + len(MARK) + 1 :].partition(b"\0")[0].decode("utf-8", "replace")
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            if any(janitor in command for janitor in _JANITORS):
                janitors.add(process.pid)
        except OSError:
            continue  # it has ended, or is another user's
    return Survey(processes, marks, janitors)


def kin(found: Survey, mark: str, leader: int | None = None) -> list[Process]:
    """The living processes that a runner has started, and theirs; never the runner, nor the asking process.

    Args:
        mark: the runner's id, which they inherit with the environment.
        leader: the runner's pid, while nobody else can have that number: it lives, or was not reaped yet.
    """
    own = {pid for pid, held in found.marks.items() if held == mark} if mark else set()
    if leader is not None:
        own |= {p.pid for p in found.processes.values() if leader in (p.parent, p.group, p.session)}
    own.discard(os.getpid())
    known = 0
    while known != len(own):
        known = len(own)
        own |= {p.pid for p in found.processes.values() if p.parent in own and p.pid != os.getpid()}
    own.discard(leader or 0)
    return [found.processes[pid] for pid in own if not found.processes[pid].zombie]


def orphans(found: Survey, known: Collection[int]) -> list[Process]:
    """Children of this process, dead ones too, that it has not started: as a subreaper it inherited them. They are
    told by their session, since what it starts itself and is not in `known` stays in its own."""
    me = found.processes.get(os.getpid())
    if me is None:
        return []
    return [
        p for p in found.processes.values() if p.parent == me.pid and p.session != me.session and p.pid not in known
    ]


def kill(process: Process) -> None:
    """End this very process, if it still is one."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # an older system: the number is looked at just before
        with contextlib.suppress(OSError):
            if started_at(process.pid) == process.started:
                os.kill(process.pid, signal.SIGKILL)
        return
    try:
        with contextlib.suppress(OSError):
            if started_at(process.pid) == process.started:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)


def become_subreaper() -> bool:
    """Inherit what descendants leave behind when they end. Linux only; for a process that is ours alone."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def heed_children() -> None:
    """Keep how children end until it is asked for. Where whoever started this process ignores SIGCHLD it does too, and
    the system forgets at once how a child has ended. For a process that is ours alone."""
    with contextlib.suppress(ValueError):  # not in the main thread
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def has_dead_child() -> bool:
    """Whether a child of this process has ended and was not reaped yet."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def reap(pid: int) -> None:
    """Take note of the end of a child, if it has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


async def ended(pid: int) -> None:
    """Until a child has ended. It is not reaped: its pid, and its group's, stay its own."""
    try:
        handle = os.pidfd_open(pid)
    except (AttributeError, OSError):
        while True:
            with contextlib.suppress(OSError):  # no descriptor left, say: it is looked again
                if not started_at(pid):
                    return
            await asyncio.sleep(_LOOK)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(handle, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def started_at(pid: int) -> str:
    """When a process was started, in the system's own words; empty where there is none that lives.

    Raises:
        OSError: it cannot be told: no descriptor is left, say.
    """
    if not _HAS_PROC:
        return _started_by_ps(pid)
    try:
        process = _of_stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if process.zombie else process.started


def _of_stat(pid: int) -> Process:
    # Fields of proc(5), counted after the command's closing parenthesis.
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    started = f"{_boot()}/{fields[19]}"
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), started, fields[0] in "ZX")


def _boot() -> str:
    """Which start of the machine this is: start times are counted from it."""
    global _boot_id
    if not _boot_id:
        try:
            _boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:8]
        except OSError:
            _boot_id = "-"
    return _boot_id


_boot_id = ""


def _started_by_ps(pid: int) -> str:
    import subprocess

    answer = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
