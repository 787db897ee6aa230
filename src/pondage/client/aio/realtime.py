"""Realtime: a WebSocket to a runner, by itself as in fal's Python client, or kept up as in its other clients."""

from __future__ import annotations

import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pondage.client import limits, sessions
from pondage.client.aio import flow
from pondage.client.aio.exchange import Exchange
from pondage.client.aio.session import AsyncSession
from pondage.client.errors import ClientError, RealtimeError
from pondage.client.sessions import Decode, Encode, Fault, Result
from pondage.client.target import endpoint_path


class AsyncRealtimeConnection:
    """One connection: `send` inputs, `recv` results. It ends with its socket and is not opened again."""

    def __init__(
        self, _ws: flow.Socket, _encode_message: Encode | None = None, _decode_message: Decode | None = None
    ) -> None:
        self._ws = _ws
        self._encode_message = _encode_message
        self._decode_message = _decode_message

    async def __aenter__(self) -> AsyncRealtimeConnection:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def send(self, arguments: Any) -> None:
        """Send an input, as msgpack or as the connection's own encoding makes it.

        Raises:
            RealtimeError: the connection is closed.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            await self._ws.send((self._encode_message or sessions.encode_message)(arguments))
        except ConnectionClosed as error:
            raise RealtimeError("CONNECTION_CLOSED", str(error)) from error

    async def recv(self) -> Any:
        """The next result; None once the server has closed in good order.

        Raises:
            RealtimeError: the app reported an error, or the connection broke.
        """
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

        while True:
            try:
                message = await self._ws.recv()
            except ConnectionClosedOK:
                return None
            except ConnectionClosed as error:
                raise RealtimeError("CONNECTION_CLOSED", str(error)) from error
            frame = sessions.read_frame(message, self._decode_message)
            if isinstance(frame, Result):
                return frame.value
            if isinstance(frame, Fault):
                raise frame.error
            if isinstance(frame, sessions.Quiet):
                raise RealtimeError("TIMEOUT", "no input came for long")
            if isinstance(frame, sessions.Stranger):
                return {"status": "error", "error": "Unauthorized"}

    async def close(self) -> None:
        """Close the connection."""
        await self._ws.close()


class AsyncRealtime:
    """`client.realtime`: call it for one connection, or `connect` for a session that is kept up."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._tokens: dict[tuple[str, int], tuple[str, float]] = {}
        self._sessions: dict[tuple[str, str, str], AsyncSession] = {}
        self._lock = threading.Lock()

    @asynccontextmanager
    async def __call__(
        self,
        application: str,
        *,
        use_jwt: bool = True,
        path: str = "/realtime",
        max_buffering: int | None = None,
        token_expiration: int = limits.TOKEN_EXPIRATION,
        encode_message: Encode | None = None,
        decode_message: Decode | None = None,
    ) -> AsyncIterator[AsyncRealtimeConnection]:
        """Open one connection to a realtime endpoint; a context manager.

        Args:
            application: the endpoint.
            use_jwt: whether a short-lived token is sent rather than the key.
            path: what is appended to the endpoint, unless it ends so already.
            max_buffering: inputs that the server may hold unprocessed, 1 to 60.
            token_expiration: life of the token in seconds.
            encode_message, decode_message: other encodings than msgpack.

        Raises:
            HTTPError: the server refused, by kind.
            ConnectionError: the server cannot be reached.
        """
        ws = await self.dial(application, path, use_jwt, max_buffering, token_expiration)
        try:
            yield AsyncRealtimeConnection(ws, encode_message, decode_message)
        finally:
            await ws.close()

    @asynccontextmanager
    async def ws_connect(
        self,
        application: str,
        *,
        use_jwt: bool = True,
        path: str = "",
        max_buffering: int | None = None,
        token_expiration: int = limits.TOKEN_EXPIRATION,
    ) -> AsyncIterator[flow.Socket]:
        """Open one connection and get the bare socket of the `websockets` library; a context manager."""
        ws = await self.dial(application, path, use_jwt, max_buffering, token_expiration)
        try:
            yield ws
        finally:
            await ws.close()

    def connect(
        self,
        endpoint: str,
        *,
        on_result: Callable[[Any], Awaitable[None] | None] | None = None,
        on_error: Callable[[ClientError], Awaitable[None] | None] | None = None,
        on_notice: Callable[[dict[str, Any]], Awaitable[None] | None] | None = None,
        connection_key: str | None = None,
        throttle_interval: float = limits.REALTIME_THROTTLE,
        max_buffering: int | None = None,
        path: str = "/realtime",
        use_jwt: bool = True,
        token_expiration: int = limits.TOKEN_EXPIRATION,
        encode_message: Encode | None = None,
        decode_message: Decode | None = None,
        output_type: Any = None,
        send_buffer: int = limits.REALTIME_BUFFER,
    ) -> AsyncSession:
        """A session that is kept up: it opens with the first message and opens again when the connection breaks.

        Args:
            endpoint: the endpoint, `owner/alias[/path]`.
            on_result: called with each result. Without it, iterate over the session.
            on_error: called with each error; the session goes on where it can. Without it, iterating raises them.
            on_notice: called with control messages, such as the place in the line while all slots are taken.
            connection_key: calls with the same key share one connection; results go to the latest `on_result`.
            throttle_interval: seconds between two messages. Inside it, a newer input replaces the one that waits, and
                the last always goes. 0 sends everything.
            max_buffering: inputs that the server may hold unprocessed, 1 to 60.
            path: what is appended to the endpoint, unless it ends so already.
            use_jwt: whether a short-lived token is sent rather than the key; it is renewed before it expires.
            token_expiration: life of the token in seconds.
            encode_message, decode_message: other encodings than msgpack.
            output_type: what each result is to become, see `run`.
            send_buffer: without a throttle, inputs that wait while there is no connection; of more the oldest are
                dropped.

        Returns:
            The session: `send`, iterate, `close`.

        Raises:
            ValueError: `max_buffering` is not from 1 to 60, or the endpoint is none.
        """
        sessions.check_max_buffering(max_buffering)
        endpoint_path(endpoint, path)
        name = (endpoint, path, connection_key or secrets.token_hex(16))
        with self._lock:
            session = self._sessions.get(name)
            if session is not None:
                session.hand_over(on_result, on_error, on_notice)
                return session

            async def dial() -> flow.Socket:
                return await self.dial(endpoint, path, use_jwt, max_buffering, token_expiration)

            session = AsyncSession(
                dial,
                lambda: self._forget_token(endpoint),
                lambda: self._sessions.pop(name, None),
                self._exchange.clock,
                on_result=on_result,
                on_error=on_error,
                on_notice=on_notice,
                outbox=sessions.Outbox(throttle_interval, send_buffer),
                encode_message=encode_message,
                decode_message=decode_message,
                output_type=output_type,
            )
            self._sessions[name] = session
            return session

    async def aclose(self) -> None:
        """Close all sessions."""
        for session in list(self._sessions.values()):
            await session.close()

    async def dial(
        self, endpoint: str, path: str, use_jwt: bool, max_buffering: int | None, token_expiration: int
    ) -> flow.Socket:
        """Open a socket, with a fresh token where one is used."""
        target = self._exchange.target
        token = await self._token(endpoint, token_expiration) if use_jwt and target.key is not None else None
        url = sessions.socket_url(target, endpoint, path, max_buffering, token)
        try:
            return await flow.dial(url, sessions.socket_headers(target, token))
        except Exception as error:
            from websockets.exceptions import WebSocketException

            if isinstance(error, WebSocketException | OSError):
                raise sessions.socket_error(url, error) from error
            raise

    async def _token(self, endpoint: str, seconds: int) -> str:
        name = (endpoint, seconds)
        token, until = self._tokens.get(name, ("", 0.0))
        if not token or self._exchange.clock.monotonic() >= until:
            call = sessions.token_call(self._exchange.target, self._exchange.base, endpoint, seconds)
            asked = self._exchange.clock.monotonic()
            token = sessions.read_token(await self._exchange.send(call, timeout=self._exchange.default_timeout))
            self._tokens[name] = (token, asked + seconds * limits.TOKEN_REFRESH)
        return token

    def _forget_token(self, endpoint: str) -> None:
        for name in [name for name in self._tokens if name[0] == endpoint]:
            del self._tokens[name]
