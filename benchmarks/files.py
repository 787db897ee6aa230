"""Upload and download through the gateway, beside FastAPI writing a raw stream to disk, in one run.

    python benchmarks/files.py [--sizes 256,2048] [--many 100] [--many-size 16] [--rounds 3] [--json FILE]

Sizes in MB (1,000,000 bytes). Both servers are uvicorn with uvloop and httptools in a process of their own; the client
is a plain socket, so that it costs as little as it can. FastAPI's handler writes each piece as it comes and answers;
ours also computes the BLAKE3 of each block and of the whole, and answers after the bytes are on disk (fsync), so that
the peer is shown with an fsync, too; `disk` is what this machine's disk takes of the same bytes from memory, with an
fsync. `growth` is the peak of resident memory above what it was before. What each server stored is compared by SHA-256
with what it was sent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pondage.testing import GatewayProcess

MB = 1_000_000
PIECE = 1 << 20
APP = """
import pondage

class Nothing(pondage.App, name="bench/nothing"):
    @pondage.endpoint("/")
    def run(self) -> int:
        return 0
"""
PEER = """
import os, sys
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse

app = FastAPI()
folder = sys.argv[1]

@app.post("/upload/{name}")
async def upload(name: str, request: Request, sync: bool = False):
    with open(f"{folder}/{name}", "wb") as file:
        async for chunk in request.stream():
            file.write(chunk)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    return {"name": name}

@app.get("/file/{name}")
async def download(name: str):
    return FileResponse(f"{folder}/{name}")

uvicorn.run(app, fd=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="error")
"""


class Server(NamedTuple):
    name: str
    host: str
    port: int
    pid: int
    folder: Path


# -- a client that costs little


class Bytes:
    """Reproducible bytes of any length; no piece of a file is like another, so that nothing is saved twice."""

    def __init__(self) -> None:
        self._block = os.urandom(PIECE)

    def pieces(self, size: int, salt: int) -> Iterator[memoryview]:
        head = salt.to_bytes(8)
        view = memoryview(self._block)
        at = 0
        while at < size:
            length = min(PIECE, size - at)
            mark = head + at.to_bytes(8)
            yield memoryview(mark[: min(16, length)])
            yield view[16:length]
            at += length

    def sha256(self, size: int, salt: int) -> str:
        digest = hashlib.sha256()
        for piece in self.pieces(size, salt):
            digest.update(piece)
        return digest.hexdigest()


def exchange(server: Server, head: str, body: Iterator[memoryview] | None, take: Callable[[memoryview], Any]) -> int:
    """One request on a connection of its own; returns the length of the answer's body."""
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(f"{head}\r\nhost: localhost:{server.port}\r\nconnection: close\r\n\r\n".encode())
        for piece in body or ():
            connection.sendall(piece)
        buffer = bytearray(PIECE)
        view = memoryview(buffer)
        start = b""
        while b"\r\n\r\n" not in start:
            length = connection.recv_into(buffer)
            if not length:
                raise OSError(f"{server.name} ended the connection: {start[:100]!r}")
            start += view[:length]
        top, _, rest = start.partition(b"\r\n\r\n")
        status = int(top.split(b" ", 2)[1])
        take(memoryview(rest))
        total = len(rest)
        while length := connection.recv_into(buffer):
            take(view[:length])
            total += length
        if status != 200:
            raise OSError(f"{server.name} answered {status}: {rest[:200]!r}")
        announced = re.search(rb"(?i)content-length: (\d+)", top)
        if announced and int(announced[1]) != total:
            raise OSError(f"{server.name} sent {total} of {int(announced[1])} bytes")
        return total


def upload(server: Server, data: Bytes, size: int, salt: int) -> str:
    """Upload; returns the path to read it by."""
    place = {
        "pondage": "/files/upload",
        "fastapi": f"/upload/{salt}",
        "fastapi+fsync": f"/upload/{salt}?sync=true",
    }[server.name]
    answer = bytearray()
    head = f"POST {place} HTTP/1.1\r\ncontent-type: video/mp4\r\ncontent-length: {size}"
    exchange(server, head, data.pieces(size, salt), answer.extend)
    if server.name != "pondage":
        return f"/file/{salt}"
    told = json.loads(answer)
    if told["file_size"] != size:
        raise OSError(f"stored {told['file_size']} of {size} bytes")
    return urlsplit(told["access_url"]).path


def download(server: Server, path: str, take: Callable[[memoryview], Any] = lambda piece: None) -> int:
    return exchange(server, f"GET {path} HTTP/1.1", None, take)


# -- memory


def _status(pid: int, field: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def growth(pid: int) -> Iterator[dict[str, float]]:
    """Measures how far resident memory rises above what it is now, in MiB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = _status(pid, "VmRSS")
    found = {"growth": 0.0}
    yield found
    found["growth"] = max(_status(pid, "VmHWM") - before, 0.0)


# -- servers


@contextmanager
def peer(folder: Path) -> Iterator[Server]:
    script = folder / "peer.py"
    script.write_text(PEER)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder), str(listening.fileno())], pass_fds=[listening.fileno()]
        )
        try:
            yield Server("fastapi", "127.0.0.1", port, process.pid, folder)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def pondage(folder: Path) -> Iterator[Server]:
    app = folder / "nothing.py"
    app.write_text(APP)
    with GatewayProcess(str(app), data=folder / "data") as gateway:
        at = urlsplit(gateway.url)
        yield Server("pondage", str(at.hostname), int(at.port or 80), gateway.pid, folder)


# -- what is measured


def one_at_a_time(servers: list[Server], size: int, rounds: int) -> list[dict[str, Any]]:
    """Each server in turn, so that what the machine does besides hits all alike."""
    data = Bytes()
    speeds: dict[str, dict[str, list[float]]] = {s.name: {"up": [], "down": []} for s in servers}
    peaks: dict[str, float] = dict.fromkeys(speeds, 0.0)
    limits: list[float] = []
    salt = 0
    for n in range(rounds + 1):
        if n:
            limits.append(size / disk(servers[-1].folder, data, size, n) / MB)
        for server in servers:
            salt += 1
            os.sync()
            with growth(server.pid) as found:
                begun = time.perf_counter()
                path = upload(server, data, size, salt)
                up = time.perf_counter() - begun
                begun = time.perf_counter()
                download(server, path)
                down = time.perf_counter() - begun
            if n == 0:  # the first round warms up, and compares what was stored with what was sent
                digest = hashlib.sha256()
                download(server, path, digest.update)
                if digest.hexdigest() != data.sha256(size, salt):
                    raise SystemExit(f"{server.name} gave other bytes than it was sent")
            else:
                speeds[server.name]["up"].append(size / up / MB)
                speeds[server.name]["down"].append(size / down / MB)
                peaks[server.name] = max(peaks[server.name], found["growth"])
            forget(server, path)
    limit = {"server": "disk", "size_mb": size // MB, "upload_mb_s": round(statistics.median(limits))}
    found = [
        {
            "server": name,
            "size_mb": size // MB,
            "upload_mb_s": round(statistics.median(each["up"])),
            "download_mb_s": round(statistics.median(each["down"])),
            "growth_mib": round(peaks[name], 1),
        }
        for name, each in speeds.items()
    ]
    return [*found, limit]


def disk(folder: Path, data: Bytes, size: int, salt: int) -> float:
    """What this disk takes: seconds to write the same bytes from memory, and then to have them on the disk. Who has the
    system begin earlier can be faster."""
    path = folder / "limit"
    os.sync()
    begun = time.perf_counter()
    with path.open("wb", 0) as file:
        for piece in data.pieces(size, salt):
            file.write(piece)
        os.fsync(file.fileno())
    took = time.perf_counter() - begun
    path.unlink()
    return took


def forget(server: Server, path: str) -> None:
    """Make room for the next round: all servers find the same."""
    if server.name == "pondage":
        exchange(server, f"DELETE {path} HTTP/1.1", None, lambda piece: None)
    else:
        (server.folder / path.rpartition("/")[2]).unlink()


def many_at_once(servers: list[Server], size: int, count: int) -> list[dict[str, Any]]:
    """`count` uploads at once, then each is read back and compared."""
    data = Bytes()
    found = []
    for server in servers:
        os.sync()
        errors: list[str] = []

        def put(n: int, server: Server = server, errors: list[str] = errors) -> str:
            try:
                return upload(server, data, size, 1_000_000 + n)
            except OSError as problem:
                errors.append(str(problem))
                return ""

        with growth(server.pid) as peak, ThreadPoolExecutor(count) as pool:
            begun = time.perf_counter()
            paths = list(pool.map(put, range(count)))
            seconds = time.perf_counter() - begun
        for n, path in enumerate(paths):
            digest = hashlib.sha256()
            if path:
                download(server, path, digest.update)
                if digest.hexdigest() != data.sha256(size, 1_000_000 + n):
                    errors.append(f"upload {n} came back changed")
                forget(server, path)
        found.append(
            {
                "server": server.name,
                "uploads": count,
                "size_mb": size // MB,
                "errors": len(errors),
                "upload_mb_s": round(size * count / seconds / MB),
                "growth_mib": round(peak["growth"], 1),
            }
        )
        for error in errors[:3]:
            print(error, file=sys.stderr)
    return found


def show(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}")
    names = list(rows[0])
    print("  ".join(f"{name:>14}" for name in names))
    for row in rows:
        print("  ".join(f"{row.get(name, '')!s:>14}" for name in names))
    ours = rows[0]
    for other in rows[1:]:
        ratios = [
            f"{name.removesuffix('_mb_s')} {ours[name] / other[name]:.2f}x"
            for name in names
            if name.endswith("_mb_s") and other.get(name)
        ]
        print(f"  pondage / {other['server']}: {', '.join(ratios)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="256,2048", help="MB, comma separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=100, help="uploads at once")
    parser.add_argument("--many-size", type=int, default=16, help="MB of each")
    parser.add_argument("--folder", help="where to write (the system's folder for temporary files)")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        with pondage(folder) as ours, peer(folder) as theirs:
            servers = [ours, theirs, theirs._replace(name="fastapi+fsync")]
            for size in map(int, args.sizes.split(",")):
                results[f"{size} MB"] = rows = one_at_a_time(servers, size * MB, args.rounds)
                show(f"{size} MB, one at a time, median of {args.rounds}", rows)
            if args.many:
                results["many"] = rows = many_at_once(servers, args.many_size * MB, args.many)
                show(f"{args.many} uploads of {args.many_size} MB at once", rows)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
