"""What we reach into of uvicorn and websockets, by name: a version that lacks it fails here, and not under load.

pyproject.toml has upper bounds on both; raise one only with this test and the stories of connections.
"""

from __future__ import annotations

from typing import Any

import httptools
import pytest
import websockets.frames
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState
from websockets.protocol import State
from websockets.server import ServerProtocol

from pondage.gateway.connections.connection import Connection
from pondage.gateway.connections.sockets import CallerSocket

HTTP = """
    client config connections connection_lost connection_made cycle data_received flow handle_websocket_upgrade headers
    on_body on_header on_headers_complete on_message_begin on_message_complete on_response_complete parser
    pause_writing pipeline resume_writing scope send_400_response server_state tasks transport url
"""
FLOW = "drain pause_reading read_paused resume_reading resume_writing write_paused"
CYCLE = """
    body disconnected keep_alive message_event more_body on_response response_complete response_started
"""
PARSER = "feed_data get_http_version get_method should_upgrade"
SOCKET = """
    close_sent config conn connection_lost connection_made curr_msg_data_type data_received disconnected frames
    handle_cont handle_ping handshake_complete handshake_initiated keepalive_timeout logger loop pending_ping_payload
    ping_timer pong_timer queue read_paused receive resume_writing run_asgi schedule_ping send
    send_keepalive_ping send_receive_event_to_app stop_keepalive transport writable
"""
LIBRARY = "data_to_send events_received fail handshake_exc parser_exc receive_data send_close state"


class Transport:
    """Enough of one to be made into a connection."""

    def get_extra_info(self, name: str) -> Any:
        return None

    def pause_reading(self) -> None: ...


async def app(scope: Any, receive: Any, send: Any) -> None: ...


def lacking(thing: object, names: str) -> list[str]:
    return [name for name in names.split() if not hasattr(thing, name)]


@pytest.mark.anyio
async def test_the_http_protocol_has_what_we_use() -> None:
    connection = Connection(Config(app, log_config=None), ServerState(), {})
    connection.connection_made(Transport())  # type: ignore[arg-type]
    connection.on_message_begin()
    assert not lacking(connection, HTTP)
    assert not lacking(connection.flow, FLOW)
    assert not lacking(httptools.HttpRequestParser(connection), PARSER)
    named = set(RequestResponseCycle.__init__.__code__.co_names) | set(
        RequestResponseCycle.__init__.__code__.co_varnames
    )
    assert not set(CYCLE.split()) - named
    assert STATUS_LINE[431].startswith(b"HTTP/1.1 431 ") and STATUS_LINE[408]
    connection._patience_ends()
    # The parser takes slices without copies, and tells of every header and chunk by itself.
    httptools.HttpRequestParser(connection).feed_data(memoryview(b"GET / HTTP/1.1\r\n"))


@pytest.mark.anyio
async def test_the_websocket_protocol_has_what_we_use() -> None:
    socket = CallerSocket(Config(app, log_config=None), ServerState(), {})
    assert not lacking(socket, SOCKET)
    assert isinstance(socket.conn, ServerProtocol) and not lacking(socket.conn, LIBRARY)
    assert vars(websockets.frames)["apply_mask"](b"abcd", bytes(4)) == b"abcd"
    assert {State.OPEN, State.CLOSED} <= set(State)
