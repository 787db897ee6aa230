"""A connection with much to do gets its turn, and no more than its turn."""

from __future__ import annotations

import asyncio

import pytest

from pondage.gateway.turns import Turns, turns_of


class Much:
    """Work in parts; `log` has who did one."""

    def __init__(self, name: str, parts: int, log: list[str]) -> None:
        self.name = name
        self.parts = parts
        self.log = log
        self.given_up = False

    def work(self) -> bool:
        self.log.append(self.name)
        self.parts -= 1
        if self.parts < 0:
            raise RuntimeError("a fault of ours")
        return self.parts > 0

    def give_up(self) -> None:
        self.given_up = True


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part takes longer than a turn has."""
    ticks = iter(range(10**9))
    monkeypatch.setattr("pondage.gateway.turns.perf_counter", lambda: float(next(ticks)))


@pytest.mark.anyio
async def test_others_come_between_two_turns(still: None) -> None:
    log: list[str] = []
    turns = Turns(asyncio.get_running_loop())
    turns.take(Much("a", 3, log))
    turns.take(Much("b", 2, log))
    assert log == ["a"]
    # A part a turn: each time the loop has gone on to others in between.
    lengths = [len(log)]
    while len(log) < 5:
        await asyncio.sleep(0)
        if len(log) != lengths[-1]:
            lengths.append(len(log))
    assert log == ["a", "a", "b", "a", "b"]
    assert lengths == [1, 2, 3, 4, 5]


@pytest.mark.anyio
async def test_little_work_is_done_at_once() -> None:
    log: list[str] = []
    Turns(asyncio.get_running_loop()).take(Much("a", 3, log))
    assert log == ["a"] * 3


@pytest.mark.anyio
async def test_a_fault_ends_one_connection_and_no_turn_of_the_others(still: None) -> None:
    log: list[str] = []
    turns = Turns(asyncio.get_running_loop())
    other, faulty = Much("b", 3, log), Much("a", 0, log)
    turns.take(other)
    turns.take(faulty)
    while not faulty.given_up or log.count("b") < 3:
        await asyncio.sleep(0)
    assert faulty.given_up and not other.given_up and log.count("b") == 3


@pytest.mark.anyio
async def test_a_loop_has_one_line_for_all() -> None:
    loop = asyncio.get_running_loop()
    assert turns_of(loop) is turns_of(loop)
