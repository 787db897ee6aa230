"""Whose bytes are worked off next: a little of each connection in each turn of the loop.

One read from a socket may hold tens of thousands of tiny chunks, frames or requests, each of which costs what a large
one does. A connection that sends so waits for its next turn, and is not read meanwhile; calls of others go between.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from time import perf_counter
from typing import Protocol

log = logging.getLogger("pondage.gateway")

SPAN = 0.0005
"""Seconds of one turn of the loop that all the connections with much to do get together."""
PAUSE = 0.001
"""Seconds between two such turns: a process that never rests gets its core last, and with it all its callers."""


class Busy(Protocol):
    """A connection whose bytes were not worked off at once."""

    def work(self) -> bool:
        """Do a small part; whether there is more that can be done now."""
        ...

    def give_up(self) -> None:
        """Something went wrong that should not: end the connection."""
        ...


class Turns:
    """The connections that wait for their next turn. One of these per event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Busy] = deque()

    def take(self, one: Busy) -> None:
        """Work for a connection whose bytes have just come: at once where nobody waits, as far as the span goes."""
        if not self._waiting:
            end = perf_counter() + SPAN
            while _part(one):
                if perf_counter() >= end:
                    break
            else:
                return
            self._loop.call_later(PAUSE, self._go)
        self._waiting.append(one)

    def _go(self) -> None:
        waiting = self._waiting
        end = perf_counter() + SPAN
        while waiting:
            if _part(one := waiting.popleft()):
                waiting.append(one)
            if perf_counter() >= end:
                break
        if waiting:
            self._loop.call_later(PAUSE, self._go)


def _part(one: Busy) -> bool:
    """One connection's trouble must not end the turns of the others."""
    try:
        return one.work()
    except Exception as error:
        log.error("a connection was ended: %s", error, exc_info=error)
        one.give_up()
        return False


_turns: dict[asyncio.AbstractEventLoop, Turns] = {}


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """The turns of an event loop."""
    if (found := _turns.get(loop)) is None:
        for closed in [other for other in _turns if other.is_closed()]:
            del _turns[closed]
        found = _turns[loop] = Turns(loop)
    return found
