"""An app that starts processes in every way, and notes their pids."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pondage

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


def plain() -> int:
    return subprocess.Popen(SLEEP).pid


def own_group() -> int:
    return subprocess.Popen(SLEEP, process_group=0).pid


def own_session() -> int:
    return subprocess.Popen(SLEEP, start_new_session=True).pid


def nameless() -> int:
    """In a session of its own, with nothing of our environment."""
    return subprocess.Popen(SLEEP, start_new_session=True, env={}).pid


def fork() -> int:
    if (pid := os.fork()) == 0:
        time.sleep(600)
        os._exit(0)
    return pid


def daemon() -> int:
    """As daemons begin: its parent ends at once, and it leads a session."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            os.close(writing)
            os.execv(SLEEP[0], SLEEP)
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    return int(os.read(reading, 32))


def worker() -> int:
    """Spawned by multiprocessing, with that library's own helper."""
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    process.start()
    return process.pid or 0


def grandchild() -> int:
    code = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code, *SLEEP], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return int(process.stdout.readline())


WAYS = {f.__name__: f for f in (plain, own_group, own_session, nameless, fork, daemon, worker, grandchild)}


class Family(pondage.App, name="acme/family"):
    @pondage.endpoint("/")
    def start(self, note: str, ways: list[str], hold: bool = True) -> dict[str, int]:
        pids = {way: WAYS[way]() for way in ways}
        Path(note).with_suffix(".new").write_text(" ".join(map(str, [os.getpid(), *pids.values()])))
        Path(note).with_suffix(".new").rename(note)
        while hold:
            subprocess.run(["sleep", "600"], check=False)
        return pids

    @pondage.endpoint("/exit")
    def exit(self) -> None:
        os._exit(1)


class Other(Family, name="acme/other"):
    pass
