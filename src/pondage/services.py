"""What runs as long as the server does: one contract, one list, one order.

Services are declared in the order in which they start, and stop in the reverse. Each says what its failure means: it is
seen (`faults`), said in the log and begun again, or it ends the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from pondage.steady import PAUSE, complain

LONGEST_PAUSE = 30.0
"""Seconds between two starts of a service that fails again and again; the pause doubles up to it."""

log = logging.getLogger("pondage.server")


class Service(Protocol):
    """What the server needs of each of its parts."""

    async def run(self) -> None:
        """Work until cancelled. What has nothing to do but to be stopped returns at once."""
        ...

    async def stop(self) -> None:
        """Begin nothing more; finish or give back what is held. Called while `run` still runs; that ends afterwards."""
        ...


class Room:
    """A part that only has to be closed in its turn."""

    def __init__(self, close: Callable[[], Awaitable[None] | None]) -> None:
        self._close = close

    async def run(self) -> None:
        pass

    async def stop(self) -> None:
        if (closing := self._close()) is not None:
            await closing


class Work:
    """A part that runs and holds nothing."""

    def __init__(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._run = run

    async def run(self) -> None:
        await self._run()

    async def stop(self) -> None:
        pass


class Every:
    """Work that is done again and again. A round that fails is said, and the next one comes in its time.

    Args:
        seconds: the pause between two rounds.
        round: the work.
        at_once: the first round comes before the first pause.
    """

    def __init__(self, seconds: float, round: Callable[[], Awaitable[object]], *, at_once: bool = False) -> None:
        self._seconds = seconds
        self._round = round
        self._at_once = at_once

    async def run(self) -> None:
        said = ""
        what = getattr(asyncio.current_task(), "get_name", str)()
        if not self._at_once:
            await asyncio.sleep(self._seconds)
        while True:
            try:
                await self._round()
                said = ""
            except Exception as error:
                # A full disk or a damaged page: what can still be served is served, and the next round may do.
                said = complain(f"{what} failed, and is tried again", error, said)
            await asyncio.sleep(self._seconds)

    async def stop(self) -> None:
        pass


class _Declared(NamedTuple):
    name: str
    service: Service
    ends_server: bool


class Services:
    """The services of a server. `faults` has the reason for each that is down just now; /readyz shows them."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        self._declared: list[_Declared] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._over = asyncio.Event()
        self.failure: Exception | None = None
        """Why the server ends, if a service has failed with which it ends."""

    def add(self, name: str, service: Service, *, ends_server: bool = False) -> None:
        """Declare a service, which stops before those that were added before it.

        Args:
            name: names it in the log and in /readyz.
            ends_server: the server ends with it; else it begins again where it fails.
        """
        self._declared.append(_Declared(name, service, ends_server))

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin them all."""
        for declared in self._declared:
            self._tasks[declared.name] = group.create_task(self._run(declared), name=declared.name)

    async def _run(self, declared: _Declared) -> None:
        if not declared.ends_server:
            await self.keep(declared.name, declared.service.run)
            return
        try:
            await declared.service.run()
        except Exception as error:
            self.failure = error
        finally:
            self._over.set()

    async def keep(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a service until this is cancelled, or until it ends without a failure."""
        pause, said = PAUSE, ""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await run()
                return
            except Exception as error:
                if loop.time() - began > LONGEST_PAUSE:
                    pause, said = PAUSE, ""
                self.faults[name] = f"{type(error).__name__}: {error}"
                said = complain(f"{name} failed, and starts again in {pause:g} s", error, said)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            self.faults.pop(name, None)

    @property
    def over(self) -> bool:
        """Whether a service has ended with which the server ends."""
        return self._over.is_set()

    async def wait(self, stop: asyncio.Event) -> None:
        """Until somebody asks for the stop, or a service has ended with which the server ends."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (stop, self._over)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def stop(self) -> None:
        """Stop what was declared, last first; one that does not stop in order does not keep the others up."""
        while self._declared:
            declared = self._declared.pop()
            try:
                await declared.service.stop()
            except Exception as error:
                log.error("%s did not stop in order: %s", declared.name, error, exc_info=error)
            if (task := self._tasks.pop(declared.name, None)) is not None:
                task.cancel()
                await asyncio.wait([task])
