"""What the figures were measured on: cores, versions, the price of an fsync."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

OUR_LIBRARIES = (
    "pondage",
    "uvicorn",
    "uvloop",
    "httptools",
    "starlette",
    "msgspec",
    "pydantic",
    "apsw",
    "httpx2",
    "aiohttp",
)


def describe(scratch: Path) -> dict[str, Any]:
    """The machine and our own versions."""
    import apsw

    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "sqlite_synchronous": "FULL, WAL",
        "fsync_ms": round(fsync_seconds(scratch) * 1e3, 3),
        "versions": {name: version(name) for name in OUR_LIBRARIES},
    }


def cores() -> int:
    """The cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def version(library: str) -> str:
    """The installed version of a library."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def fsync_seconds(folder: Path, times: int = 50) -> float:
    """The median duration of an fsync after a write of 4 KB, in the folder where the databases are."""
    durations = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(times):
            os.write(file.fileno(), b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            durations.append(time.perf_counter() - began)
    return statistics.median(durations)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
