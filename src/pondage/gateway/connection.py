"""What is refused before it is a call: heads that are too large, too slow or no HTTP (one connection, many requests).

The parser takes heads of any size and waits for their end for ever; both are limited here. Answers are JSON objects
like every other of ours, since some clients decode nothing else (PROTOCOL 9.3).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from pondage.gateway.together import Together
from pondage.settings import Settings
from pondage.wire.ids import new_request_id

if TYPE_CHECKING:
    from uvicorn.server import ServerState


class _Refused(Exception):
    """Ends the parsing of a head; the parser hands it on as its own error."""


class Connection(HttpToolsProtocol):
    """A caller's connection."""

    max_header_bytes: ClassVar[int] = 64 * 1024
    header_timeout: ClassVar[float] = 30.0
    server_state: ServerState

    _in_head = False
    _head = 0
    _status = 400
    _detail = "this is no HTTP request"
    _patience: asyncio.TimerHandle | None = None
    _just_came = False
    """A body ended in the bytes that are being parsed: its handler has not had it yet."""
    _deaf = False
    """What comes is no HTTP any more, and an answer is still to be given."""

    # ---- the time that a head may take

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        together = Together(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(together)  # type: ignore[arg-type]  # a transport in all that is used of it
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience_ends()
        super().connection_lost(exc)
        # After a reset the server lets the timer of an idle connection run on, and with it whatever it came with.
        self._unset_keepalive_if_required()
        self.headers = []

    def _be_patient(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self.header_timeout, self._too_slow)

    def _patience_ends(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _too_slow(self) -> None:
        self._patience = None
        if self._in_head:
            self._status, self._detail = 408, f"the head was not complete after {self.header_timeout:g} s"
            self.send_400_response(self._detail)
        else:
            self.transport.close()

    # ---- its size

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        before = self._in_head
        self._just_came = False
        super().data_received(data)
        if not self._in_head:
            self._head = 0
            if self._patience is not None:
                self._patience_ends()
            return
        self._be_patient()
        # Pieces that begin and end within a head: a head that came in one piece is measured when it is complete.
        if before:
            self._head += len(data)
            if self._head > self.max_header_bytes and not self.transport.is_closing():
                self._too_large()
                self.send_400_response(self._detail)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts += 1
        if size > self.max_header_bytes:
            self._too_large()
            raise _Refused
        if self.url.startswith(b"*"):
            self._detail = "* is no path"
            raise _Refused
        if hosts > 1:
            self._detail = "a request names one Host"
            raise _Refused
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        cycle: RequestResponseCycle | None = self.cycle
        self._just_came = cycle is not None and bool(cycle.body)

    def _too_large(self) -> None:
        self._status = 431
        self._detail = f"the head has more than {self.max_header_bytes} bytes (setting max_header_bytes)"

    def send_400_response(self, msg: str) -> None:
        """Refuse and close; an answer that is due for an earlier request comes first, and ours would look like it.

        A body that is malformed, or followed at once by what is no request, is not what its sender announced: nothing
        is done with it.
        """
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._refuse()
        elif self.pipeline or cycle.response_started:
            self._end_after_answer(cycle)
        elif cycle.more_body or self._just_came:
            self._detail = "the body is malformed, or longer than its Content-Length; nothing was done"
            cycle.disconnected = True
            cycle.message_event.set()
            self._refuse()
        else:
            self._end_after_answer(cycle)

    def _end_after_answer(self, cycle: RequestResponseCycle) -> None:
        """Close once the answers that are due are given; at once where more of a body was to come."""
        if self.pipeline or cycle.more_body:
            self.transport.close()
            return
        self._deaf = True
        cycle.keep_alive = False

    def _refuse(self) -> None:
        self.transport.write(refusal(self._status, self._detail))
        self.transport.close()


def refusal(status: int, detail: str) -> bytes:
    """The last answer on a connection, before there is a call that could give one."""
    body = msgspec.json.encode({"detail": detail})
    lines = [
        STATUS_LINE[status],
        b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body),
        b"x-fal-request-id: %b\r\nconnection: close\r\n\r\n" % new_request_id().encode(),
        body,
    ]
    return b"".join(lines)


def connection_class(settings: Settings) -> type[Connection]:
    """The protocol with the limits of these settings."""
    limits = {"max_header_bytes": settings.max_header_bytes, "header_timeout": settings.header_timeout}
    return type("Connection", (Connection,), limits)
