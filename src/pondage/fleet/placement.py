"""Runner processes on this machine: start, watch, end. Another placement (a cluster) offers the same verbs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from pondage.fleet.discover import AppSource

log = logging.getLogger("pondage.fleet")

_REPEAT = 1.0
"""Seconds until an end that could not be told is told again."""


class RunnerNote(msgspec.Struct, frozen=True):
    """What is written down of a process for the next gateway: a pid alone may be somebody else by then."""

    id: str
    app: str
    spec: str
    pid: int
    started: str
    """When the process was started, as the system tells it."""
    code: int = 0
    """When the app's file was last written, in nanoseconds: whether the process runs what the file says now."""


class Placement(Protocol):
    """Who starts and ends runner processes."""

    async def start(self, runner_id: str, source: AppSource, died: Callable[[str, str], None]) -> int:
        """Start a runner and return its pid; `died(runner_id, cause)` is called when its process has ended."""
        ...

    def end(self, runner_id: str) -> None:
        """End a process at once, if that can be done now; asked again later, it tries again."""
        ...

    def survivors(self) -> list[RunnerNote]:
        """Processes that an earlier gateway started and that still live."""
        ...

    def adopt(self, note: RunnerNote, died: Callable[[str, str], None]) -> None:
        """Watch a survivor as one of our own."""
        ...

    async def stop(self) -> None:
        """End everything that is left, and wait for it."""
        ...


class LocalProcesses:
    """Child processes on this machine, each in a session of its own so that ^C in the terminal reaches only us."""

    def __init__(self, *, folder: Path, socket: Path, token: str, devices: list[str] | None = None) -> None:
        self._folder = folder.absolute()
        self._socket = socket
        self._token = token
        self._devices = devices or []
        self._next_device = 0
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._notes: dict[str, RunnerNote] = {}
        """Of survivors, which are not our children."""
        self._watches: dict[str, asyncio.Task[None]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    async def start(self, runner_id: str, source: AppSource, died: Callable[[str, str], None]) -> int:
        environment = dict(os.environ, PONDAGE_RUNNER_TOKEN=self._token, FAL_APP_NAME=source.name)
        if self._devices:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[self._next_device % len(self._devices)]
            self._next_device += 1
        process = await asyncio.create_subprocess_exec(
            # -P: the working folder must not hide what a runner itself imports.
            sys.executable, "-P", "-m", "pondage.runner",
            "--connect", f"unix:{self._socket}", "--app", source.spec, "--name", source.name,
            "--id", runner_id, "--note", str(self._folder / "gateway"),
            stdin=asyncio.subprocess.DEVNULL, env=environment, start_new_session=True,
        )  # fmt: skip
        self._children[runner_id] = process
        self._remember(runner_id, source, process.pid)
        self._watch(runner_id, self._wait(process, runner_id), died)
        return process.pid

    async def _wait(self, process: asyncio.subprocess.Process, runner_id: str) -> str:
        code = await process.wait()
        if code < 0:
            return f"runner {runner_id} was ended by {_signal(-code)}"
        return f"runner {runner_id} exited with code {code}"

    def _watch(self, runner_id: str, ending: Awaitable[str], died: Callable[[str, str], None]) -> None:
        async def watch() -> None:
            try:
                cause = await ending
            except Exception as error:
                log.error("runner %s can be watched no more: %s", runner_id, error, exc_info=error)
                self.end(runner_id)
                cause = f"runner {runner_id} could be watched no more ({error}) and was ended"
            # Whoever waits for this runner's requests waits for nothing else: it is told until it has heard.
            while True:
                try:
                    died(runner_id, cause)
                    break
                except Exception as error:
                    log.error("the end of runner %s is told again: %s", runner_id, error, exc_info=error)
                    await asyncio.sleep(_REPEAT)
            self._forget(runner_id)

        self._watches[runner_id] = asyncio.get_running_loop().create_task(watch(), name=f"runner {runner_id}")

    def end(self, runner_id: str) -> None:
        child, note = self._children.get(runner_id), self._notes.get(runner_id)
        try:
            if child is not None:
                child.kill()
            elif note is not None and alive(note):
                os.kill(note.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended meanwhile
        except OSError as error:
            log.error("runner %s cannot be ended now: %s", runner_id, error)

    def survivors(self) -> list[RunnerNote]:
        found = []
        for path in self._folder.glob("*.json"):
            try:
                note = msgspec.json.decode(path.read_bytes(), type=RunnerNote)
            except (OSError, msgspec.MsgspecError):
                note = None
            try:
                if note is not None and alive(note):
                    found.append(note)
                    continue
            except OSError as error:
                # It may live: it comes back by itself, is none of ours then, and ends.
                log.warning("whether runner %s lives cannot be told: %s", path.stem, error)
            _remove(path)
        return found

    def adopt(self, note: RunnerNote, died: Callable[[str, str], None]) -> None:
        self._notes[note.id] = note

        async def gone() -> str:
            # Not our child, so nobody tells us; its broken connection does at once, this is the second witness.
            while True:
                with contextlib.suppress(OSError):  # no descriptor left, say: it is seen again
                    if not alive(note):
                        return f"runner {note.id} is gone"
                await asyncio.sleep(0.5)

        self._watch(note.id, gone(), died)

    async def stop(self) -> None:
        for runner_id in [*self._children, *self._notes]:
            self.end(runner_id)
        if self._watches:
            await asyncio.wait(self._watches.values(), timeout=5)

    def _remember(self, runner_id: str, source: AppSource, pid: int) -> None:
        path = self._folder / f"{runner_id}.json"
        try:
            note = RunnerNote(runner_id, source.name, source.spec, pid, started_at(pid), code_of(source))
            path.with_suffix(".new").write_bytes(msgspec.json.encode(note))
            path.with_suffix(".new").rename(path)
        except OSError as error:
            # It runs all the same; only a gateway after this one will not know it, and it ends by itself then.
            log.warning("runner %s is not noted down for the next gateway: %s", runner_id, error)

    def _forget(self, runner_id: str) -> None:
        self._children.pop(runner_id, None)
        self._notes.pop(runner_id, None)
        self._watches.pop(runner_id, None)
        _remove(self._folder / f"{runner_id}.json")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _remove(path: Path) -> None:
    """Remove a note. One that stays does no harm: its process is looked for, and is not there."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("the note of a runner that is gone stays: %s", error)


def code_of(source: AppSource) -> int:
    """When the app's file was last written; 0 where it is no file."""
    try:
        return source.path.stat().st_mtime_ns if source.path is not None else 0
    except OSError:
        return 0


def started_at(pid: int) -> str:
    """When a process was started, in the system's own words; empty where there is none.

    Raises:
        OSError: it cannot be told: no descriptor is left, say.
    """
    try:
        # Field 22 of proc(5), counted after the command's closing parenthesis; a zombie is no longer alive.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    except ProcessLookupError:
        return ""
    return _started_by_ps(pid)


def _started_by_ps(pid: int) -> str:
    import subprocess

    answer = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603
    return answer.stdout.strip()


def alive(note: RunnerNote) -> bool:
    """Whether this very process still runs.

    Raises:
        OSError: as `started_at`.
    """
    return bool(note.started) and started_at(note.pid) == note.started


def gpu_devices() -> list[str]:
    """The GPUs that runners are pinned to, in turn: those of `CUDA_VISIBLE_DEVICES`, else what the system shows."""
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device for device in given.split(",") if device.strip()]
    return sorted(
        path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()
    )
