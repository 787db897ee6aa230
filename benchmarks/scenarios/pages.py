"""The pages: how soon the playground can be used and what it weighs, and what twenty live tabs cost a busy gateway."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import time
from contextlib import AsyncExitStack

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.figures import OURS, Section
from benchmarks.load import HOST
from benchmarks.plan import WARM_UP, Plan, sample
from benchmarks.servers import Running, answers, pondage

NAME = "pages"
TITLE = "The playground in a browser; twenty live tabs"
TABS = 20
PAIRS = 12
CALLERS = 16
RATE = 1000
"""Requests a second, at which the goal for the tabs holds."""
TOPICS = ("summary", "requests?limit=50")


async def measure(plan: Plan, section: Section) -> None:
    """Ready is when the form is there, in a browser with an empty cache. The tabs' cost is the CPU of a request with
    them less that of one without, in pairs, times the rate."""
    with pondage(plan.scratch, name="pages") as server:
        await answers(server)
        await _in_the_browser(plan, section, server)
        await _tabs(plan, section, server)


async def _in_the_browser(plan: Plan, section: Section, server: Running) -> None:
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        section.leave_out("in the browser", "there is no Chromium: apt-get install chromium")
        return
    from playwright.async_api import async_playwright

    ready: list[float] = []
    requests: list[float] = []
    wire: list[float] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(plan.rounds + 1):  # the first one warms the browser up
            context = await browser.new_context()
            page = await context.new_page()
            network = await context.new_cdp_session(page)
            sizes: list[float] = []
            network.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
            await network.send("Network.enable")
            began = time.perf_counter()
            await page.goto(f"http://{HOST}:{server.port}/ui/apps/bench/noop", wait_until="commit")
            await page.locator("button.run").wait_for()
            ready.append((time.perf_counter() - began) * 1000)
            requests.append(len(sizes))
            wire.append(sum(sizes) / 1000)
            await context.close()
        await browser.close()
    section.add("playground ready", OURS, "ms", "less", ready[1:], limit="one")
    section.add("requests until then", OURS, "requests", "less", requests[1:])
    section.add("on the wire until then", OURS, "KB", "less", wire[1:])
    section.goal("playground ready", "ms", ready[1:], most=400)
    section.goal("requests until then", "requests", requests[1:], most=6)
    section.goal("on the wire until then", "KB", wire[1:], most=60)


async def _tabs(plan: Plan, section: Section, server: Running) -> None:
    asks = server.asks(server.work)
    await sample(server, asks, CALLERS, WARM_UP)
    extra: list[float] = []
    for n in range(3 if plan.quick else PAIRS):
        costs: dict[bool, float] = {}
        for watched in (False, True) if n % 2 else (True, False):
            async with AsyncExitStack() as stack:
                reading = [asyncio.create_task(_read(await _tab(stack, server))) for _ in range(TABS * watched)]
                costs[watched] = (await sample(server, asks, CALLERS, plan.seconds)).cpu_us
                for task in reading:
                    task.cancel()
                await asyncio.gather(*reading, return_exceptions=True)
        extra.append((costs[True] - costs[False]) * RATE / 1e6 * 100)
    section.add(f"{TABS} live tabs at {RATE} requests/s", OURS, "% of a core", "less", extra)
    section.goal(f"{TABS} live tabs at {RATE} requests/s", "% of a core", [statistics.median(extra)], most=2)


async def _tab(stack: AsyncExitStack, server: Running) -> ClientConnection:
    url = f"ws://{HOST}:{server.port}/api/v1/live"
    socket = await stack.enter_async_context(connect(url, proxy=None, max_size=None, compression=None))
    for topic in TOPICS:
        await socket.send('{"sub": "' + topic + '"}')
    return socket


async def _read(socket: ClientConnection) -> None:
    async for _ in socket:
        pass
