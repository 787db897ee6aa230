"""Sessions: a session is a request that holds its slot, and a channel between its caller and its runner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pondage.clock import Clock
from pondage.errors import RequestError, Unavailable
from pondage.fleet.channels import Channel, Channels
from pondage.fleet.dispatcher import Dispatcher
from pondage.queue.interface import NewRequest, Queue
from pondage.settings import Settings
from pondage.wire.frames import SessionClose
from pondage.wire.states import State

_POSITION_EVERY = 1.0
"""Seconds between two looks at a waiting session's place in line."""


class Sessions:
    """Opens sessions for callers, and ends them when the server stops."""

    def __init__(
        self, dispatcher: Dispatcher, channels: Channels, queue: Queue, clock: Clock, settings: Settings
    ) -> None:
        self._dispatcher = dispatcher
        self._channels = channels
        self._queue = queue
        self._clock = clock
        self._settings = settings

    async def open(self, request: NewRequest, waiting: Callable[[int], None]) -> Channel:
        """Submit the session and wait for its runner; `waiting(position)` hears the place in line.

        Raises:
            Unavailable: no slot became free within the limit; nothing was begun.
        """
        channel = self._channels.open(request.id)
        try:
            ticket = self._dispatcher.submit(request)
            await ticket.receipt
            end = self._clock.monotonic() + self._settings.session_wait
            while not channel.started.done():
                left = end - self._clock.monotonic()
                if left <= 0:
                    raise Unavailable(f"no slot of {request.app} became free in {self._settings.session_wait:g} s")
                await asyncio.wait([channel.started], timeout=min(left, _POSITION_EVERY))
                if not channel.started.done():
                    view = await self._queue.get(request.id)
                    if view is None or view.state is State.DONE:
                        why = (view and view.error) or "the session was ended while it waited"
                        raise RequestError(why, error_type=(view and view.error_type) or "client_cancelled")
                    if view.position is not None:
                        waiting(view.position)
            channel.started.result()
        except BaseException as error:
            self._channels.forget(channel)
            reason = "client_cancelled" if isinstance(error, RequestError) else "client_disconnected"
            await asyncio.shield(self._dispatcher.cancel(request.id, reason))
            raise
        return channel

    def stop(self) -> None:
        """The server is stopping: callers are told, and may connect to the next one."""
        for channel in self._channels.all():
            if not channel.started.done():
                channel.started.set_exception(Unavailable("the server is stopping; connect again"))
            elif not channel.closed:
                self._channels.tell(channel, SessionClose(channel.request_id, 1001, "the server is stopping"))
                channel.deliver(SessionClose(channel.request_id, 1001, "the server is stopping"))
