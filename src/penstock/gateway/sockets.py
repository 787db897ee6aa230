"""A caller's WebSocket connection: uvicorn's own, except for when its peer counts as gone."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

log = logging.getLogger("penstock.gateway.sockets")
log.setLevel(logging.WARNING)

_LAST_WORDS = 1.0
"""Seconds that the close frame gets to leave before a connection is cut."""


class CallerSocket(WebSocketsSansIOProtocol):
    """A peer that answers no ping is cut off even where it has stopped reading; one whose pong waits behind messages
    that we have not taken in yet is not at fault.

    The library's own logger writes whole addresses, and a token may stand in one.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.logger = log

    def keepalive_timeout(self) -> None:
        if self.read_paused and self.writable.is_set():
            self.pong_timer = None
            self.pending_ping_payload = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self.loop.call_later(_LAST_WORDS, self.transport.abort)
