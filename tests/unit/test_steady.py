"""Work that fails is seen, and done again."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pondage.errors import StorageFull
from pondage.steady import Tasks, until_done

pytestmark = pytest.mark.anyio


class Flaky:
    """Fails so many times."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def once(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


async def test_work_is_done_until_it_succeeds_and_each_reason_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    work = Flaky(StorageFull("full"), StorageFull("full"), KeyError("bug"), StorageFull("full"))
    with caplog.at_level(logging.ERROR, "pondage.server"):
        assert await until_done("writing", work.once, pause=0) == 5
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "writing, and it is tried again: full", "writing, and it is tried again: 'bug'",
        "writing, and it is tried again: full",
    ]  # fmt: skip
    assert [bool(record.exc_info) for record in caplog.records] == [False, True, False], "a bug shows where"


async def test_who_may_give_up_gets_the_failure() -> None:
    with pytest.raises(StorageFull):
        await until_done("writing", Flaky(StorageFull("full")).once, give_up=lambda: True)


async def test_a_task_that_nobody_awaits_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    with caplog.at_level(logging.ERROR, "pondage.server"):
        await asyncio.wait([tasks.begin("telling", Flaky(ValueError("no")).once())])
    assert [record.getMessage() for record in caplog.records] == ["telling failed: no"]
