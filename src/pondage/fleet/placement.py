"""Runner processes on this machine: start, watch, end. Another placement (a cluster) offers the same verbs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

import msgspec

from pondage import processes
from pondage.fleet.discover import AppSource
from pondage.fleet.environment import inherited, said, token_of
from pondage.fleet.kin import Kin
from pondage.wire.events import Level

log = logging.getLogger("pondage.fleet")

_REPEAT = 1.0
"""Seconds until an end that could not be told is told again."""
_LEFT = 1024 * 1024
"""Bytes that are read of what a process left unread in a stream; a pipe holds 64 KiB by default."""
_NOTHING = processes.Survey({}, {}, ())


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


Note = Callable[[str, str, Level, str], None]
"""Called with the app, the runner's id, a level and a line."""

LastWords = Callable[[str, str, list[tuple[Level, str]]], None]
"""Called with the app, the runner's id, and lines of its streams."""


class LocalProcesses:
    """Child processes on this machine, each in a session of its own so that ^C in the terminal reaches only us."""

    def __init__(
        self,
        *,
        folder: Path,
        socket: Path,
        secret: str,
        last_words: LastWords,
        files: str = "",
        note: Note = lambda app, runner_id, level, message: None,
        own: Callable[[str], dict[str, str]] = lambda app: {},
        devices: list[str] | None = None,
        orphans: bool = False,
    ) -> None:
        """
        Args:
            secret: what each runner's own token is made from.
            files: the setting, whose store's credentials are the server's alone.
            note: keeps a line about a runner.
            own: further variables for an app, such as its server's address.
            last_words: gets what a process, or what it had started, had printed and not said before it died.
            orphans: this process inherits what runners leave behind, and ends it.
        """
        self._last_words = last_words
        self._folder = folder.absolute()
        self._socket = socket
        self._secret = secret
        self._files = files
        self._note = note
        self._own = own
        self._told: set[tuple[str, str]] = set()
        self._devices = devices or []
        self._next_device = 0
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._notes: dict[str, RunnerNote] = {}
        """Of survivors, which are not our children."""
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()
        self._kin = Kin(
            lambda: {child.pid for child in self._children.values()},
            lambda runner_id: bool((self._children.keys() | self._notes.keys()) - {runner_id}),
            orphans=orphans,
        )
        self._chores: set[asyncio.Task[None]] = set()
        folder.mkdir(parents=True, exist_ok=True)

    async def start(self, runner_id: str, source: AppSource, died: Callable[[str, str], None]) -> int:
        environment = self._environment(runner_id, source)
        self._kin.begin()
        process, output = self._spawn(runner_id, source, environment)
        self._children[runner_id] = process
        self._remember(runner_id, source, process.pid)
        self._watch(runner_id, self._wait(process, runner_id, source.name, output), died)
        return process.pid

    def _environment(self, runner_id: str, source: AppSource) -> dict[str, str]:
        """What the process may know: not our secrets, and of its own no more than it needs."""
        strict = source.env == "named"
        environment, withheld = inherited(os.environ, strict=strict, passed=source.pass_env, files=self._files)
        if line := said(withheld, strict=strict):
            self._note(source.name, runner_id, "INFO", line)
        # Our own are nobody else's in any case; of the others a person should hear once.
        others = said([name for name in withheld if not name.startswith("PONDAGE_")], strict=strict)
        if others and (source.name, others) not in self._told:
            self._told.add((source.name, others))
            log.log(logging.INFO if strict else logging.WARNING, "%s: %s", source.name, others)
        environment |= self._own(source.name)
        environment["PONDAGE_RUNNER_TOKEN"] = token_of(self._secret, runner_id, source.name)
        environment["FAL_APP_NAME"] = source.name
        environment[processes.MARK] = runner_id
        if self._devices:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[self._next_device % len(self._devices)]
            self._next_device += 1
        return environment

    def _spawn(
        self, runner_id: str, source: AppSource, environment: dict[str, str]
    ) -> tuple[subprocess.Popen[bytes], tuple[int, int]]:
        """Start the process. It reads itself what is written to its streams, and we what is left when it has died."""
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        try:
            # Not asyncio's: that reaps a child at once, and its group's number is then anybody's.
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                # -P: the working folder must not hide what a runner itself imports.
                [
                    sys.executable, "-P", "-m", "pondage.runner",
                    "--connect", f"unix:{self._socket}", "--app", source.spec, "--name", source.name,
                    "--id", runner_id, "--note", str(self._folder / "gateway"), "--output", f"{out},{err}",
                ],
                stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err, pass_fds=(out, err),
                env=environment, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(to_out)
            os.close(to_err)
        return process, (out, err)

    async def _wait(self, process: subprocess.Popen[bytes], runner_id: str, app: str, output: tuple[int, int]) -> str:
        await processes.ended(process.pid)
        await self._kin.end(runner_id, process.pid)
        if lines := _left_in(output):
            self._last_words(app, runner_id, lines)
        code = process.wait()
        if code < 0:
            return f"runner {runner_id} was ended by {_signal(-code)}"
        return f"runner {runner_id} exited with code {code}"

    def _do(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    # ---- their ends

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
        if runner_id not in self._ending and (runner_id in self._children or runner_id in self._notes):
            self._ending.add(runner_id)
            self._do(self._end(runner_id))

    async def _end(self, runner_id: str) -> None:
        """End a runner, and what it has started: while it lives nobody can mistake its children for another's."""
        try:
            found = await asyncio.to_thread(processes.survey)
        except OSError:
            found = _NOTHING  # what it has started is ended after it
        try:
            child, note = self._children.get(runner_id), self._notes.get(runner_id)
            if child is not None and child.returncode is None:
                # Until the watch reaps it, the pid cannot be anybody else's.
                left = processes.kin(found, runner_id, child.pid)
                os.kill(child.pid, signal.SIGKILL)
            elif note is not None and alive(note):
                left = processes.kin(found, runner_id, note.pid)
                processes.kill(processes.Process(note.pid, 0, 0, 0, note.started, False))
            else:
                return
            for process in left:
                if process.pid not in found.janitors:
                    processes.kill(process)
        except OSError as error:
            log.error("runner %s cannot be ended now: %s", runner_id, error)
        finally:
            self._ending.discard(runner_id)

    def survivors(self) -> list[RunnerNote]:
        found = []
        gone = []
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
            else:
                gone.append(path.stem)
            _remove(path)
        if gone:
            self._do(self._end_remains(gone))
        return found

    async def _end_remains(self, runner_ids: list[str]) -> None:
        """End what runners have left behind that died while there was no gateway."""
        for runner_id in runner_ids:
            await self._kin.end(runner_id)

    def adopt(self, note: RunnerNote, died: Callable[[str, str], None]) -> None:
        self._notes[note.id] = note

        async def gone() -> str:
            # Not our child, so nobody tells us; its broken connection does at once, this is the second witness.
            while True:
                with contextlib.suppress(OSError):  # no descriptor left, say: it is seen again
                    if not alive(note):
                        # Its number may be anybody's by now; the mark is not.
                        await self._kin.end(note.id)
                        return f"runner {note.id} is gone"
                await asyncio.sleep(0.5)

        self._watch(note.id, gone(), died)

    async def stop(self) -> None:
        for runner_id in [*self._children, *self._notes]:
            self.end(runner_id)
        if self._watches:
            await asyncio.wait(self._watches.values(), timeout=5)
        await self._kin.stop()
        for chore in list(self._chores):
            chore.cancel()

    def _remember(self, runner_id: str, source: AppSource, pid: int) -> None:
        path = self._folder / f"{runner_id}.json"
        try:
            note = RunnerNote(runner_id, source.name, source.spec, pid, processes.started_at(pid), code_of(source))
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


def _left_in(output: tuple[int, int]) -> list[tuple[Level, str]]:
    """The lines that nobody has read from standard output and error; both are closed."""
    lines: list[tuple[Level, str]] = []
    streams: tuple[Level, Level] = ("STDOUT", "STDERR")
    for stream, descriptor in zip(streams, output, strict=True):
        with open(descriptor, "rb", buffering=0) as left:
            os.set_blocking(descriptor, False)
            data = left.read(_LEFT) or b""
        text = data.decode("utf-8", "replace").replace("\r", "\n")
        lines += [(stream, line) for line in text.split("\n") if line]
    return lines


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


def alive(note: RunnerNote) -> bool:
    """Whether this very process still runs.

    Raises:
        OSError: as `processes.started_at`.
    """
    return bool(note.started) and processes.started_at(note.pid) == note.started


def gpu_devices() -> list[str]:
    """The GPUs that runners are pinned to, in turn: those of `CUDA_VISIBLE_DEVICES`, else what the system shows."""
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device for device in given.split(",") if device.strip()]
    return sorted(
        path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()
    )
