"""What we reach into of uvicorn and websockets, by name, and what happens where a version lacks some of it.

pyproject.toml has upper bounds on both. A version within them that lacks a name is found at the start: connections are
then the libraries' own, which hold fewer limits, and the log says so.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pondage.gateway.audit import Audit
    from pondage.gateway.crowd import Crowd
    from pondage.settings import Settings

log = logging.getLogger("pondage.gateway")

CONNECTION = """
    client config connections connection_lost connection_made cycle data_received expect_100_continue flow
    handle_websocket_upgrade headers loop on_body on_header on_headers_complete on_message_begin on_message_complete
    on_response_complete parser pause_writing pipeline resume_writing scope send_400_response server_state tasks
    transport url _unset_keepalive_if_required
"""
"""Of a connection, with its first message begun."""
FLOW = "drain pause_reading read_paused resume_reading resume_writing write_paused"
CYCLE = "body disconnected keep_alive message_event more_body on_response response_complete response_started"
PARSER = "feed_data get_http_version get_method should_upgrade"
SOCKET = """
    close_sent config conn connection_lost connection_made curr_msg_data_type data_received disconnected frames
    handle_cont handle_ping handshake_complete handshake_initiated keepalive_timeout logger loop pending_ping_payload
    ping_timer pong_timer queue read_paused receive resume_writing run_asgi schedule_ping send
    send_keepalive_ping send_receive_event_to_app stop_keepalive transport writable
"""
LIBRARY = "data_to_send events_received fail handshake_exc parser_exc receive_data send_close state"
"""Of the protocol under a WebSocket."""


class Protocols(NamedTuple):
    """What connections are made of: our classes, or the names by which uvicorn knows its own."""

    http: Any
    websocket: Any


STOCK = Protocols("auto", "auto")


def protocols(settings: Settings, crowd: Crowd, audit: Audit) -> Protocols:
    """Our connections, or the libraries' own where these lack what ours are made of."""
    if lacking := missing():
        log.warning(
            "this version of uvicorn or websockets lacks what our connections are made of (%s): its own serve, without "
            "the limits on heads, bodies, slow callers and the number of connections", ", ".join(lacking),
        )  # fmt: skip
        return STOCK
    from pondage.gateway.connections.connection import connection_class
    from pondage.gateway.connections.sockets import CallerSocket

    return Protocols(connection_class(settings, crowd, audit), CallerSocket)


def missing() -> list[str]:
    """The names that the installed versions lack; one of each is made to see."""
    try:
        return [*_of_http(), *_of_websockets()]
    except Exception as error:  # whatever a version does that we have never seen
        return [f"{type(error).__name__}: {error}"]


class _Transport:
    """Enough of one to be made into a connection."""

    def get_extra_info(self, name: str) -> Any:
        return None

    def pause_reading(self) -> None:
        pass


async def _app(scope: Any, receive: Any, send: Any) -> None:
    pass


def _of_http() -> list[str]:
    import httptools
    from uvicorn import Config
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
    from uvicorn.server import ServerState

    connection = HttpToolsProtocol(Config(_app, log_config=None), ServerState(), {})
    connection.connection_made(_Transport())  # type: ignore[arg-type]  # enough of one
    connection.on_message_begin()
    code = RequestResponseCycle.__init__.__code__
    named = {*code.co_names, *code.co_varnames}
    lacking = [f"HttpToolsProtocol.{name}" for name in _lacking(connection, CONNECTION)]
    lacking += [f"FlowControl.{name}" for name in _lacking(getattr(connection, "flow", None), FLOW)]
    lacking += [f"RequestResponseCycle.{name}" for name in CYCLE.split() if name not in named]
    lacking += [f"HttpRequestParser.{name}" for name in _lacking(httptools.HttpRequestParser(connection), PARSER)]
    # The parser takes slices without copies.
    httptools.HttpRequestParser(connection).feed_data(memoryview(b"GET / HTTP/1.1\r\n"))
    return lacking + [f"STATUS_LINE[{status}]" for status in (408, 431, 503) if status not in STATUS_LINE]


def _of_websockets() -> list[str]:
    import websockets.frames
    from uvicorn import Config
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
    from uvicorn.server import ServerState
    from websockets.protocol import State

    socket = WebSocketsSansIOProtocol(Config(_app, log_config=None), ServerState(), {})
    lacking = [f"WebSocketsSansIOProtocol.{name}" for name in _lacking(socket, SOCKET)]
    lacking += [f"ServerProtocol.{name}" for name in _lacking(getattr(socket, "conn", None), LIBRARY)]
    lacking += [f"State.{name}" for name in ("OPEN", "CLOSED") if name not in State.__members__]
    if vars(websockets.frames)["apply_mask"](b"abcd", bytes(4)) != b"abcd":
        lacking.append("websockets.frames.apply_mask")
    return lacking


def _lacking(thing: object, names: str) -> list[str]:
    return [name for name in names.split() if not hasattr(thing, name)]
