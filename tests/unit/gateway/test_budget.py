"""Memory that is held for callers: who gets it, who waits, who gives up."""

from __future__ import annotations

import asyncio

import pytest

from pondage.errors import Unavailable
from pondage.gateway.budget import FREE, Budget
from pondage.settings import Settings

pytestmark = pytest.mark.anyio


def budget(most: int = 100, of_key: int = 60, wait: float = 60.0) -> Budget:
    return Budget(Settings(held_bytes=most, held_bytes_per_key=of_key, held_wait=wait))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_key_has_its_share_and_all_have_theirs() -> None:
    held = budget()
    assert held.take("a", 60) and not held.take("a", 1)
    assert held.take("b", 40) and not held.take("c", 1) and held.full("c")
    held.give("a", 60)
    assert held.take("c", 1) and held.of("a") == 0 and held.held == 41


async def test_without_a_key_there_is_half_and_where_none_is_asked_for_all() -> None:
    assert not (held := budget()).take(None, 20) or not held.take(None, 20)
    assert (held := budget()).take("", 50) and held.take("", 50) and not held.take("", 1)


async def test_what_is_larger_than_every_bound_is_let_in_alone() -> None:
    held = budget()
    assert held.take("a", 500)
    assert not held.take("b", 1)
    held.give("a", 500)
    assert held.take("b", 1)


async def test_who_waits_is_let_in_in_order_and_others_pass_by_a_key_that_is_full() -> None:
    held = budget()
    assert held.take("a", 60)
    order: list[str] = []

    async def enter(key: str, size: int, name: str) -> None:
        await held.wait(key, size)
        order.append(name)

    waiting = [asyncio.ensure_future(enter("a", 30, f"a{n}")) for n in range(2)]
    await turns()
    assert not held.take("a", 0 + 1)  # nobody of the same key comes first
    waiting.append(asyncio.ensure_future(enter("b", 40, "b")))
    await turns()
    assert order == ["b"]
    held.give("a", 60)
    await asyncio.gather(*waiting)
    assert order == ["b", "a0", "a1"] and held.held == 100


async def test_a_small_one_never_passes_the_first_that_all_wait_for() -> None:
    held = budget()
    assert held.take("a", 50) and held.take("b", 45)
    large = asyncio.ensure_future(held.wait("c", 50))
    await turns()
    small = asyncio.ensure_future(held.wait("d", 20))
    held.give("b", 1)
    await turns()
    assert not large.done() and not small.done()
    held.give("a", 50)
    await large
    small.cancel()


async def test_who_waits_too_long_is_told_and_holds_nothing() -> None:
    held = budget(wait=0.01)
    held.take("a", 60)
    with pytest.raises(Unavailable, match="held_bytes_per_key") as told:
        await held.wait("a", 10)
    assert told.value.headers["retry-after"]
    held.give("a", 60)
    assert held.held == 0


async def test_who_leaves_while_it_waits_holds_nothing() -> None:
    held = budget()
    held.take("a", 60)
    waiting = asyncio.ensure_future(held.wait("a", 10))
    await turns()
    held.give("a", 60)  # it is let in, and leaves before it hears of it
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert held.held == 0 or not waiting.cancelled()


async def test_what_finds_no_room_is_let_go_and_read_again() -> None:
    held = Budget(Settings(held_bytes=4 * FREE, held_bytes_per_key=4 * FREE))
    reads = 0

    async def read() -> bytes:
        nonlocal reads
        reads += 1
        return bytes(3 * FREE)

    async def small() -> bytes:
        return b"small"

    first, size = await held.read("a", read, len)
    assert (len(first), size, reads) == (3 * FREE, 3 * FREE, 1)
    assert await held.read("a", small, len) == (b"small", 0)
    second = asyncio.ensure_future(held.read("a", read, len))
    while reads < 2:
        await asyncio.sleep(0)
    await turns()
    assert not second.done() and held.held == 3 * FREE
    held.give("a", size)
    assert len((await second)[0]) == 3 * FREE and reads == 3
