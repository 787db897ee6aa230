"""Sessions: the two-way channels between callers and runners. A session is a request that holds its slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from penstock.clock import Clock
from penstock.errors import InternalError, RequestError, Unavailable
from penstock.fleet.dispatcher import Dispatcher
from penstock.fleet.runners import Runner
from penstock.queue.interface import Claim, NewRequest, Queue
from penstock.settings import Settings
from penstock.wire.frames import SLICE, Frame, SessionClose, SessionMessage

_POSITION_EVERY = 1.0
"""Seconds between two looks at a waiting session's place in line."""

_INBOX = 256
"""Messages from the runner that wait for the caller's socket; a reader further behind loses its session."""


class Channel:
    """The `SessionChannel` of one session."""

    def __init__(self, request_id: str, sessions: Sessions) -> None:
        self.request_id = request_id
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sessions = sessions
        self._inbox: asyncio.Queue[SessionMessage | SessionClose] = asyncio.Queue()
        self._parts: list[bytes] = []
        self.runner: Runner | None = None
        self.closed = False

    async def send(self, message: SessionMessage) -> None:
        """To the runner, in slices, waiting while the connection is full."""
        if self.runner is None or self.runner.link is None or self.closed:
            return
        link = self.runner.link
        data = message.data
        for begin in range(0, len(data) or 1, SLICE):
            more = begin + SLICE < len(data)
            link.send(SessionMessage(self.request_id, data[begin : begin + SLICE], message.text, more))
            await link.drained()

    def deliver(self, frame: SessionMessage | SessionClose) -> None:
        """From the runner. Slices are joined; a caller that does not read loses the session."""
        if isinstance(frame, SessionMessage):
            if frame.more or self._parts:
                self._parts.append(frame.data)
                if frame.more:
                    return
                frame = SessionMessage(frame.request_id, b"".join(self._parts), frame.text)
                self._parts.clear()
            if self._inbox.qsize() >= _INBOX:
                frame = SessionClose(self.request_id, 1008, "the caller does not read")
                self._sessions.hang_up(self, frame)
        if isinstance(frame, SessionClose):
            self.closed = True
        self._inbox.put_nowait(frame)

    async def received(self) -> AsyncIterator[SessionMessage | SessionClose]:
        while True:
            frame = await self._inbox.get()
            yield frame
            if isinstance(frame, SessionClose):
                return

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """The caller is done: the runner ends the session and its request completes."""
        if not self.closed:
            self.closed = True
            self._sessions.hang_up(self, SessionClose(self.request_id, code, reason))
        self._sessions.forget(self)


class Sessions:
    """All the open channels of this gateway."""

    def __init__(self, dispatcher: Dispatcher, queue: Queue, clock: Clock, settings: Settings) -> None:
        self._dispatcher = dispatcher
        self._queue = queue
        self._clock = clock
        self._settings = settings
        self._channels: dict[str, Channel] = {}
        dispatcher.session_started = self._started
        dispatcher.session_ended = self._lost

    async def open(self, request: NewRequest, waiting: Callable[[int], None]) -> Channel:
        """Submit the session and wait for its runner; `waiting(position)` hears the place in line.

        Raises:
            Unavailable: no slot became free within the limit; nothing was begun.
        """
        channel = self._channels[request.id] = Channel(request.id, self)
        try:
            ticket = self._dispatcher.submit(request)
            await ticket.receipt()
            end = self._clock.monotonic() + self._settings.session_wait
            while not channel.started.done():
                left = end - self._clock.monotonic()
                if left <= 0:
                    raise Unavailable(f"no slot of {request.app} became free in {self._settings.session_wait:g} s")
                await asyncio.wait([channel.started], timeout=min(left, _POSITION_EVERY))
                if not channel.started.done():
                    view = await self._queue.get(request.id)
                    if view is not None and view.position is not None:
                        waiting(view.position)
            channel.started.result()
        except BaseException as error:
            self._channels.pop(request.id, None)
            reason = "client_cancelled" if isinstance(error, RequestError) else "client_disconnected"
            await asyncio.shield(self._dispatcher.cancel(request.id, reason))
            raise
        return channel

    def stop(self) -> None:
        """The server is stopping: callers are told, and may connect to the next one."""
        for channel in list(self._channels.values()):
            if channel.started.done():
                self.hang_up(channel, SessionClose(channel.request_id, 1001, "the server is stopping"))
                channel.deliver(SessionClose(channel.request_id, 1001, "the server is stopping"))

    def received(self, frame: SessionMessage | SessionClose) -> None:
        if channel := self._channels.get(frame.request_id):
            channel.deliver(frame)

    def hang_up(self, channel: Channel, frame: Frame) -> None:
        if channel.runner is not None and channel.runner.link is not None:
            channel.runner.link.send(frame)

    def forget(self, channel: Channel) -> None:
        self._channels.pop(channel.request_id, None)

    def _started(self, runner: Runner, claim: Claim) -> bool:
        channel = self._channels.get(claim.request.id)
        if channel is None:
            return False
        channel.runner = runner
        if not channel.started.done():
            channel.started.set_result(None)
        return True

    def _lost(self, request_id: str, reason: str) -> None:
        """The runner died under the session."""
        channel = self._channels.get(request_id)
        if channel is None:
            return
        if channel.started.done():
            channel.deliver(SessionClose(request_id, 1011, reason[:120]))
        else:
            channel.started.set_exception(InternalError(reason, error_type="runner_disconnected"))
