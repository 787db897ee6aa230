"""Sessions: the two-way channels between callers and runners. A session is a request that holds its slot.

What a runner sends waits here until the caller's socket has taken it, and the runner is told as it goes: it has at most
`chunk_buffer_bytes` under way.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from pondage.clock import Clock
from pondage.errors import InternalError, RequestError, Unavailable
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.runners import Link, Runner
from pondage.queue.interface import Claim, NewRequest, Queue
from pondage.settings import Settings
from pondage.wire.frames import MESSAGE_COST, Frame, SessionClose, SessionMessage, SessionMore, session_messages
from pondage.wire.states import State

log = logging.getLogger("pondage.fleet")

_POSITION_EVERY = 1.0
"""Seconds between two looks at a waiting session's place in line."""


class Channel:
    """The `SessionChannel` of one session."""

    def __init__(self, request_id: str, sessions: Sessions, window: int) -> None:
        self.request_id = request_id
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sessions = sessions
        self._tell_after = window // 4
        self._taken = 0
        self._inbox: deque[SessionMessage | SessionClose] = deque()
        self._parts: list[bytes] = []
        self._put: Callable[[bytes, bool], bool] | None = None
        self._ended: Callable[[SessionClose], None] | None = None
        self._room = False
        self.runner: Runner | None = None
        self.closed = False

    # ---- to the runner

    def send(self, data: bytes, text: bool) -> bool:
        """In slices, many a packet."""
        if (link := self._link()) is None or self.closed:
            return True
        for part in session_messages(self.request_id, data, text):
            link.send(part)
        return link.has_room

    async def drained(self) -> None:
        if (link := self._link()) is not None:
            await link.drained()

    def _link(self) -> Link | None:
        return None if self.runner is None else self.runner.link

    # ---- to the caller

    def connect(self, put: Callable[[bytes, bool], bool], ended: Callable[[SessionClose], None]) -> None:
        self._put, self._ended = put, ended
        self.go_on()

    def go_on(self) -> None:
        self._room = True
        self._hand_on()

    def deliver(self, frame: SessionMessage | SessionClose) -> None:
        """From the runner, which keeps to its window."""
        if isinstance(frame, SessionClose):
            self.closed = True
        self._inbox.append(frame)
        if self._room:
            self._hand_on()

    def _hand_on(self) -> None:
        """What came, message by message, as long as there is room. The runner hears of what was taken, and of the last
        message only when there is room behind it."""
        put, ended, inbox = self._put, self._ended, self._inbox
        if put is None or ended is None:
            self._room = False
            return
        while True:
            if self._taken >= self._tell_after:
                self._sessions.tell(self, SessionMore(self.request_id, self._taken))
                self._taken = 0
            if not inbox:
                return
            frame = inbox.popleft()
            if isinstance(frame, SessionClose):
                self._end(frame)
                return
            self._taken += len(frame.data) + MESSAGE_COST
            if frame.more:
                self._parts.append(frame.data)
                continue
            data = frame.data
            if self._parts:
                data = b"".join((*self._parts, data))
                self._parts.clear()
            if not put(data, frame.text):
                self._room = False
                return

    def fail(self) -> None:
        """The caller's side failed at a message: it is told to close."""
        self._end(SessionClose(self.request_id, 1011, "Internal Server Error"))

    def _end(self, frame: SessionClose) -> None:
        ended, self._put, self._ended = self._ended, None, None
        if ended is not None:
            ended(frame)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """The caller is done: the runner ends the session and its request completes."""
        if not self.closed:
            self.closed = True
            self._sessions.tell(self, SessionClose(self.request_id, code, reason))
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
        channel = self._channels[request.id] = Channel(request.id, self, self._settings.chunk_buffer_bytes)
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
                    if view is None or view.state is State.DONE:
                        why = (view and view.error) or "the session was ended while it waited"
                        raise RequestError(why, error_type=(view and view.error_type) or "client_cancelled")
                    if view.position is not None:
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
            if not channel.started.done():
                channel.started.set_exception(Unavailable("the server is stopping; connect again"))
            elif not channel.closed:
                self.tell(channel, SessionClose(channel.request_id, 1001, "the server is stopping"))
                channel.deliver(SessionClose(channel.request_id, 1001, "the server is stopping"))

    def received(self, frame: SessionMessage | SessionClose) -> None:
        if channel := self._channels.get(frame.request_id):
            try:
                channel.deliver(frame)
            except Exception as error:
                # The runner's connection is that of all its sessions: one caller's trouble must not end it.
                log.error("session %s: %s", frame.request_id, error, exc_info=error)
                channel.fail()

    def tell(self, channel: Channel, frame: Frame) -> None:
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
