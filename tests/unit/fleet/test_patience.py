"""Who does not wait for an app that cannot run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pondage.clock import ManualClock
from pondage.database.sqlite import SqliteDatabase
from pondage.fleet.patience import Patience
from pondage.queue.interface import NewRequest
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.wire.ids import new_request_id

pytestmark = pytest.mark.anyio
APP = "acme/broken"
SAYS_FAIL = {"pondage-on-fault": "fail"}
SAYS_WAIT = {"pondage-on-fault": "wait"}


class House:
    def __init__(self, queue: SqliteQueue, clock: ManualClock) -> None:
        self.queue = queue
        self.clock = clock
        self.patience = Patience(queue, clock, Settings())

    async def waiting(self, headers: dict[str, str] | None = None, *, direct: bool = False, told: bool = True) -> str:
        request = NewRequest(new_request_id(), APP, "/", "call", b"{}", self.clock.wall(), headers=headers or {})
        await self.queue.submit(request).receipt
        if told:
            self.patience.waits(request, direct=direct)
        return request.id

    async def look(self, fault: str | None = "it does not import", *, all_fail: bool = False) -> None:
        await self.patience.look(APP, fault, all_fail=all_fail)

    async def error(self, request_id: str) -> Any:
        outcome = await self.queue.outcome(request_id)
        return None if outcome is None else (outcome.status, outcome.error_type, outcome.error)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = ManualClock()
    database = await SqliteDatabase.open(tmp_path, clock)
    queue = await SqliteQueue.open(database, clock, Settings(), News())
    yield House(queue, clock)
    await queue.close()
    await database.close()


ENDED = (500, "runner_scheduling_failure", f"{APP} cannot run: it does not import")


async def test_direct_callers_and_those_that_say_so_fail_with_the_reason_after_a_while(house: House) -> None:
    direct = await house.waiting(direct=True)
    says_fail = await house.waiting(SAYS_FAIL)
    queued = await house.waiting()
    says_wait = await house.waiting(SAYS_WAIT, direct=True)
    await house.look()
    house.clock.advance(9.9)
    await house.look()
    assert await house.error(direct) is None, "the author may be quick"
    late = await house.waiting(direct=True)
    house.clock.advance(0.2)
    await house.look()
    assert await house.error(direct) == ENDED and await house.error(says_fail) == ENDED
    assert [await house.error(one) for one in (queued, says_wait, late)] == [None, None, None]
    house.clock.advance(10)
    await house.look()
    assert await house.error(late) == ENDED, "each has its own time"


async def test_an_app_that_runs_again_in_time_ends_nobody(house: House) -> None:
    direct = await house.waiting(direct=True)
    await house.look()
    house.clock.advance(8)
    await house.look(None)
    house.clock.advance(8)
    await house.look()
    assert await house.error(direct) is None


async def test_what_was_started_is_not_ended(house: House) -> None:
    direct = await house.waiting(direct=True)
    (claim,) = await house.queue.claim(APP, ["r1"])
    house.patience.started(APP, claim.request.id)
    await house.look()
    house.clock.advance(11)
    await house.look()
    assert claim.request.id == direct and await house.error(direct) is None


async def test_where_the_app_says_so_all_of_its_requests_fail(house: House) -> None:
    old = [await house.waiting(told=False) for _ in range(3)]
    await house.look(all_fail=True)
    house.clock.advance(11)
    young = await house.waiting()
    await house.look(all_fail=True)
    assert [await house.error(one) for one in old] == [ENDED] * 3
    assert await house.error(young) is None


async def test_what_the_gateway_before_took_is_asked_for_its_own_word(house: House) -> None:
    says_fail, queued = await house.waiting(SAYS_FAIL, told=False), await house.waiting(told=False)
    house.clock.advance(1)
    house.patience = Patience(house.queue, house.clock, Settings())
    await house.look()
    house.clock.advance(11)
    await house.look()
    assert await house.error(says_fail) == ENDED and await house.error(queued) is None
