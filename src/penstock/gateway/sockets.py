"""A caller's WebSocket connection: uvicorn's own, except for when its peer counts as gone."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

log = logging.getLogger("penstock.gateway.sockets")
log.setLevel(logging.WARNING)
# A text that is not UTF-8 ends its connection with code 1007: its sender is told, nobody else needs a traceback.
log.addFilter(lambda record: not str(record.msg).startswith("Invalid UTF-8"))

_LAST_WORDS = 1.0
"""Seconds that the close frame gets to leave before a connection is cut."""


class CallerSocket(WebSocketsSansIOProtocol):
    """A peer that answers no ping is cut off even where it has stopped reading; one whose pong waits behind messages
    that we have not taken in yet is not at fault.

    The pieces of a message lie in one buffer: as objects of their own, small ones would take many times their size.

    The library's own logger writes whole addresses, and a token may stand in one.
    """

    frames: list[bytes | bytearray]  # type: ignore[assignment]

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.logger = log

    def handle_cont(self, event: Frame) -> None:
        if not isinstance(whole := self.frames[0], bytearray):
            self.frames = [whole := bytearray(whole)]
        whole += event.data
        if event.fin:
            self.frames = [bytes(whole)]
            self.send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        if self.read_paused and self.writable.is_set():
            self.pong_timer = None
            self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self.loop.call_later(_LAST_WORDS, self.transport.abort)
