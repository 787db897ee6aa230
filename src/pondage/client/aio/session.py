"""A realtime session that is kept up: one job opens the socket and sends, another reads."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from pondage.client import limits, sessions
from pondage.client.aio import flow
from pondage.client.core import Failure, Repeat, Retries
from pondage.client.errors import ClientError, ConnectionError, HTTPError, OutputMismatch, RealtimeError, TimeoutError
from pondage.client.outputs import convert_output
from pondage.client.sessions import Decode, Encode, Fault, Notice, Outbox, Result, Stranger
from pondage.clock import Clock

log = logging.getLogger("pondage.client")

_END: Any = object()


class AsyncSession:
    """Send inputs, get results: by `on_result`, or by iterating.

    The socket opens with the first input, or when iterating begins. If it breaks it is opened again, with back-off; an
    input that was on its way then may be lost, as a frame of a video may. If the server closes in good order, because
    the app is done or nothing came for long, iterating ends, and the next input opens a new socket. So does the next
    input after the error of a session that somebody cancelled.

    It is a context manager; `close` sends what waits and closes in good order. Where the handshake hangs it waits for a
    few seconds, and not at all where nothing is to be sent.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[flow.Socket]],
        forget_token: Callable[[], None],
        on_closed: Callable[[], object],
        clock: Clock,
        *,
        on_result: Callable[[Any], Any] | None,
        on_error: Callable[[ClientError], Any] | None,
        on_notice: Callable[[dict[str, Any]], Any] | None,
        outbox: Outbox,
        encode_message: Encode | None,
        decode_message: Decode | None,
        output_type: Any,
    ) -> None:
        self._dial = dial
        self._forget_token = forget_token
        self._on_closed = on_closed
        self._clock = clock
        self._on_result = on_result
        self._on_error = on_error
        self._on_notice = on_notice
        self._outbox = outbox
        self._encode_message = encode_message
        self._decode_message = decode_message
        self._output_type = output_type
        self._lock = threading.Lock()
        self._wake = flow.Signal()
        self._results = flow.Channel(limits.REALTIME_RESULTS)
        self._worker: flow.Background | None = None
        self._reader: flow.Background | None = None
        self._running = False
        self._dialling = False
        self._dialled = flow.Signal()
        self._closing = False
        self._heard = False
        self._code: int | None = None
        self._reason = ""

    def hand_over(
        self,
        on_result: Callable[[Any], Any] | None,
        on_error: Callable[[ClientError], Any] | None,
        on_notice: Callable[[dict[str, Any]], Any] | None,
    ) -> None:
        """From now on results and errors go there; what is None stays as it was."""
        self._on_result = on_result or self._on_result
        self._on_error = on_error or self._on_error
        self._on_notice = on_notice or self._on_notice

    @property
    def dropped(self) -> int:
        """Inputs that were replaced by newer ones, or dropped because too many waited."""
        return self._outbox.dropped

    async def __aenter__(self) -> AsyncSession:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncSession:
        return self

    async def __anext__(self) -> Any:
        self._start()
        item = await self._results.get(_END)
        if item is _END:
            raise StopAsyncIteration
        if isinstance(item, ClientError):
            raise item
        return item[0]

    async def send(self, input: Any) -> None:
        """Send an input, as soon as the throttle and the connection allow.

        Args:
            input: JSON values and bytes, a Pydantic model, a dataclass.

        Raises:
            RealtimeError: the session was closed.
            TypeError: the input cannot be encoded.
        """
        if self._closing:
            raise RealtimeError("CONNECTION_CLOSED", "the session was closed")
        message = (self._encode_message or sessions.encode_message)(input)
        with self._lock:
            self._outbox.put(message)
        self._start()
        self._wake.set()

    async def close(self) -> None:
        """Send what waits, close in good order, and end the iteration."""
        self._closing = True
        self._wake.set()
        self._on_closed()
        await self._results.close()
        in_callback = self._reader is not None and self._reader.current
        if self._worker is None or in_callback:
            return
        if self._dialling:
            # A handshake may hang for as long as a runner takes to start: for what waits to be sent, a moment more.
            with self._lock:
                patience = limits.REALTIME_CLOSE_TIMEOUT if self._outbox else 0.0
            if not await self._dialled.wait(patience):
                await self._worker.leave()
                return
        await self._worker.join()

    # -- the job that opens and sends

    def _start(self) -> None:
        with self._lock:
            if not self._running and not self._closing:
                self._running = True
                self._worker = flow.Background(self._guarded)

    async def _guarded(self) -> None:
        try:
            await self._work()
        except Exception as error:  # whoever iterates must not wait for ever
            self._running = False
            await self._tell_error(RealtimeError("CLIENT_ERROR", repr(error)))

    async def _work(self) -> None:
        retries = self._tries()
        while True:
            wait: float | None
            try:
                await self._serve()
                if self._heard:
                    retries = self._tries()
                if await self._ended():
                    return
                error: ClientError = RealtimeError("CONNECTION_CLOSED", f"{self._code} {self._reason}".strip())
                # Who cancels a session means it: it is not opened again by itself.
                wait = None if self._reason == sessions.CANCELLED else retries.after_failure(Failure.LOST)
            except (ConnectionError, TimeoutError) as failure:
                error, wait = failure, retries.after_failure(Failure.UNSENT)
            except ClientError as failure:
                error, wait = failure, None
                if isinstance(failure, HTTPError):
                    wait = retries.after_answer(failure.status_code, failure.response_headers)
                    if failure.status_code == 401 and retries.made == 1:
                        self._forget_token()
                        wait = retries.after_failure(Failure.UNSENT)
            if wait is None or self._closing:
                with self._lock:
                    self._running = False
                if not self._closing:
                    await self._tell_error(error)
                return
            await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next socket; only the end of the session cuts it short."""
        until = self._clock.monotonic() + seconds
        while not self._closing and (left := until - self._clock.monotonic()) > 0:
            await self._wake.wait(left)
        self._wake.set()

    def _tries(self) -> Retries:
        return Retries(Repeat.FREELY, limits.REALTIME_ATTEMPTS, random.random)

    async def _serve(self) -> None:
        """One socket, from its opening to its end."""
        self._dialling = True
        try:
            ws = await self._dial()
        finally:
            self._dialling = False
            self._dialled.set()
        self._code, self._reason, self._heard = None, "", False
        reader = self._reader = flow.Background(partial(self._read, ws))
        try:
            await self._write(ws)
        finally:
            await ws.close()
            await reader.join()

    async def _ended(self) -> bool:
        """Whether the job is over: closed by us, or by the server in good order with nothing left to send."""
        good = self._code in (1000, 1005)
        with self._lock:
            over = self._closing or (good and not self._outbox)
            if over:
                self._running = False
        if over and not self._closing:
            await self._results.put(_END)
        return over

    async def _write(self, ws: flow.Socket) -> None:
        from websockets.exceptions import ConnectionClosed

        while self._code is None:
            with self._lock:
                message, wait = self._outbox.take(self._clock.monotonic(), flush=self._closing)
            if message is not None:
                try:
                    await ws.send(message)
                except ConnectionClosed:
                    with self._lock:
                        self._outbox.put_back(message)
                    return
            elif self._closing:
                return
            else:
                await self._wake.wait(wait)

    # -- the job that reads

    async def _read(self, ws: flow.Socket) -> None:
        from websockets.exceptions import ConnectionClosed

        code, reason = 1006, ""
        try:
            while True:
                await self._take(await ws.recv(), ws)
        except ConnectionClosed as error:
            code, reason = sessions.closing(error)
        finally:
            self._code, self._reason = code, reason
            self._wake.set()

    async def _take(self, message: str | bytes, ws: flow.Socket) -> None:
        self._heard = True
        try:
            frame = sessions.read_frame(message, self._decode_message)
            if isinstance(frame, Result):
                await self._tell_result(convert_output(frame.value, self._output_type))
            elif isinstance(frame, Notice):
                await self._call_back(self._on_notice, frame.payload)
            elif isinstance(frame, Fault):
                await self._tell_error(frame.error)
            elif isinstance(frame, Stranger):
                self._forget_token()
                await ws.close(1001)
        except (OutputMismatch, msgspec.DecodeError) as error:
            wrong = error if isinstance(error, ClientError) else OutputMismatch(str(error))
            await self._tell_error(wrong)

    async def _tell_result(self, value: Any) -> None:
        if self._on_result is None:
            await self._results.put((value,))
        else:
            await self._call_back(self._on_result, value)

    async def _tell_error(self, error: ClientError) -> None:
        if self._on_error is None and self._on_result is None:
            await self._results.put(error)
        elif self._on_error is None:
            log.warning("realtime session: %s", error)
        else:
            await self._call_back(self._on_error, error)

    async def _call_back(self, callback: Callable[[Any], Any] | None, value: Any) -> None:
        try:
            await flow.call(callback, value)
        except Exception:
            log.exception("a callback of a realtime session failed; the session goes on")
