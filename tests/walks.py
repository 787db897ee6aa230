"""Records how a request goes through the rooms of a server: every call from one room into another."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pondage

ROOT = str(Path(pondage.__file__).parent)
GROUND = {
    "allocation", "clock", "errors", "escaping", "loop", "pixels", "processes", "services", "settings", "steady",
    "telemetry", "wire", "__init__", "testing", "server", "health",
}  # fmt: skip
"""The ground floor, and what stands above all rooms."""


NEWS = f"{ROOT}/queue/news.py"
BESIDE = {f"{ROOT}/services.py", f"{ROOT}/fleet/supervisor.py"}
"""Runs beside all requests: the services, and the supervisor's look at its apps."""


class Entry(NamedTuple):
    """A call into another room. `root`: the room in which the walk began, called by the loop."""

    root: str
    caller: str
    room: str
    function: str


class Walk:
    """The calls between rooms in one thread, while it records.

    A room is entered where another room calls something of it and nothing of it waits further up; a call back into a
    room that waits is a return, and so is the result of a commit, which the database's writer hands back by the loop.
    What the news starts after a commit is listed for itself. Reading a property is a look, no entry. What runs
    beside all requests is left out.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.returns: list[Entry] = []
        self.news: list[Entry] = []
        self._seen: dict[int, FrameType] = {}
        self._rooms: dict[str, str | None] = {}

    def record(self) -> None:
        sys.setprofile(self._profile)

    def stop(self) -> None:
        sys.setprofile(None)

    def _room(self, frame: FrameType) -> str | None:
        name = frame.f_code.co_filename
        if name not in self._rooms:
            room = None
            if name.startswith(ROOT):
                room = name[len(ROOT) + 1 :].split("/")[0].removesuffix(".py")
            self._rooms[name] = None if room in GROUND else room
        return self._rooms[name]

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or (room := self._room(frame)) is None:
            return
        if id(frame) in self._seen:
            return  # a coroutine goes on
        self._seen[id(frame)] = frame
        above: list[str] = []
        files: set[str] = set()
        up = frame.f_back
        while up is not None:
            files.add(up.f_code.co_filename)
            if (there := self._room(up)) is not None:
                above.append(there)
            up = up.f_back
        if not above or above[0] == room or not BESIDE.isdisjoint(files) or _is_property(frame):
            return
        function = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}"
        entry = Entry(above[-1], above[0], room, function)
        if NEWS in files:
            self.news.append(entry)
        else:
            (self.returns if room in above or above[0] == "database" else self.entries).append(entry)


def _is_property(frame: FrameType) -> bool:
    owner = type(frame.f_locals.get("self"))
    return isinstance(inspect.getattr_static(owner, frame.f_code.co_name, None), property)
