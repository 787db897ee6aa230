"""The processes of a server under test: started, watched and ended by pid, and never any other."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

_IS_LINUX = sys.platform.startswith("linux")
STOP_LIMIT = 15.0
"""Seconds that a process has to end by itself."""


class Processes:
    """Processes that were started here, with their children.

    Args:
        log: the file that takes what they print.
        folder: where they run.
    """

    def __init__(self, log: Path, folder: Path) -> None:
        self.log = log
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self.paused = False

    def start(
        self, command: Sequence[str], env: Mapping[str, str] = {}, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one, in a process group of its own, so that a Ctrl-C here reaches it through `stop` only.

        Args:
            user: whom it runs as, if not as who runs this.
        """
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                list(command), cwd=self._folder, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, **as_user(user),
            )  # fmt: skip
        self._started.append(process)
        return process

    def check(self) -> None:
        """Raise RuntimeError, with the end of the log, if one has ended."""
        for process in self._started:
            if (code := process.poll()) is not None:
                tail = self.log.read_text(errors="replace")[-1500:]
                raise RuntimeError(f"{process.args!r} ended with {code}:\n{tail}")

    def tree(self) -> list[psutil.Process]:
        """All that are alive, children included."""
        found: dict[int, psutil.Process] = {}
        for process in self._started:
            with contextlib.suppress(psutil.Error):
                parent = psutil.Process(process.pid)
                for one in (parent, *parent.children(recursive=True)):
                    found[one.pid] = one
        return list(found.values())

    def cpu(self) -> float:
        """CPU seconds that the tree has used, user and system."""
        return sum(_cpu_of(process) for process in self.tree())

    def memory(self) -> tuple[float, float]:
        """Resident and proportional memory of the tree, in MB (1,000,000 bytes). Where the system knows no
        proportional memory, both are the resident one."""
        resident = proportional = 0
        for process in self.tree():
            with contextlib.suppress(psutil.Error):
                memory = process.memory_full_info()
                resident += memory.rss
                proportional += getattr(memory, "pss", memory.rss)
        return resident / 1e6, proportional / 1e6

    def pause(self) -> None:
        """Stop the tree where it stands, so that its polling costs nothing while others are measured."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        if self.paused:
            self._signal(signal.SIGCONT)
            self.paused = False

    def stop(self) -> None:
        """Ask each to end, wait, and kill what is left of the trees."""
        self.resume()
        tree = self.tree()
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
        for process in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_LIMIT)
        for one in tree:
            with contextlib.suppress(psutil.Error):
                one.kill()
        for process in self._started:
            process.wait()
        self._started.clear()

    def _signal(self, number: int) -> None:
        for process in self.tree():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)


def _cpu_of(process: psutil.Process) -> float:
    if _IS_LINUX:
        # The clock of another process has nanoseconds, where /proc counts in ticks of 10 ms. Its number is made of
        # the pid (clock_getcpuclockid(3)).
        with contextlib.suppress(OSError):
            return time.clock_gettime((~process.pid << 3) | 2)
        return 0.0
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def as_user(name: str | None) -> dict[str, Any]:
    """What `subprocess` needs to run a program as somebody else; nothing for nobody."""
    return {"user": name, "group": name, "extra_groups": []} if name else {}


def free_port() -> int:
    """A TCP port of loopback that nobody uses just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
