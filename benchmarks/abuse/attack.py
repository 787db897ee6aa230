"""The list of attacks, and one of them: two processes that attack, a second caller, the gateway's memory."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from benchmarks.load import quantile
from benchmarks.servers import ROOT, Running

PROCESSES = 2
"""Attackers share their connections between so many processes."""
RECOVERY = 30.0
"""Seconds after an attack in which memory is given back."""
LEFT = 50 * 1024 * 1024
"""Bytes more than before that may still be held then."""
_SAMPLE = 0.1


class Attack(NamedTuple):
    """One attack.

    Attributes:
        title: what it is, as the page says it.
        kind: the function of `benchmarks.abuse.attackers`.
        connections: how many, in all.
        path: the name of the path that is attacked, see `Doors`.
        keyed: whether it needs a key.
        opening: seconds that opening so many connections may take before the attack counts.
    """

    title: str
    kind: str
    connections: int
    path: str = "noop"
    keyed: bool = False
    opening: float = 0.0


ATTACKS = (
    Attack("empty trailers without end", "trailers", 1),
    Attack("trailers of 16 KB without end", "long_trailers", 1),
    Attack("one trailer without end", "trailer_value", 1),
    Attack("a WebSocket of pings", "pings", 1, "realtime", True),
    Attack("a WebSocket of empty fragments", "continuations", 1, "realtime", True),
    Attack("4 WebSockets of 7-byte messages", "messages", 4, "realtime", True),
    Attack("4 WebSockets of malformed JSON", "malformed", 4, "realtime", True),
    Attack("4 bodies in chunks of a byte", "chunks", 4),
    Attack("a chunk extension without end", "chunk_extension", 1),
    Attack("500 readers of a file who read nothing", "readers", 500, "file"),
    Attack("60 readers of a 31 MiB result who read nothing", "readers", 60, "result", True),
    Attack("300 readers of a 40 MB stream who read nothing", "stream_readers", 300, "stream", True),
    Attack("26 waiting sessions, fed as fast as they take it", "sessions", 26, "single", True),
    Attack("10 WebSockets with bodies of 15 MiB", "http_over_websocket", 10, "attacked", True),
    Attack("1000 bodies that drip, without a key", "slow_bodies", 1000, opening=2.0),
    Attack("1000 bodies that drip, with a key", "slow_bodies", 1000, "noop", True, opening=2.0),
    Attack("a body without end after its answer", "body", 1),
    Attack("9000 idle connections", "idle", 9000, opening=8.0),
    Attack("2000 slow heads", "slow_heads", 2000, opening=3.0),
    Attack("5000 followers of one request", "stream_readers", 5000, "status", True, opening=12.0),
    Attack("64 callers that flood run", "calls", 64, "noop", True),
    Attack("64 callers whose key is none", "refused", 64),
    Attack("16 callers of 100 scattered ranges each", "ranges", 16, "file"),
)


class Doors(NamedTuple):
    """A server under attack: the paths by their names, and the keys of attacker and second caller."""

    running: Running
    paths: dict[str, str]
    attacker: str = ""
    second: str = ""


class Taken(NamedTuple):
    """What one attack cost: the second caller's times in seconds, sorted, and the gateway's memory in bytes."""

    times: list[float]
    before: int
    peak: int
    after: int

    def p95(self) -> float:
        """Milliseconds."""
        return quantile(self.times, 0.95) * 1e3


async def attacked(doors: Doors, attack: Attack, seconds: float, *, sink: int = 0) -> Taken:
    """A second caller's times while attackers attack the server, or, where it is given, the sink at this port."""
    gateway = gateway_of(doors.running)
    before = gateway.memory_info().rss
    whole = attack.opening + seconds
    orders = {
        "port": sink or doors.running.port,
        "seconds": whole + 0.5,
        "key": doors.attacker if attack.keyed else "",
        "path": doors.paths[attack.path],
    }
    attackers = []
    shares = [attack.connections // PROCESSES + (n < attack.connections % PROCESSES) for n in range(PROCESSES)]
    for connections in filter(None, shares):
        more = json.dumps(orders | {"connections": connections})
        attackers.append(await _start("benchmarks.abuse.attackers", attack.kind, more))
    watching = asyncio.ensure_future(_peak(gateway))
    await asyncio.sleep(attack.opening + 0.5)
    asks = {"port": doors.running.port, "seconds": seconds - 0.5, "key": doors.second, "path": doors.paths["noop"]}
    second = await _start("benchmarks.abuse.second", json.dumps(asks))
    told, errors = await second.communicate()
    if second.returncode:
        raise RuntimeError(f"the second caller failed: {errors.decode(errors='replace')[-500:]}")
    for process in attackers:
        await process.wait()
    watching.cancel()
    peak = (await asyncio.gather(watching, return_exceptions=True))[0]
    after = await _recovered(gateway, before) if not sink else before
    return Taken(sorted(json.loads(told)), before, peak if isinstance(peak, int) else 0, after)


def gateway_of(running: Running) -> psutil.Process:
    """The process that answers: the parent of the runners."""
    return running.processes.tree()[0]


async def _start(module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def _peak(process: psutil.Process) -> int:
    peak = 0
    try:
        while True:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(_SAMPLE)
    except (asyncio.CancelledError, psutil.Error):
        return peak


async def _recovered(process: psutil.Process, before: int) -> int:
    """What is held once it is little, or when the time for that is over."""
    end = time.monotonic() + RECOVERY
    while (held := process.memory_info().rss) > before + LEFT and time.monotonic() < end:
        await asyncio.sleep(_SAMPLE)
    return int(held)
