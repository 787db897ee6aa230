"""The raw limits of the machine, and that a figure names one that is measured."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import apsw
import pytest
from benchmarks import limits
from benchmarks.figures import OURS, Section
from benchmarks.load import PAD, ask
from benchmarks.plan import Plan
from benchmarks.run import _section
from benchmarks.servers import answers, raw_asgi

pytestmark = pytest.mark.anyio


async def test_every_limit_is_sampled_and_the_road_of_a_run_ends_on_the_disk(tmp_path: Path) -> None:
    with raw_asgi(tmp_path) as bare:
        await answers(bare)
        sampled = await limits.sampled(bare, tmp_path)
        before = _rows(tmp_path)
        assert (await ask(bare.port, "POST", "/bench/hop", {"x": 41, "pad": PAD})).json() == {"y": 42}
        assert _rows(tmp_path) == before
        assert (await ask(bare.port, "POST", "/bench/road", {"x": 41, "pad": PAD})).json() == {"y": 42}
        assert _rows(tmp_path) == before + 1
    names = {"http", "http_cpu", "http_p50_64", "http_p50", "hop_p50", "run_p50", "commit", "start", "one"}
    assert set(sampled) == names and all(value > 0 for value in sampled.values())


async def test_a_limit_that_nobody_measures_fails_the_scenario(tmp_path: Path) -> None:
    scenario = ModuleType("typo")

    async def measure(plan: Plan, section: Section) -> None:
        section.add("a run", OURS, "ms", "less", [1.0], limit="run_p5O")

    vars(scenario).update(NAME="typo", TITLE="A wrong name", measure=measure)
    with raw_asgi(tmp_path) as bare:
        await answers(bare)
        section = await _section(scenario, Plan(True, 1, 0.1, tmp_path), bare)
    assert section.failed == "nobody measures the limits run_p5O"


def _rows(folder: Path) -> int:
    database = apsw.Connection(str(folder / "road.db"))
    try:
        return int(database.execute("select count(*) from run").get)
    finally:
        database.close()
