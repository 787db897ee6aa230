"""A caller as a process of its own: calls for a while and prints what a call cost it.

python -m benchmarks.caller KIND PORT TASKS SECONDS
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.load import HOST, PAD, quantile

WARM = 50
"""Calls before the first that counts."""

Blocking = Callable[[dict[str, Any]], Any]
Awaited = Callable[[dict[str, Any]], Awaitable[Any]]


def blocking(call: Blocking, seconds: float) -> dict[str, float]:
    """Call one after the other."""
    for x in range(WARM):
        _right(call({"x": x, "pad": PAD}), x)
    gc.collect()
    times: list[float] = []
    cpu, began = time.process_time(), time.perf_counter()
    while (before := time.perf_counter()) - began < seconds:
        call({"x": len(times), "pad": PAD})
        times.append(time.perf_counter() - before)
    return _told(times, cpu, began)


async def awaited(call: Awaited, tasks: int, seconds: float) -> dict[str, float]:
    """Call from so many tasks at once."""
    for x in range(WARM):
        _right(await call({"x": x, "pad": PAD}), x)
    gc.collect()
    times: list[float] = []
    cpu, began = time.process_time(), time.perf_counter()

    async def caller() -> None:
        while (before := time.perf_counter()) - began < seconds:
            await call({"x": len(times), "pad": PAD})
            times.append(time.perf_counter() - before)

    await asyncio.gather(*(caller() for _ in range(tasks)))
    return _told(times, cpu, began)


def _right(answer: Any, x: int) -> None:
    if answer != {"y": x + 1}:
        raise ValueError(f"expected {{'y': {x + 1}}}, got {answer!r}")


def _told(times: list[float], cpu: float, began: float) -> dict[str, float]:
    used, seconds = time.process_time() - cpu, time.perf_counter() - began
    times.sort()
    return {"cpu_us": used / len(times) * 1e6, "p50_ms": quantile(times, 0.5) * 1e3, "rate": len(times) / seconds}


def client_sync(url: str, tasks: int, seconds: float) -> dict[str, float]:
    import pondage

    client = pondage.SyncClient(base_url=url)
    return blocking(lambda body: client.run("bench/noop", body), seconds)


def httpx2_sync(url: str, tasks: int, seconds: float) -> dict[str, float]:
    import httpx2

    with httpx2.Client(base_url=url) as client:
        return blocking(lambda body: client.post("/bench/noop", json=body).json(), seconds)


def client_async(url: str, tasks: int, seconds: float) -> dict[str, float]:
    import pondage

    async def work() -> dict[str, float]:
        async with pondage.AsyncClient(base_url=url) as client:
            return await awaited(lambda body: client.run("bench/noop", body), tasks, seconds)

    return asyncio.run(work())


def httpx2_async(url: str, tasks: int, seconds: float) -> dict[str, float]:
    import httpx2

    async def work() -> dict[str, float]:
        async with httpx2.AsyncClient(base_url=url) as client:

            async def call(body: dict[str, Any]) -> Any:
                return (await client.post("/bench/noop", json=body)).json()

            return await awaited(call, tasks, seconds)

    return asyncio.run(work())


def aiohttp_async(url: str, tasks: int, seconds: float) -> dict[str, float]:
    import aiohttp

    async def work() -> dict[str, float]:
        async with aiohttp.ClientSession() as session:

            async def call(body: dict[str, Any]) -> Any:
                async with session.post(url + "/bench/noop", json=body) as answer:
                    return await answer.json()

            return await awaited(call, tasks, seconds)

    return asyncio.run(work())


KINDS: dict[str, Callable[[str, int, float], dict[str, float]]] = {
    "client, sync": client_sync,
    "httpx2, sync": httpx2_sync,
    "client, async": client_async,
    "httpx2, async": httpx2_async,
    "aiohttp, async": aiohttp_async,
}


if __name__ == "__main__":
    kind, port, tasks, seconds = sys.argv[1:]
    print(json.dumps(KINDS[kind](f"http://{HOST}:{port}", int(tasks), float(seconds))))
