"""Faults that a gateway under test suffers while it runs: a disk that is full, slow or fails, a clock that jumps, and a
connection to the runners that loses, doubles or holds back their answers.

Nothing of this is in a server's own way: `python -m pondage.torture.gateway` installs it before it opens the server.
A controlling process says what is wrong just now in a file, `FaultPlan.write`, which the gateway looks at all the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import random
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import apsw
import msgspec

from pondage.clock import SystemClock
from pondage.fleet.link import SocketLink
from pondage.wire import frames

POLL = 0.02
"""Seconds between two looks at the plan."""
UNSYNCED_KEPT = 20_000
"""Writes since the last sync that are remembered of one file; more are not: what is remembered may be lost."""
_HEAD = struct.Struct("<q")
_SPAN = struct.Struct("<qq")

LinkFault = Literal["", "lose", "double", "delay", "forget"]
"""What becomes of runners' answers: the connection breaks before one arrives; one arrives twice; all arrive late; the
gateway's word that it has one is lost."""


class FaultPlan(msgspec.Struct, frozen=True):
    """What is wrong just now. Durations in seconds; `link_share` is the share of answers that `link` befalls."""

    disk_full: bool = False
    sync_fails: bool = False
    sync_delay: float = 0.0
    wall_offset: float = 0.0
    link: LinkFault = ""
    link_share: float = 0.0
    link_delay: float = 0.0

    def write(self, path: Path) -> None:
        """Make it so, within `POLL` seconds; also for a gateway that is started later."""
        part = path.with_suffix(".new")
        part.write_bytes(msgspec.json.encode(self))
        part.rename(path)


class Faults:
    """The plan as this process knows it; a thread looks at the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0
        self.plan = FaultPlan()
        self.look()
        threading.Thread(target=self._watch, name="faults", daemon=True).start()

    def look(self) -> None:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            changed = self._path.stat().st_mtime_ns
            if changed != self._seen:
                self.plan = msgspec.json.decode(self._path.read_bytes(), type=FaultPlan)
                self._seen = changed

    def _watch(self) -> None:
        while True:
            time.sleep(POLL)
            self.look()


class FaultyClock(SystemClock):
    """The machine's clock, whose wall time an administrator has moved."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def wall(self) -> float:
        return super().wall() + self._faults.plan.wall_offset


# ---- the disk


class Unsynced:
    """Which bytes of a file were written and not synced since: what a loss of power may take. Survives `kill -9`.

    The list lies in shared memory: 8 bytes with the count, then offset and length of each write.
    """

    def __init__(self, path: Path) -> None:
        size = _HEAD.size + UNSYNCED_KEPT * _SPAN.size
        with open(path, "w+b") as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)
        self._count = 0

    def wrote(self, offset: int, length: int) -> None:
        if self._count < UNSYNCED_KEPT:
            _SPAN.pack_into(self._map, _HEAD.size + self._count * _SPAN.size, offset, length)
            self._count += 1
            _HEAD.pack_into(self._map, 0, self._count)

    def synced(self) -> None:
        self._count = 0
        _HEAD.pack_into(self._map, 0, 0)


def unsynced(path: Path) -> list[tuple[int, int]]:
    """Offset and length of the writes that a process which is gone had not synced."""
    data = path.read_bytes()
    (count,) = _HEAD.unpack_from(data, 0)
    return [_SPAN.unpack_from(data, _HEAD.size + n * _SPAN.size) for n in range(count)]


class FaultyDisk(apsw.VFS):
    """A file-system layer of SQLite, the default one of its process from its making on."""

    def __init__(self, faults: Faults, notes: Path) -> None:
        self.faults = faults
        self._notes = notes
        self._unsynced: dict[str, Unsynced] = {}
        notes.mkdir(parents=True, exist_ok=True)
        super().__init__("pondage-faults", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return FaultyFile(self, name, flags)

    def unsynced(self, file: str) -> Unsynced:
        """One list for all the connections of a file."""
        if file not in self._unsynced:
            self._unsynced[file] = Unsynced(self._notes / f"{Path(file).name}.unsynced")
        return self._unsynced[file]


class FaultyFile(apsw.VFSFile):
    """A file of the database, its log, or a temporary one."""

    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._faults = disk.faults
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._unsynced = disk.unsynced(path) if path and Path(path).name.startswith("pondage.db") else None

    def xWrite(self, data: Any, offset: int) -> None:
        if self._faults.plan.disk_full:
            raise apsw.FullError("the disk is full, as planned")
        if self._unsynced is not None:
            self._unsynced.wrote(offset, len(data))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        plan = self._faults.plan
        if plan.sync_delay:
            time.sleep(plan.sync_delay)
        if plan.sync_fails:
            raise apsw.IOError("the sync failed, as planned")
        super().xSync(flags)
        if self._unsynced is not None:
            self._unsynced.synced()


# ---- the connection to the runners


class FaultyLink(SocketLink):
    """A connection on which answers are lost, doubled or late. Frames keep their order."""

    faults: Faults
    chance = random.Random(1)  # noqa: S311 - which answer it hits

    def __init__(
        self,
        received: Callable[[SocketLink, list[frames.FromRunner]], None],
        lost: Callable[[SocketLink], None],
    ) -> None:
        self._deliver = received
        self._held: list[tuple[float, list[frames.FromRunner]]] = []
        super().__init__(self._taken, lost)

    def _taken(self, link: SocketLink, packet: list[frames.FromRunner]) -> None:
        plan = self.faults.plan
        answers = [f for f in packet if isinstance(f, frames.Finished) and self.chance.random() < plan.link_share]
        if self._held or (plan.link == "delay" and answers):
            self._hold(packet, plan.link_delay)
        elif plan.link == "lose" and answers:
            self._lose()
        else:
            self._deliver(link, packet)
            if plan.link == "double":
                for frame in answers:
                    self._deliver(link, [frame])

    def _hold(self, packet: list[frames.FromRunner], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = max(loop.time() + seconds, self._held[-1][0] if self._held else 0.0)
        self._held.append((due, packet))
        loop.call_at(due, self._release)

    def _release(self) -> None:
        if self._held:
            _, packet = self._held.pop(0)
            if self._transport is not None:
                self._deliver(self, packet)

    def _lose(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def send(self, frame: frames.Frame) -> None:
        plan = self.faults.plan
        if plan.link == "forget" and isinstance(frame, frames.Committed) and self.chance.random() < plan.link_share:
            return
        super().send(frame)


def install(control: Path, notes: Path) -> FaultyClock:
    """Let this process suffer what the plan at `control` says; returns the clock for its server.

    Args:
        control: where the plan is written.
        notes: a folder for what must be known of the disk after the process is gone.
    """
    import pondage.fleet.fleet
    from pondage.testing import faulty_files

    faults = Faults(control)
    FaultyLink.faults = faults
    # The fleet makes its links by this name; nothing in a server's own code knows of faults.
    vars(pondage.fleet.fleet)["SocketLink"] = FaultyLink
    global _disk
    _disk = FaultyDisk(faults, notes)
    faulty_files.install(faults, notes)
    os.environ.setdefault("PONDAGE_TORTURED", "1")
    return FaultyClock(faults)


_disk: FaultyDisk | None = None
"""The layer must live as long as its process."""
