"""Dynamic batching: one call for several requests or sessions, a result or an error for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pondage.wire.frames import Cancel

from .conftest import Gateway, running
from .test_sessions import Caller

pytestmark = pytest.mark.anyio

APP = """
import asyncio
from typing import Any
import pondage
from pydantic import BaseModel

class In(BaseModel):
    n: int
    wait: float = 0.0

class Out(BaseModel):
    n: int
    size: int

def answer(inputs: list[In]) -> list[Any]:
    print("batch of", len(inputs))
    return [ValueError("odd one") if i.n == 13 else {"n": "?", "size": 0} if i.n == 14
            else Out(n=i.n, size=len(inputs)) for i in inputs]

class Batches(pondage.App, name="acme/batches", max_multiplexing=16):
    @pondage.endpoint("/async", max_batch_size=4, batch_wait=0.2)
    async def run(self, inputs: list[In]) -> list[Out | Exception]:
        await asyncio.sleep(max(i.wait for i in inputs))
        return answer(inputs)

    @pondage.endpoint("/sync", max_batch_size=4, batch_wait=0.2)
    def run_sync(self, inputs: list[In]) -> list[Out | Exception]:
        return answer(inputs)

    @pondage.endpoint("/short", max_batch_size=4, batch_wait=0.05)
    async def short(self, inputs: list[In]) -> list[Out]:
        return []

    @pondage.endpoint("/array", max_batch_size=4, batch_wait=0.05)
    def array(self, numbers: list[float]):
        import numpy
        return numpy.array(numbers) * 2

    @pondage.realtime("/realtime", max_batch_size=8)
    async def realtime(self, inputs: list[In]) -> list[Out | Exception]:
        await asyncio.sleep(0.05)
        return answer(inputs)
"""


@pytest.fixture
async def batches(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Gateway]:
    (tmp_path / "batches.py").write_text(APP)
    async with running(gateway, f"{tmp_path / 'batches.py'}:Batches", "acme/batches"):
        await gateway.ready()
        yield gateway


@pytest.mark.parametrize("path", ["/async", "/sync"])
async def test_requests_share_a_call(batches: Gateway, path: str) -> None:
    ids = {n: batches.execute(path, {"n": n}) for n in range(6)}
    answers = {n: msgspec.json.decode((await batches.finished(i)).outcome.body) for n, i in ids.items()}
    assert [answers[n]["n"] for n in range(6)] == list(range(6))
    assert [answers[n]["size"] for n in range(6)] == [4, 4, 4, 4, 2, 2]
    assert batches.logs(ids[0]) == [("STDOUT", "batch of 4")]
    assert batches.logs(ids[5]) == [("STDOUT", "batch of 2")]


async def test_an_error_is_one_items(batches: Gateway) -> None:
    good, bad, misfit = (batches.execute("/async", {"n": n}) for n in (1, 13, 14))
    refused = batches.execute("/async", {"n": "x"})
    assert (await batches.finished(good)).outcome.status == 200
    assert (await batches.finished(bad)).outcome.error == "ValueError: odd one"
    assert (await batches.finished(misfit)).outcome.payload_error is not None
    assert (await batches.finished(refused)).outcome.status == 422
    assert batches.logs(good) == [("STDOUT", "batch of 3")], "what does not fit never reached the batch"


async def test_a_list_of_another_length_is_everybodys_error(batches: Gateway) -> None:
    outcome = await batches.call("/short", {"n": 1})
    assert outcome.error == "TypeError: a batch of 1 needs a list of 1 results, got 0"


async def test_an_array_holds_a_result_for_each(batches: Gateway) -> None:
    ids = [batches.execute("/array", {"numbers": n}) for n in (1, 2.5)]
    assert [(await batches.finished(i)).outcome.body for i in ids] == [b"2.0", b"5.0"]


async def test_who_is_cancelled_leaves_the_others(batches: Gateway) -> None:
    stays, leaves = (batches.execute("/async", {"n": n, "wait": 0.3}) for n in (1, 2))
    batches.send(Cancel(leaves, 1, "client_cancelled"))
    assert (await batches.finished(leaves)).outcome.status == 499
    assert (await batches.finished(stays)).outcome.status == 200


async def test_sessions_share_a_call(batches: Gateway) -> None:
    callers = [Caller(batches, "/realtime") for _ in range(3)]
    for n, caller in enumerate(callers):
        caller.text({"n": n})
        caller.text({"n": n + 100})
    seen = [[(await caller.next())[1] for _ in range(2)] for caller in callers]
    assert [[value["n"] for value in values] for values in seen] == [[0, 100], [1, 101], [2, 102]]
    assert max(value["size"] for values in seen for value in values) > 1
