"""What our client costs its caller, beside the bare calls of its own HTTP library and of aiohttp.

The server is a bare ASGI callable, so that its time is the least it can be, and each client is a process of its own.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

import msgspec

from benchmarks.figures import OURS, Section, ratios
from benchmarks.plan import Plan, interleave
from benchmarks.servers import ROOT, answers, raw_asgi

NAME = "callers"
TITLE = "The client's own cost per run"
KINDS = {
    "client, sync": OURS,
    "httpx2, sync": "httpx2",
    "client, async": OURS,
    "httpx2, async": "httpx2",
    "aiohttp, async": "aiohttp",
}


async def measure(plan: Plan, section: Section) -> None:
    """CPU of the caller's process per call, one call at a time; and calls per second of 16 tasks."""
    with raw_asgi(plan.scratch) as server:
        await answers(server)
        seconds = plan.seconds / 2
        taken = await interleave(
            plan.rounds,
            {kind: partial(_call, kind, server.port, 1, seconds) for kind in KINDS},
        )
        wide = [kind for kind in KINDS if kind.endswith("async")]
        many = await interleave(
            plan.rounds,
            {kind: partial(_call, kind, server.port, 16, seconds) for kind in wide},
        )
    for kind, subject in KINDS.items():
        form = kind.rpartition(" ")[2]
        samples = taken[kind]
        cpu, p50 = f"httpx2_cpu_{form}", f"httpx2_p50_{form}"
        if subject == "httpx2":
            section.limits |= {cpu: [s["cpu_us"] for s in samples], p50: [s["p50_ms"] for s in samples]}
        section.add(f"CPU of a call, {form}", subject, "µs", "less", (s["cpu_us"] for s in samples), limit=cpu)
        section.add(f"p50 of a call, {form}", subject, "ms", "less", (s["p50_ms"] for s in samples), limit=p50)
    for kind in wide:
        section.add("calls of 16 tasks, async", KINDS[kind], "calls/s", "more", (s["rate"] for s in many[kind]))
    for form in ("sync", "async"):
        ours = [s["cpu_us"] for s in taken[f"client, {form}"]]
        bare = [s["cpu_us"] for s in taken[f"httpx2, {form}"]]
        section.goal(f"CPU of a run, {form}, by its HTTP library's", "times", ratios(ours, bare), most=1.3)


async def _call(kind: str, port: int, tasks: int, seconds: float) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.caller", kind, str(port), str(tasks), str(seconds),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    told, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the caller {kind!r} ended with {process.returncode}")
    return dict(msgspec.json.decode(told))
