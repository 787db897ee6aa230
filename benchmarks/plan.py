"""What a scenario is given: how much to measure, where to put files, and what runs beside it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from benchmarks.figures import Section
from benchmarks.load import Ask, Load, press
from benchmarks.peers.environments import Missing, python_of
from benchmarks.processes import Processes
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
    rounds: int, subjects: Mapping[str, Callable[[], Awaitable[T]]], seed: int = 1
) -> dict[str, list[T]]:
    """Sample the subjects in turns, in another order each round, so that what changes with time meets all alike."""
    order = random.Random(seed)
    taken: dict[str, list[T]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name in order.sample(list(subjects), len(subjects)):
            taken[name].append(await subjects[name]())
    return taken


def peer(section: Section, name: str) -> str | None:
    """The interpreter of a peer's environment; None, with the reason in the section, if it cannot be had."""
    try:
        return python_of(name)
    except Missing as missing:
        section.skipped[name] = str(missing)
        return None


@contextlib.contextmanager
def awake(processes: Processes) -> Iterator[None]:
    """Let paused processes run for a while."""
    processes.resume()
    try:
        yield
    finally:
        processes.pause()


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
