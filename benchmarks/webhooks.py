"""Webhook delivery: beside a plain loop of the HTTP client, in a storm of faults, to healthy hosts beside dead ones.

    python benchmarks/webhooks.py [throughput] [storm] [dead] [kills] [--deliveries 20000] [--kills 300] [--json FILE]

Everything runs on loopback; receivers are processes of their own. The schedule is scaled down for the storm (`SCALED`).
For its first `BAD_SECONDS` each receiver of the storm changes every second between answering and a fault. `taken_twice`
are deliveries that it took more than once, `answers_lost` how often it took one and broke off instead of answering.
`kills` is `kill -9` of a gateway while it delivers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from pondage.clock import SystemClock
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.interface import NewRequest
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.webhooks.service import Webhooks
from pondage.wire.events import Outcome
from pondage.wire.ids import new_request_id
from pondage.wire.states import OutcomeKind

SCALED = Settings(
    webhook_schedule=(0.0, 0.1, 0.3, 0.75, 2.0, 4.0, 6.0, 8.0, 10.0),
    webhook_window=120.0,
    webhook_first_timeout=0.75,
    webhook_timeout=1.5,
    webhook_breaker_pause=0.5,
    webhook_slow=0.5,
)
FAULTS = ("ok", "500", "ok", "429", "ok", "hang", "ok", "reset", "ok", "redirect")
BAD_SECONDS = 20.0
LOST_ONE_IN = 500
OUTCOME = Outcome(
    OutcomeKind.OK, 200, b'{"images":[{"url":"http://x/files/y/z.png"}]}', {"content-type": "application/json"}
)


# -- receivers


def _receiver(faulty: bool, sink: Any, hosts: int) -> None:
    """A process with one server on 127.0.0.1 (and its neighbours), which notes each delivery as it answers it."""
    from aiohttp import web

    came: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    lost: list[str] = []
    at: dict[str, float] = {}
    began = time.monotonic()

    async def hook(request: web.Request) -> web.StreamResponse:
        name = request.headers["webhook-id"]
        await request.read()
        came[name] += 1
        since = time.monotonic() - began
        fault = "ok"
        if faulty and since < BAD_SECONDS:
            fault = FAULTS[(int(since) + hash(request.host)) % len(FAULTS)]
        if fault == "hang":
            await asyncio.sleep(5)
        if fault in ("hang", "reset"):
            return broken_off(request)
        if fault in ("500", "429", "redirect"):
            status = {"500": 500, "429": 429, "redirect": 302}[fault]
            return web.Response(status=status, headers={"retry-after": "1", "location": "/elsewhere"})
        taken[name] += 1
        at.setdefault(name, time.time())
        if faulty and sum(taken.values()) % LOST_ONE_IN == 0:
            # Taken, but the answer never arrives: the one case that a sender cannot tell from a failure.
            lost.append(name)
            return broken_off(request)
        return web.Response(status=204)

    def broken_off(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def dead(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    async def tell(request: web.Request) -> web.StreamResponse:
        return web.json_response({"taken": taken, "came": came, "at": at, "lost": lost})

    async def run() -> None:
        app = web.Application(client_max_size=2**24)
        app.add_routes([web.post("/hook", hook), web.post("/dead", dead), web.get("/tell", tell)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        for n in range(2, hosts + 2):
            await web.TCPSite(runner, f"127.0.0.{n}", port).start()
        sink.send(port)
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def receiver(*, faulty: bool = False, hosts: int = 0) -> Any:
    """The port of a receiver in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_receiver, args=(faulty, theirs, hosts), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


async def told(port: int) -> dict[str, Any]:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/tell") as answer:
        return dict(await answer.json())


# -- the house


@asynccontextmanager
async def house(settings: Settings) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        database = await SqliteDatabase.open(Path(folder), clock)
        news = News()
        queue = await SqliteQueue.open(database, clock, settings, news)
        webhooks = await Webhooks.open(settings, database, queue, news, clock, listening_on_loopback=True)
        yield queue, webhooks
        await webhooks.close()
        await queue.close()
        await database.close()


async def owe(queue: SqliteQueue, webhooks: Webhooks, targets: list[str]) -> list[str]:
    """Finish one request for each target; returns their ids."""
    ids = []
    for start in range(0, len(targets), 500):
        some = targets[start : start + 500]
        new = [
            NewRequest(new_request_id(), "local/a", "/", "call", b"{}", time.time(), webhook=webhooks.check_target(t))
            for t in some
        ]
        await asyncio.gather(*(queue.submit(n, slot="r").receipt for n in new))
        await asyncio.gather(*(queue.complete(n.id, 1, OUTCOME) for n in new))
        ids += [n.id for n in new]
    return ids


async def until_sent(webhooks: Webhooks, limit: float) -> float:
    """Run the sender until nothing is owed; seconds."""
    running = asyncio.create_task(webhooks.run())
    began = time.perf_counter()
    async with asyncio.timeout(limit):
        while await webhooks.outbox.page(state="owed", limit=1):
            await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    webhooks.sender.stop()
    await running
    return seconds


# -- what is measured


async def throughput(count: int) -> dict[str, Any]:
    """Deliveries a second to one healthy host, beside a loop that posts the same bodies and keeps no record."""
    import aiohttp

    settings = Settings()
    with receiver() as port:
        url = f"http://127.0.0.1:{port}/hook"
        async with house(settings) as (queue, webhooks):
            await owe(queue, webhooks, [url] * count)
            ours = count / await until_sent(webhooks, 600)
        body = b'{"request_id":"x","gateway_request_id":"x","status":"OK","payload":' + OUTCOME.body + b"}"
        async with aiohttp.ClientSession() as session:

            async def lane(n: int) -> None:
                for k in range(n, count, settings.webhook_per_host):
                    async with session.post(url, data=body, headers={"webhook-id": f"p{k:x}abcd"}) as answer:
                        await answer.read()

            began = time.perf_counter()
            await asyncio.gather(*(lane(n) for n in range(settings.webhook_per_host)))
            plain = count / (time.perf_counter() - began)
    return {"deliveries_per_s": round(ours), "plain_loop_per_s": round(plain), "ratio": round(ours / plain, 2)}


async def storm(count: int) -> dict[str, Any]:
    """Receivers that fail in every way and come back: what came, how often, and how late."""
    with receiver(faulty=True, hosts=20) as port:
        async with house(SCALED) as (queue, webhooks):
            ids = await owe(queue, webhooks, [f"http://127.0.0.{n % 20 + 2}:{port}/hook" for n in range(count)])
            seconds = await until_sent(webhooks, 1200)
            states = Counter()
            before = None
            while page := await webhooks.outbox.page(before=before or 2**62, limit=1000):
                states.update(delivery.state for delivery in page)
                before = page[-1].n
        seen = await told(port)
    twice = sum(n - 1 for n in seen["taken"].values())
    return {
        "deliveries": count, "seconds": round(seconds, 1), "states": dict(states),
        "arrived": sum(1 for i in ids if seen["taken"].get(i)), "tries": sum(seen["came"].values()),
        "taken_twice": twice, "taken_twice_pct": round(100 * twice / count, 2), "answers_lost": len(seen["lost"]),
        "strange_ids": len(set(seen["came"]) - set(ids)),
    }  # fmt: skip


async def dead(count: int) -> dict[str, Any]:
    """How late healthy receivers get theirs while 100 other hosts accept and never answer."""
    with receiver(hosts=150) as port:
        async with house(Settings()) as (queue, webhooks):
            running = asyncio.create_task(webhooks.run())
            await owe(queue, webhooks, [f"http://127.0.0.{n % 100 + 2}:{port}/dead" for n in range(1000)])
            await asyncio.sleep(1)
            due: dict[str, float] = {}
            for n in range(0, count, 50):
                targets = [f"http://127.0.0.{(n + k) % 50 + 102}:{port}/hook" for k in range(50)]
                due |= dict.fromkeys(await owe(queue, webhooks, targets), time.time())
                await asyncio.sleep(0.2)
            await asyncio.sleep(2)
            arrived = (await told(port))["at"]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    late = [arrived.get(i, float("inf")) - at for i, at in due.items()]
    quantiles = statistics.quantiles(late, n=100)
    return {
        "healthy": len(late),
        "p50_s": round(quantiles[49], 3),
        "p95_s": round(quantiles[94], 3),
        "max_s": round(max(late), 3),
    }


def kills(times: int) -> dict[str, Any]:
    """`kill -9` of the gateway while it delivers, again and again; what was acknowledged must arrive."""
    import httpx2

    from pondage.testing import GatewayProcess

    app = Path(__file__).parents[1] / "tests" / "apps" / "basic.py"
    ids: list[str] = []
    with receiver(faulty=True) as port, tempfile.TemporaryDirectory() as folder:
        scaled = {
            "webhook_schedule": list(SCALED.webhook_schedule),
            "webhook_breaker_pause": 0.5,
            "webhook_timeout": 1.5,
        }
        process = GatewayProcess(str(app), data=Path(folder) / "data", webhook_first_timeout=0.75, **scaled)
        for _ in range(times):
            process.start()
            with httpx2.Client(base_url=process.url, timeout=30) as http:
                for _ in range(20):
                    target = {"fal_webhook": f"http://127.0.0.1:{port}/hook"}
                    ids.append(http.post("/queue/acme/echo", params=target, json={"x": 1}).json()["request_id"])
            time.sleep(0.05)
            process.kill()
        process.start()
        end = time.monotonic() + 120
        while time.monotonic() < end:
            taken = asyncio.run(told(port))["taken"]
            if all(taken.get(i) for i in ids):
                break
            time.sleep(0.5)
        process.__exit__()
    lost = sum(1 for i in ids if not taken.get(i))
    return {"kills": times, "deliveries": len(ids), "lost": lost, "taken_twice": sum(n - 1 for n in taken.values())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="throughput, storm, dead, kills (all but kills)")
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--json", help="also write the figures to this file")
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    for what in args.what or ["throughput", "storm", "dead"]:
        if what == "kills":
            figures[what] = kills(args.kills)
        else:
            measure = {"throughput": throughput, "storm": storm, "dead": dead}[what]
            figures[what] = asyncio.run(measure(min(args.deliveries, 2000) if what == "dead" else args.deliveries))
        print(f"{what:<11}", json.dumps(figures[what]), flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
