"""What a scenario is given: how much to measure, where to put files, and what runs beside it."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from benchmarks.figures import OURS, Section
from benchmarks.load import Ask, Load, press
from benchmarks.servers import ROOT, Running

T = TypeVar("T")

WARM_UP = 0.3
"""Seconds of load before the first sample of a server."""


class Plan(NamedTuple):
    """How much to measure.

    Attributes:
        rounds: samples of each figure; the subjects take turns.
        seconds: duration of a sample.
        scratch: an empty folder, on the disk whose fsync counts.
    """

    quick: bool
    rounds: int
    seconds: float
    scratch: Path


class Sample(NamedTuple):
    """One load on one server."""

    load: Load
    cpu: float

    @property
    def rate(self) -> float:
        return self.load.rate

    @property
    def cpu_us(self) -> float:
        """CPU microseconds per request, of all processes of the server."""
        return self.cpu / len(self.load.latencies) * 1e6

    def ms(self, share: float) -> float:
        """A quantile of the latencies in milliseconds."""
        return self.load.quantile(share) * 1e3


async def sample(running: Running, asks: list[Ask], callers: int, seconds: float) -> Sample:
    """Press a server for so many seconds."""
    before = running.processes.cpu()
    load = await press(running.port, asks, callers=callers, seconds=seconds)
    return Sample(load, running.processes.cpu() - before)


async def interleave(
    rounds: int, subjects: Mapping[str, Callable[[], Awaitable[T]]], section: Section | None = None, seed: int = 1
) -> dict[str, list[T]]:
    """Sample the subjects in turns, in another order each round, so that what changes with time meets all alike.

    With a section, a peer that errs is left out from then on, with its reason in the section. An error of ours is
    raised.
    """
    order = random.Random(seed)
    taken: dict[str, list[T]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name in order.sample(list(taken), len(taken)):
            try:
                taken[name].append(await subjects[name]())
            except Exception as error:
                if section is None or name == OURS:
                    raise
                del taken[name]
                section.leave_out(name, error)
                say(f"  {name} is left out: {section.skipped[name]}")
    return taken


async def beside(
    stack: ExitStack,
    section: Section,
    name: str,
    start: Callable[[], AbstractContextManager[Running]],
    warm_up: Callable[[Running], Awaitable[object]],
) -> Running | None:
    """Start a peer, warm it up, and pause it until its turn, since those that poll would slow down whoever is measured.

    None, with the reason in the section, for one that cannot be had or does not answer; it is stopped.
    """
    try:
        with ExitStack() as own:
            server = own.enter_context(start())
            await warm_up(server)
            server.processes.pause()
            stack.enter_context(own.pop_all())
            return server
    except Exception as error:
        section.leave_out(name, error)
        say(f"  {name} is left out: {section.skipped[name]}")
        return None


def only_main(plan: Plan, section: Section, others: list[str]) -> bool:
    """Whether only the peers that goals compare with are measured; then the section says so of the others."""
    if plan.quick:
        for name in others:
            section.leave_out(name, "a quick run measures the main peers only")
    return plan.quick


async def in_turn(server: Running, measure: Callable[[], Awaitable[T]]) -> T:
    """Let a paused server run while it is measured."""
    server.processes.resume()
    try:
        return await measure()
    finally:
        server.processes.pause()


async def told_by(plan: Plan, module: str, *arguments: str) -> Any:
    """Run a benchmark that is a program of its own and return the figures that it writes with `--json`.

    Raises:
        RuntimeError: it failed; the message ends with what it printed.
    """
    path = plan.scratch / f"{module}.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, "--json", str(path),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{module} ended with {process.returncode}: {printed.decode(errors='replace')[-1500:]}")
    return msgspec.json.decode(path.read_bytes())


def say(text: str) -> None:
    """Tell who waits what goes on."""
    print(text, file=sys.stderr, flush=True)
