"""The servers under attack, ready: keys, a large file, a large result, a long stream, a request that runs on."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.abuse.attack import Doors
from benchmarks.load import Answer, ask
from benchmarks.processes import Processes, free_port
from benchmarks.servers import ROOT, Running, answers, fastapi, pondage, ready

FILE = 200 * 1024 * 1024
RESULT = 31 * 1024 * 1024
PIECES, PIECE = 40, 1_000_000


@contextlib.contextmanager
def sink(scratch: Path) -> Iterator[int]:
    """The port of a server that reads and throws away."""
    folder = scratch / "sink"
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder / "log", ROOT)
    port = free_port()
    processes.start([sys.executable, "-m", "benchmarks.abuse.sink", str(port)])
    try:
        yield port
    finally:
        processes.stop()


@contextlib.asynccontextmanager
async def pondage_doors(scratch: Path) -> AsyncIterator[Doors]:
    """Pondage with two keys."""
    with pondage(scratch, "abuse.py", name="attacked") as running:
        await ready(running)
        data = scratch / "attacked" / "data"
        attacker, second = _key(data, "attacker"), _key(data, "second")
        await asyncio.sleep(1.5)  # until the gateway has seen that keys are wanted
        yield Doors(running, await _paths(running, attacker), attacker, second)


@contextlib.asynccontextmanager
async def fastapi_doors(scratch: Path) -> AsyncIterator[Doors]:
    """FastAPI behind uvicorn has no keys, files or queue: what it has doors for."""
    with fastapi(scratch) as running:
        await answers(running)
        paths = {"noop": "/run", "attacked": "/run", "realtime": "/realtime"}
        yield Doors(running, paths)


def _key(data: Path, name: str) -> str:
    command = [str(Path(sys.executable).with_name("pondage")), "keys", "create", name]
    command += ["--scopes", "submit,read,files", "--data", str(data)]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return "Key " + made.stdout.split()[0]


async def _paths(running: Running, key: str) -> dict[str, str]:
    headers = (f"Authorization: {key}", "X-Fal-File-Name: large.bin")
    app = "/bench/attacked"
    stored = await ask(running.port, "POST", "/files/upload", bytes(FILE), *headers)
    paths = {
        "noop": "/bench/noop",
        "attacked": app,
        "realtime": f"{app}/realtime",
        "single": "/bench/single/realtime",
        "file": urlsplit(stored.json()["access_url"]).path,
    }
    for name, path, body, end in (
        ("result", "/large", {"size": RESULT}, ""),
        ("stream", "/stream", {"n": PIECES, "size": PIECE}, "/stream"),
        ("status", "/slow", {"seconds": 3000}, "/status/stream"),
    ):
        wait = () if name == "status" else ("Prefer: wait=60",)
        answer = await ask(running.port, "POST", f"/queue{app}{path}", body, *headers, *wait)
        paths[name] = f"/queue{app}/requests/{_request_id(answer)}{end}"
    return paths


def _request_id(answer: Answer) -> str:
    for line in answer.head.decode().splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "x-fal-request-id":
            return value.strip()
    raise RuntimeError(f"no request was made: {answer.head!r} {answer.body[:300]!r}")
