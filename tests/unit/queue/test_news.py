"""Who waits while nothing can be written."""

from __future__ import annotations

import pytest

from pondage.errors import OutcomeDelayed
from pondage.queue.news import News
from pondage.wire.events import Outcome

pytestmark = pytest.mark.anyio


async def test_who_has_waited_long_enough_is_let_go_and_nobody_else() -> None:
    news = News()
    first = news.wait("a")
    news.unwritten(100.0, 10.0)
    second = news.wait("b")
    news.unwritten(109.0, 10.0)
    assert not first.done()
    news.unwritten(110.0, 10.0)
    with pytest.raises(OutcomeDelayed, match="request a is not on record yet"):
        first.result()
    assert first.exception() is not None and not second.done(), "the second came later"
    news.written()
    news.unwritten(200.0, 10.0)
    assert not second.done(), "each trouble is timed anew"
    news.ended("b", Outcome.failure(500, "x", "y"))
    assert second.result() is not None
    news.unwritten(300.0, 0.0)


async def test_a_507_of_what_was_begun_is_no_status_that_clients_repeat() -> None:
    assert OutcomeDelayed.status not in {408, 409, 429, 500, 502, 503, 504}
