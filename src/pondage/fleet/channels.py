"""The two-way channels between callers and runners, and the table of those that are open.

What a runner sends waits here until the caller's socket has taken it, and the runner is told as it goes: it has at most
`chunk_buffer_bytes` under way.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from pondage.errors import InternalError
from pondage.fleet.runners import Link, Runner
from pondage.queue.interface import Claim
from pondage.wire.frames import MESSAGE_COST, Frame, SessionClose, SessionMessage, SessionMore, session_messages

log = logging.getLogger("pondage.fleet")


class Channel:
    """The `SessionChannel` of one session."""

    def __init__(self, request_id: str, channels: Channels, window: int) -> None:
        self.request_id = request_id
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._channels = channels
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
                self._channels.tell(self, SessionMore(self.request_id, self._taken))
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
            self._channels.tell(self, SessionClose(self.request_id, code, reason))
        self._channels.forget(self)


class Channels:
    """The open channels of this gateway, by request. It knows neither who opens them nor who runs them."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._open: dict[str, Channel] = {}

    def open(self, request_id: str) -> Channel:
        """A channel that waits for its runner. Give it back by `forget`."""
        channel = self._open[request_id] = Channel(request_id, self, self._window)
        return channel

    def all(self) -> list[Channel]:
        return list(self._open.values())

    def forget(self, channel: Channel) -> None:
        """The caller has left, or the session is over."""
        self._open.pop(channel.request_id, None)

    def session_message(self, frame: SessionMessage) -> None:
        """A message of the app to its caller."""
        self._received(frame)

    def session_close(self, frame: SessionClose) -> None:
        """The app has ended the session."""
        self._received(frame)

    def _received(self, frame: SessionMessage | SessionClose) -> None:
        if channel := self._open.get(frame.request_id):
            try:
                channel.deliver(frame)
            except Exception as error:
                # The runner's connection is that of all its sessions: one caller's trouble must not end it.
                log.error("session %s: %s", frame.request_id, error, exc_info=error)
                channel.fail()

    def tell(self, channel: Channel, frame: Frame) -> None:
        if channel.runner is not None and channel.runner.link is not None:
            channel.runner.link.send(frame)

    def started(self, runner: Runner, claim: Claim) -> bool:
        """A runner has the session. False: nobody waits for it any more."""
        channel = self._open.get(claim.request.id)
        if channel is None:
            return False
        channel.runner = runner
        if not channel.started.done():
            channel.started.set_result(None)
        return True

    def lost(self, request_id: str, reason: str) -> None:
        """The runner died under the session."""
        channel = self._open.get(request_id)
        if channel is None:
            return
        if channel.started.done():
            channel.deliver(SessionClose(request_id, 1011, reason[:120]))
        else:
            channel.started.set_exception(InternalError(reason, error_type="runner_disconnected"))
