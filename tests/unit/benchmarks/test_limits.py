"""The raw limits of the machine: every figure that names one finds it measured."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from benchmarks import limits
from benchmarks.load import PAD, ask
from benchmarks.servers import answers, raw_asgi

pytestmark = pytest.mark.anyio


async def test_every_limit_is_sampled_and_the_road_of_a_run_ends_on_the_disk(tmp_path: Path) -> None:
    with raw_asgi(tmp_path) as bare:
        await answers(bare)
        sampled = await limits.sampled(bare, tmp_path)
        before = _rows(tmp_path)
        assert (await ask(bare.port, "POST", "/bench/road", {"x": 41, "pad": PAD})).json() == {"y": 42}
        assert _rows(tmp_path) == before + 1
    names = {"http", "http_cpu", "http_p50_64", "http_p50", "run_p50", "commit", "start", "one"}
    assert set(sampled) == names and all(value > 0 for value in sampled.values())


def _rows(folder: Path) -> int:
    database = apsw.Connection(str(folder / "raw-asgi" / "road.db"))
    try:
        return int(database.execute("select count(*) from run").get)
    finally:
        database.close()
