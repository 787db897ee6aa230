"""Carries out what persons ask of many requests, step by step, and keeps the apps that are held."""

from __future__ import annotations

import asyncio
import logging

from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.patience import FAIL, HEADER
from pondage.queue.interface import Queue
from pondage.queue.operations import Hold, Kind, Operation, Step
from pondage.steady import PAUSE, complain, until_done

log = logging.getLogger("pondage.fleet")

BREATH = 0.002
"""Seconds between two steps, in which whoever waits for the writer is served."""


class Operator:
    """One per gateway. `begun` says that there may be steps to take."""

    def __init__(self, queue: Queue, dispatcher: Dispatcher, look: asyncio.Event) -> None:
        self._queue = queue
        self._dispatcher = dispatcher
        self._look = look
        self._wanted = asyncio.Event()

    async def open(self) -> None:
        """Learn which apps are held."""
        self._dispatcher.accounts.held.update({hold.app: hold for hold in await self._queue.operations.holds()})
        self._wanted.set()

    def begun(self) -> None:
        """An operation was begun, or goes on."""
        self._wanted.set()

    async def hold(self, operation: Operation) -> Hold | None:
        """Pause, drain or resume an app."""
        app = operation.app or ""
        hold = await self._queue.operations.hold(operation)
        if hold is None:
            self._dispatcher.accounts.held.pop(app, None)
            self._dispatcher.wake(app)
        else:
            self._dispatcher.accounts.held[app] = hold
        log.info("%s", hold or f"{app} goes on")
        self._look.set()
        return hold

    async def run(self) -> None:
        """Take the steps of all operations in turns, until cancelled."""
        said: dict[str, str] = {}
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while await self._round(said):
                pass
            if said:
                await asyncio.sleep(PAUSE)
                self._wanted.set()

    async def _round(self, said: dict[str, str]) -> bool:
        """One step of each; whether there may be more. `said` is what was last logged of those that cannot take one: a
        disk that is full, say. They are tried again."""
        more = False
        unfinished = await until_done("the operations cannot be read", self._queue.operations.unfinished)
        for ended in said.keys() - set(unfinished):
            del said[ended]
        for operation_id in unfinished:
            try:
                step = await self._queue.operations.step(operation_id)
                said.pop(operation_id, None)
            except Exception as error:
                what = f"operation {operation_id} cannot take its next step, and it is tried again"
                said[operation_id] = complain(what, error, said.get(operation_id, ""))
                continue
            if step is not None:
                self._heard(step)
                more = True
            await asyncio.sleep(BREATH)
        return more

    def _heard(self, step: Step) -> None:
        for request_id in step.stopped:
            self._dispatcher.stop_attempt(request_id, "client_cancelled")
        for request in step.submitted:
            if request.headers.get(HEADER) == FAIL:
                self._dispatcher.patience.waits(request, direct=False)
        if step.operation.kind is not Kind.CANCEL:
            for app in step.apps:
                self._dispatcher.wake(app)
        self._look.set()
