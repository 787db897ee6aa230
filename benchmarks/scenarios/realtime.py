"""Realtime: echo through gateway and runner, beside an echo that FastAPI answers in process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import msgspec

from benchmarks.figures import OURS, Section, ratios
from benchmarks.load import quantile
from benchmarks.peers import model_servers
from benchmarks.peers.model_servers import RAY
from benchmarks.plan import Plan, beside, in_turn, interleave, only_main
from benchmarks.servers import Running, answers, fastapi, pondage, ready
from benchmarks.websocket import BINARY, TEXT, frame, ping_pong

NAME = "realtime"
TITLE = "Realtime: WebSocket echo, one message in flight"
PEERS = ("fastapi", RAY.peer)
FASTAPI = "FastAPI, in process"

SMALL = msgspec.json.encode({"text": "m" * 1000})
BIG = msgspec.msgpack.encode({"image": bytes(1_000_000)})


class Echo(NamedTuple):
    """Round trips of one connection, in milliseconds, how many a second, and the server's CPU for one."""

    p50: float
    p99: float
    rate: float
    cpu_us: float


async def measure(plan: Plan, section: Section) -> None:
    """1 KB as JSON text; 1 MB as msgpack. Ours decodes each message, calls the endpoint and encodes its result;
    theirs send back what came. Ray Serve has the small ones only."""
    with ExitStack() as stack:
        servers = {OURS: stack.enter_context(pondage(plan.scratch, name="realtime"))}
        await ready(servers[OURS])
        await answers(servers[OURS])
        starts = {FASTAPI: partial(fastapi, plan.scratch)}
        if not only_main(plan, section, [RAY.name]):
            starts[RAY.name] = partial(model_servers.serving, RAY, plan.scratch, "realtime")
        for name, start in starts.items():
            if server := await beside(stack, section, name, start, answers):
                servers[name] = server
        small = await _sampled(plan, section, servers, TEXT, SMALL)
        big = await _sampled(plan, section, {name: servers[name] for name in small if name != RAY.name}, BINARY, BIG)
    for name in small:
        section.add("echo of 1 KB, p50", name, "ms", "less", (echo.p50 for echo in small[name]), limit="hop_p50")
        section.add("echo of 1 KB, p99", name, "ms", "less", (echo.p99 for echo in small[name]))
        section.add(
            "CPU of an echo of 1 KB", name, "µs", "less", (echo.cpu_us for echo in small[name]), limit="http_cpu"
        )
    for name in big:
        section.add("echoes of 1 MB", name, "round trips/s", "more", (echo.rate for echo in big[name]), limit="http")
    if FASTAPI in big:
        middles = ratios([e.p50 for e in small[OURS]], [e.p50 for e in small[FASTAPI]])
        section.goal("echo of 1 KB, p50, by FastAPI's", "times", middles, most=2.5)
        tails = ratios([e.p99 for e in small[OURS]], [e.p99 for e in small[FASTAPI]])
        section.goal("echo of 1 KB, p99, by FastAPI's", "times", tails, most=3)
        rates = ratios([e.rate for e in big[OURS]], [e.rate for e in big[FASTAPI]])
        section.goal("echoes of 1 MB a second, by FastAPI's", "times", rates, least=0.5)


async def _sampled(
    plan: Plan, section: Section, servers: dict[str, Running], code: int, payload: bytes
) -> dict[str, list[Echo]]:
    framed = frame(code, payload)
    decode = msgspec.json.decode if code == TEXT else msgspec.msgpack.decode
    value = decode(payload)

    async def echo(server: Running) -> Echo:
        path = "/bench/noop/realtime" if server is servers[OURS] else "/realtime"
        before = server.processes.cpu()
        seconds = plan.seconds / 2
        times = await asyncio.to_thread(
            ping_pong, server.port, path, framed, lambda answer: bool(decode(answer) == value), seconds
        )
        cpu = server.processes.cpu() - before
        p50, p99 = quantile(times, 0.5) * 1e3, quantile(times, 0.99) * 1e3
        return Echo(p50, p99, len(times) / sum(times), cpu / (len(times) + 20) * 1e6)

    subjects: dict[str, Callable[[], Awaitable[Echo]]] = {
        name: partial(in_turn, server, partial(echo, server)) for name, server in servers.items()
    }
    return await interleave(plan.rounds, subjects, section)
