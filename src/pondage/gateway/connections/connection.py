"""What a connection is given before it is a call: so much time, so many bytes, a turn among the others.

The parser takes heads, trailers and chunks of any size and number and waits for their end for ever; all of it is
limited here. Refusals are JSON objects like every other answer, since some clients decode nothing else (PROTOCOL 9.3).

Longer than modules are here: it is one state machine, and each bound depends on the state that another one leaves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from pondage.gateway.audit import Audit
from pondage.gateway.connections.transport import CoalescingTransport
from pondage.gateway.crowd import PLACE, Crowd, Place
from pondage.gateway.turns import Turns, turns_of
from pondage.settings import Settings
from pondage.wire.ids import new_request_id

if TYPE_CHECKING:
    from uvicorn.server import ServerState

_SMALL = 2048
"""Bytes that are parsed at once, whatever they are; of more, so many at a time while they make much work."""
_LARGE = 16 * 1024
"""Bytes that are parsed at a time where the last ones made little work."""
_LITTLE = 4
"""Pieces of bodies and requests that are little work."""
_MOST_HEADERS = 512
_VERSIONS = frozenset({"1.0", "1.1"})
_PIECE = 64
"""Bytes that a piece of a body counts for, beside its own, once nobody needs them: small ones cost more than that."""
_FRAMING = 16
"""Bytes around each byte of a body that chunks may cost."""


class _Refused(Exception):
    """Ends the parsing of a head; the parser hands it on as its own error."""


class Reading(Enum):
    """What comes on a connection now. One request follows the other: IDLE, HEAD, BODY, IDLE; DEAF is the end."""

    IDLE = "between two requests"
    HEAD = "the head of a request"
    BODY = "the body of a request, whose handler may be at work, or have answered already"
    DEAF = "nothing that is HTTP any more, while an answer is still to be given"


_IDLE, _HEAD, _BODY, _DEAF = Reading


class Connection(HttpToolsProtocol):
    """A caller's connection."""

    settings: ClassVar[Settings] = Settings()
    crowd: ClassVar[Crowd] = Crowd(Settings())
    audit: ClassVar[Audit | None] = None
    server_state: ServerState
    transport: CoalescingTransport  # type: ignore[assignment]  # a transport in all that is used of it

    left: Callable[[], None] | None = None
    """Called when the caller hangs up; whoever waits for something long sets it, and takes it back."""

    _place: Place | None = None
    _turns: Turns
    _reading = _IDLE
    _late_upgrade = False
    """What is being parsed is a WebSocket's handshake, which the parser has not known for one."""
    _head = 0
    """Bytes of a head that came in pieces."""
    _status = 400
    _detail = "this is no HTTP request"
    _patience: asyncio.TimerHandle | None = None
    _just_came = False
    """A body ended in the bytes that are being parsed: its handler has not had it yet."""

    _request = 0
    """Number of the request that came last on this connection."""
    _length = 0
    """Bytes of its body, where it says so."""
    _body = _body_from = 0
    """Bytes of bodies that came, now and before this request's."""
    _pieces = 0
    """Pieces of bodies and requests that came."""
    _around = 0
    """Bytes of this request that belong to neither head nor body: what chunks and trailers cost."""
    _after_answer = 0
    """Bytes that came of a request which was answered already."""
    _deadline: asyncio.TimerHandle | None = None
    """When the body is looked at again."""
    _unread: asyncio.TimerHandle | None = None
    """When what was written is looked at again."""

    _rest: memoryview | None = None
    """Bytes that came and wait for this connection's turn; nothing is read meanwhile."""
    _parked = False
    """They wait until the answers before them are given."""
    _step = _SMALL

    # ---- begin and end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        coalescing = CoalescingTransport(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(coalescing)  # type: ignore[arg-type]
        self._turns = turns_of(self.loop)
        place = self.crowd.enter(self.client[0] if self.client else "", self)
        if isinstance(place, str):
            self._status, self._detail = 503, f"there are {place} already; try again later"
            self._reading = _DEAF
            self._refuse()
            return
        self._place = coalescing.place = place
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience_ends()
        for timer in (self._deadline, self._unread):
            if timer is not None:
                timer.cancel()
        self._rest = None
        if self._place is not None:
            self.crowd.leave(self._place)
        super().connection_lost(exc)
        if self.left is not None:
            self.left()
        # After a reset the server lets the timer of an idle connection run on, and with it whatever it came with.
        self._unset_keepalive_if_required()
        self.headers = []

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection is a `CallerSocket`'s, its place among the others as well."""
        self._rest = None
        self.transport.go_on_reading(paused=False)
        super().handle_websocket_upgrade()
        if self._deadline is not None:
            self._deadline.cancel()

    def spare(self) -> bool:
        """Close, unless a call is under way."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            return False
        self.transport.close()
        return True

    def cut(self) -> None:
        """Close without an answer to the call that is under way."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            cycle.disconnected = True
        self._reading = _DEAF
        self.transport.close()

    async def has_room(self, seconds: float | None) -> bool:
        """Whether the caller takes what was written within so many seconds; None: wait until it does, or is gone."""
        if self.flow.write_paused:
            try:
                async with asyncio.timeout(seconds):
                    await self.flow.drain()
            except TimeoutError:
                return False
        return True

    # ---- the time that a head, a body and an answer may take

    def _be_patient(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self.settings.header_timeout, self._too_slow)

    def _patience_ends(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _too_slow(self) -> None:
        self._patience = None
        if self._reading is _HEAD:
            self._status = 408
            self._detail = f"the head was not complete after {self.settings.header_timeout:g} s"
            self.send_400_response(self._detail)
        else:
            self.transport.close()

    def _watch_body(self) -> None:
        """Look after a while whether enough has come of it."""
        seconds = self.settings.body_timeout
        self._deadline = self.loop.call_later(seconds, self._look_at_body, self._request, self._body)

    def _look_at_body(self, request: int, before: int) -> None:
        self._deadline = None
        if self._reading is not _BODY or self.transport.is_closing():
            return
        seconds, rate = self.settings.body_timeout, self.settings.body_rate
        ours = self.flow.read_paused or self._rest is not None
        if request != self._request or ours or self._body - before >= seconds * rate:
            self._watch_body()
            return
        self._status = 408
        self._detail = (
            f"the body came at less than {rate} bytes a second for {seconds:g} s (settings body_rate, body_timeout)"
        )
        self.send_400_response(self._detail)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._reading is _BODY and not self.pipeline:
            self.loop.call_later(self.settings.unread_timeout, self._still_unread, self._request)
        if self._parked:
            self._unpark()

    def _still_unread(self, request: int) -> None:
        """A body that nobody needs has not ended: the connection does."""
        if self._reading is _BODY and request == self._request:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._watch_reader()

    def _watch_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.settings.write_timeout, self._look_at_reader, left)

    def _look_at_reader(self, before: int) -> None:
        self._unread = None
        if not self.flow.write_paused:
            return
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._watch_reader()

    # ---- its turn

    def data_received(self, data: bytes) -> None:
        if self._reading is _DEAF:
            return
        if self._rest is None and len(data) <= _SMALL and not self.pipeline:
            if self._reading is not _IDLE:
                self._parse(data)
                return
            # The commonest: a whole request in one segment.
            self._just_came = False
            super().data_received(data)
            if self._reading is not _IDLE:
                self._came(len(data), False, self._body, self._request, self._pieces)
                return
            self._head = 0
            if self._patience is not None:
                self._patience_ends()
            return
        if self._rest is not None:  # it was under way when reading was stopped
            data = bytes(self._rest) + data
        self._rest = memoryview(data)
        if not self._parked:
            self._turns.take(self)
        if self._rest is not None:
            self.transport.hold_reading(self._unpark)

    def work(self) -> bool:
        """Parse a part of what came; whether there is more that can be parsed now."""
        rest = self._rest
        if rest is None or self._reading is _DEAF or self.transport.is_closing():
            self._rest = None
            return False
        if self.pipeline or self.flow.read_paused:
            self._parked = True
            return False
        step = self._step
        if self._reading is _BODY and self._length:
            # One piece, however long it is, and what follows at once: see `send_400_response`.
            step = max(step, self._length + self._body_from - self._body + _SMALL)
        before = self._pieces
        self._parse(rest[:step])
        self._step = min(self._step * 4, _LARGE) if self._pieces - before <= _LITTLE else _SMALL
        if self._rest is None:  # that was a handshake
            return False
        if step < len(rest):
            self._rest = rest[step:]
            return True
        self._rest = None
        if not self.transport.is_closing():
            self.transport.go_on_reading(paused=self.flow.read_paused)
        return False

    def give_up(self) -> None:
        self.transport.abort()

    def _unpark(self) -> None:
        """The answers before are given, or the handler wants more of a body."""
        if self._parked and not self.pipeline:
            self._parked = False
            self._turns.take(self)

    # ---- what is parsed

    def _parse(self, data: bytes | memoryview) -> None:
        before, body, request, pieces = self._reading is _HEAD, self._body, self._request, self._pieces
        self._just_came = False
        super().data_received(cast(bytes, data))
        self._came(len(data), before, body, request, pieces)

    def _came(self, size: int, before: bool, body: int, request: int, pieces: int) -> None:
        """What follows from `size` bytes that were parsed. The others are as they were before: within a head or not,
        bytes of bodies, the request's number, pieces."""
        if self._reading is not _HEAD:
            self._head = 0
            if self._patience is not None:
                self._patience_ends()
            if self._reading is _BODY:
                if self._deadline is None:
                    self._watch_body()
                if not before and request == self._request:
                    self._measure(size, self._body - body, self._pieces - pieces)
            return
        self._be_patient()
        # Pieces that begin and end within a head: a head that came in one piece is measured when it is complete.
        if before:
            self._head += size
            if self._head > self.settings.max_header_bytes and not self.transport.is_closing():
                self._too_large()
                self.send_400_response(self._detail)

    def _measure(self, size: int, body: int, pieces: int) -> None:
        """Bytes of a request whose head came before: what surrounds its body has a bound, and all of it once it is
        answered."""
        if self.transport.is_closing():
            return
        if self.cycle.response_complete:
            self._after_answer += size + _PIECE * pieces
            if self._after_answer > self.settings.unread_bytes:
                self.transport.close()
            return
        self._around += size - body
        most = self.settings.max_header_bytes
        if self._around > most + _FRAMING * (self._body - self._body_from):
            self._status = 431
            self._detail = (
                f"what surrounds the body, chunks and trailers, has more than {most} bytes (setting max_header_bytes)"
            )
            self.send_400_response(self._detail)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading = _HEAD

    def on_header(self, name: bytes, value: bytes) -> None:
        """Only what stands in the head is a header: what counted in a trailer would depend on when it came."""
        if self._reading is _HEAD:
            # As the library does it: a call for each header costs more than what it does.
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))
        else:
            self._pieces += 1

    def on_headers_complete(self) -> None:
        self._reading = _IDLE
        size, hosts, length, upgrade = len(self.url), 0, 0, False
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                length = int(value)
            elif name == b"upgrade":
                upgrade = value.lower() == b"websocket"
        self._pieces += 1 + len(self.headers) // 16
        if size > self.settings.max_header_bytes:
            self._too_large()
            raise _Refused
        version = self.parser.get_http_version()
        odd = hosts != 1 or upgrade or version not in _VERSIONS or len(self.headers) > _MOST_HEADERS
        if (odd or self.url.startswith(b"*")) and (problem := self._problem(hosts, upgrade)):
            self._detail = problem
            raise _Refused
        self.scope[PLACE] = self._place  # type: ignore[literal-required]
        if upgrade and not self.parser.should_upgrade() and self._is_handshake():
            self._late_upgrade = True
            return
        super().on_headers_complete()
        self._reading, self._length, self._body_from = _BODY, length, self._body
        self._request += 1
        self._around = self._after_answer = 0

    def _is_handshake(self) -> bool:
        """Whether a head with `Upgrade: websocket` is a handshake though its Connection says something else, as Swift's
        Foundation on Linux writes `keep-alive`. It is put right for the library."""
        names, cycle = {name for name, _ in self.headers}, cast("RequestResponseCycle | None", self.cycle)
        if b"sec-websocket-key" not in names or not (cycle is None or cycle.response_complete):
            return False
        self.headers[:] = [pair for pair in self.headers if pair[0] != b"connection"]
        self.headers.append((b"connection", b"Upgrade"))
        self.scope["method"] = "GET"
        return True

    def _upgrade_late(self) -> None:
        """Once the parser has returned."""
        self._late_upgrade = False
        if not self.transport.is_closing():
            self.handle_websocket_upgrade()

    def _problem(self, hosts: int, upgrade: bool) -> str:
        """What is wrong with a head, if anything is."""
        if hosts != 1:
            if hosts > 1:
                return "a request names one Host"
            if self.parser.get_http_version() != "1.0":
                return "a request names its Host"
        if self.url.startswith(b"*"):
            return "* is no path"
        if len(self.headers) > _MOST_HEADERS:
            self._status = 431
            return f"the head has more than {_MOST_HEADERS} headers"
        if (version := self.parser.get_http_version()) not in _VERSIONS:
            return f"this is HTTP/{version}; HTTP/1.1 and HTTP/1.0 are spoken here"
        if upgrade and self.parser.get_method() != b"GET":
            return "a WebSocket begins with GET"
        return ""

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        self._pieces += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._late_upgrade:
            self.loop.call_soon(self._upgrade_late)
            return
        self._reading = _IDLE
        super().on_message_complete()
        cycle: RequestResponseCycle | None = self.cycle
        self._just_came = cycle is not None and bool(cycle.body)

    # ---- what is refused

    def _too_large(self) -> None:
        self._status = 431
        self._detail = f"the head has more than {self.settings.max_header_bytes} bytes (setting max_header_bytes)"

    def send_400_response(self, msg: str) -> None:
        """Refuse and close; an answer that is due for an earlier request comes first, and ours would look like it.

        A body that is malformed, or followed at once by what is no request, is not what its sender announced: nothing
        is done with it.
        """
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            if self._reading is _BODY:  # it has its answer
                self.transport.close()
            else:
                self._refuse()
        elif self.pipeline or cycle.response_started:
            self._end_after_answer(cycle)
        elif cycle.more_body or self._just_came:
            if self._status == 400:
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
        self._reading = _DEAF
        cycle.keep_alive = False

    def _refuse(self) -> None:
        if self.audit is not None:
            self.audit.refused_connection(self.client[0] if self.client else "", self._status, self._detail)
        self.transport.write(refusal(self._status, self._detail))
        self.transport.close()


def refusal(status: int, detail: str) -> bytes:
    """The last answer on a connection, before there is a call that could give one."""
    body = msgspec.json.encode({"detail": detail})
    lines = [
        STATUS_LINE[status],
        b"content-type: application/json\r\nx-content-type-options: nosniff\r\ncontent-length: %d\r\n" % len(body),
        b"x-fal-request-id: %b\r\nconnection: close\r\n\r\n" % new_request_id().encode(),
        body,
    ]
    return b"".join(lines)


def connection_class(settings: Settings, crowd: Crowd, audit: Audit | None = None) -> type[Connection]:
    """The protocol with the limits of these settings, for connections that stand in this crowd."""
    # What is no HTTP is told in the audit log, with its address; the library's own line says neither.
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return type("Connection", (Connection,), {"settings": settings, "crowd": crowd, "audit": audit})


def _is_news(record: logging.LogRecord) -> bool:
    return record.msg not in {"Invalid HTTP request received.", "Unsupported upgrade request."}
