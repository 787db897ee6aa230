"""Being told to end, at the edges of a run; `tests/process/test_torture.py` does it in the middle."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pondage.torture.trial import Trial, Wanted


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    before = signal.getsignal(signal.SIGTERM)
    yield Trial(Wanted(kills=0, requests=1, seed=1), tmp_path, lambda _: None)
    signal.signal(signal.SIGTERM, before)


def test_before_it_begins_it_does_not_begin(trial: Trial) -> None:
    with pytest.raises(KeyboardInterrupt):
        trial.told_to_end()


def test_once_it_is_over_nothing_is_left_to_end(trial: Trial) -> None:
    async def over() -> None:
        trial._running = asyncio.current_task()

    asyncio.run(over())
    trial.told_to_end()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
