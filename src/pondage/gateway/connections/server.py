"""The HTTP server on the gateway's port: what uvicorn is told, how it starts and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn

from pondage import __version__
from pondage.errors import SetupError
from pondage.gateway.connections.borrowed import protocols
from pondage.gateway.connections.port import BACKLOG

if TYPE_CHECKING:
    from pondage.gateway.audit import Audit
    from pondage.gateway.crowd import Crowd
    from pondage.settings import Settings

GRACE = 5.0
"""Seconds that answers under way get after everything else has stopped."""


class HttpServer:
    """A service: the gateway's answers on a port.

    Args:
        closing: set when the drain is over, so that answers which still follow something break off.
    """

    def __init__(
        self, app: Any, settings: Settings, audit: Audit, crowd: Crowd, port: socket.socket, closing: asyncio.Event
    ) -> None:
        self.crowd = crowd
        self.uvicorn = _Quiet(_config(settings, app, audit, crowd))
        self._port = port
        self._closing = closing
        self._ended = asyncio.Event()

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What connections are encrypted with."""
        return self.uvicorn.config.ssl

    async def run(self) -> None:
        """Answer until `stop`."""
        try:
            await self.uvicorn.serve(sockets=[self._port])
        finally:
            self._ended.set()

    async def started(self) -> None:
        """Wait until it answers, or has ended."""
        while not self.uvicorn.started and not self._ended.is_set():
            await asyncio.sleep(0.005)

    def refuse(self) -> None:
        """Take no more connections. Those that are open get their answers."""
        for server in self.uvicorn.servers:
            server.close()

    async def stop(self) -> None:
        """End the answers that follow something, wait for the others for a moment."""
        self._closing.set()
        self.uvicorn.should_exit = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE + 1):
                await self._ended.wait()


class _Quiet(uvicorn.Server):
    """Signals are ours: a stop drains before connections close."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(settings: Settings, app: Any, audit: Audit, crowd: Crowd) -> uvicorn.Config:
    made_of = protocols(settings, crowd, audit)
    config = uvicorn.Config(
        app,
        http=made_of.http,
        ws=made_of.websocket,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.session_ping,
        ws_ping_timeout=settings.session_ping,
        ws_max_size=settings.session_max_message + 1024,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        # In every answer. What a file or an output claims to be is what a browser takes it for.
        headers=[("pondage-version", __version__), ("x-content-type-options", "nosniff")],
        backlog=BACKLOG,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=int(GRACE),
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SetupError(f"tls_cert {settings.tls_cert} and tls_key {settings.tls_key}: {error}") from error
    return config
