"""A realtime session: messages in, messages out, each answer in the kind of frame that it answers (PROTOCOL 6).

A message that cannot be read, does not fit, or makes the function raise costs that message only: the caller is told
which, and the session goes on. With an iterator as input the function is one call, and its exception ends the session.

Neither side's haste fills this process: of inputs that wait, the oldest are dropped beyond a number and a size; while
the caller has not taken in what was sent, the function is held.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pydantic

from pondage.app.exceptions import AppException, FieldException, RequestCancelledException
from pondage.app.loading import trace_of
from pondage.app.outputs import OutputError
from pondage.app.served import Endpoint
from pondage.runner import outcomes
from pondage.runner.attempt import Attempt
from pondage.runner.devices import device_error
from pondage.runner.findings import Misfit, in_a_sentence
from pondage.runner.stream import asynchronous, is_many, is_plain
from pondage.wire.finite import find_odd, odd_in_text
from pondage.wire.frames import MESSAGE_COST, SLICE, Frame, SessionClose, SessionMessage, SessionMore, session_messages
from pondage.wire.text import in_one_line, text_of

SESSION_FRAMES = (SessionMessage, SessionMore, SessionClose)
_END = object()


class Message:
    """What the caller sent: its number in the session, from 1, its bytes, and whether they came as text."""

    __slots__ = ("data", "number", "text")

    def __init__(self, number: int, data: bytes, text: bool) -> None:
        self.number = number
        self.data = data
        self.text = text


class Session:
    """One session in this runner.

    Args:
        send: queues a frame to the gateway.
        flush: writes what is queued now, and not at the end of this turn of the loop.
        threaded: runs a function in the attempt's thread.
        batched: hands a message to the endpoint's batch, where there is one.
        idle: seconds without a message after which the session ends.
        buffer: most messages that wait; beyond it the oldest are dropped.
        buffer_bytes: most bytes that wait, likewise; one message always may.
        window: bytes of results that the caller has not taken in, beyond which the function is held.
    """

    def __init__(
        self,
        attempt: Attempt,
        endpoint: Endpoint,
        app: Any,
        *,
        send: Callable[[Frame], None],
        flush: Callable[[], None],
        threaded: Callable[[Callable[[], Any]], Awaitable[Any]],
        batched: Callable[[Any], Awaitable[Any]] | None,
        idle: float,
        buffer: int,
        buffer_bytes: int,
        window: int,
    ) -> None:
        self.attempt = attempt
        self._endpoint = endpoint
        self._signature = endpoint.signature
        self._app = app
        self._send_frame = send
        self._flush = flush
        self._threaded = threaded
        self._batched = batched
        self._idle = endpoint.declaration.session_timeout or idle
        self._buffer = buffer
        self._buffer_bytes = buffer_bytes
        self._window = window
        self._id = attempt.frame.request_id
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Message] = deque()
        self._waiting_bytes = 0
        self._unread = 0
        self._lock = threading.Lock()
        self._room = asyncio.Event()
        self._parts: list[bytes] = []
        self._arrived = asyncio.Event()
        self._hung_up = False
        self._over = False
        """No message came for too long: none is waited for any more. The caller still gets what the function sends."""
        self._silent_since: float | None = None
        """Since when the next message is waited for, on the loop's clock."""
        self._watching: asyncio.TimerHandle | None = None
        self._text = False
        self.received = 0
        self.dropped = 0
        self.sent = 0

    # ---- from the gateway

    def take(self, frame: SessionMessage) -> None:
        """A message, or a slice of one."""
        if frame.more or self._parts:
            self._parts.append(frame.data)
            if frame.more:
                return
            frame = SessionMessage(frame.request_id, b"".join(self._parts), frame.text)
            self._parts.clear()
        self.received += 1
        self._inbox.append(Message(self.received, frame.data, frame.text))
        self._waiting_bytes += len(frame.data)
        while len(self._inbox) > self._buffer or (self._waiting_bytes > self._buffer_bytes and len(self._inbox) > 1):
            self._waiting_bytes -= len(self._inbox.popleft().data)
            self.dropped += 1
        self._arrived.set()

    def more(self, frame: SessionMore) -> None:
        """The caller has taken in some of the results."""
        with self._lock:
            self._unread -= frame.n
        self._room.set()

    def hang_up(self) -> None:
        """The caller has left. Answers would reach nobody, so single messages that wait are let go; a function that
        iterates over the messages still gets all that came."""
        self._hung_up = True
        if self.attempt.stopped or not self._signature.consumes:
            self._inbox.clear()
        self._arrived.set()
        self._room.set()

    @property
    def abandoned(self) -> bool:
        """The caller has left, and what still runs is an answer to nobody."""
        return self._hung_up and not self._signature.consumes

    # ---- the session

    async def run(self) -> bytes:
        """Until the caller leaves, is silent for too long, or the function ends; the body of the outcome."""
        try:
            if self._signature.consumes:
                await self._one_call()
            else:
                await self._message_by_message()
            if self.attempt.cancelled:
                raise asyncio.CancelledError
        except asyncio.CancelledError:
            self._close(1001, self.attempt.stopped or "stopped")
            raise
        except BaseException as error:
            self._complain("INTERNAL_ERROR", in_one_line(error))
            self._close(1011, "the endpoint failed")
            raise
        finally:
            if self._watching is not None:
                self._watching.cancel()
        self._close(1000, "")
        return msgspec.json.encode({"received": self.received, "sent": self.sent, "dropped": self.dropped})

    async def _message_by_message(self) -> None:
        while (message := await self._next()) is not None:
            try:
                if self._signature.several:
                    await self._answer_several(message)
                else:
                    await self._answer(self._read(message, self._signature.input.arguments))
            except asyncio.CancelledError:
                if self.attempt.stopped or asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    raise
                self._report(message, RuntimeError("the function was cancelled"))
            except BaseException as error:
                if device_error(error) is not None:
                    raise  # the next message would fail, too
                self._report(message, error)
            if not self._inbox:
                self._flush()
            await self._has_room()

    async def _answer(self, arguments: dict[str, Any]) -> None:
        if self._batched is not None:
            self._send(await self._batched(next(iter(arguments.values()))))
        else:
            await self._deliver(lambda: self._endpoint.call(self._app, **arguments))

    async def _answer_several(self, first: Message) -> None:
        """One call for the messages that wait, as many as a batch has; one that does not fit costs itself only."""
        batch: list[Any] = []
        message: Message | None = first
        while message is not None:
            try:
                fitted = next(iter(self._read(message, self._signature.input.arguments).values()))
            except Exception as error:
                self._report(message, error)
            else:
                if batch and callable(fits := getattr(batch[0], "can_batch", None)) and not fits(fitted, len(batch)):
                    self._inbox.appendleft(message)
                    self._waiting_bytes += len(message.data)
                    break
                batch.append(fitted)
            full = len(batch) >= self._endpoint.declaration.max_batch_size
            message = None if full or not self._inbox else await self._next()
        if batch:
            await self._deliver(lambda: self._endpoint.call(self._app, *batch))

    async def _one_call(self) -> None:
        (name,) = self._signature.names
        signature = self._signature
        asynchronous = signature.is_async or signature.generates_async or signature.consumes_async
        messages: Any = self._messages() if asynchronous else self._messages_in_thread()
        await self._deliver(lambda: self._endpoint.call(self._app, **{name: messages}))
        if self._over:
            self._say_silent()

    async def _deliver(self, start: Callable[[], Any]) -> None:
        """Call the function; send what it returns, or each value that it yields."""
        signature = self._signature
        if signature.is_async or signature.generates_async:
            made = start()
        else:
            made = await self._threaded(lambda: self._pulled(start()))
        while inspect.isawaitable(made):  # as behind a decorator that is a plain function
            made = await made
        if is_plain(made, many=signature.generates, typed=signature.output.typed):
            self._send(made)
        elif (generator := asynchronous(made)) is not None:
            try:
                async for value in generator:
                    self._send(value)
                    await asyncio.sleep(0)
                    await self._has_room()
            finally:
                if (close := getattr(generator, "aclose", None)) is not None:
                    await close()
        else:
            await self._threaded(lambda: self._pulled(made))

    def _pulled(self, made: Any) -> Any:
        """In the attempt's thread: what a generator yields is sent; anything else is handed back."""
        if is_plain(made, many=self._signature.generates, typed=self._signature.output.typed) or not is_many(made):
            return made
        for value in made:
            self._send(value)
            if self._unread > self._window:
                asyncio.run_coroutine_threadsafe(self._has_room(), self._loop).result()
        return None

    async def _messages(self) -> AsyncIterator[Any]:
        while (message := await self._next()) is not None:
            value = self._fitted(message)
            if value is not _END:
                yield value

    def _messages_in_thread(self) -> Iterator[Any]:
        while True:
            message = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if message is None:
                return
            value = self._fitted(message)
            if value is not _END:
                yield value

    def _fitted(self, message: Message) -> Any:
        try:
            return self._read(message, self._signature.input.take)
        except Exception as error:
            self._report(message, error)
            return _END

    async def _has_room(self) -> None:
        """Until the caller has taken in enough of what was sent to it, or has left."""
        while self._unread > self._window and not self._hung_up:
            self._room.clear()
            await self._room.wait()

    async def _next(self) -> Message | None:
        """The next message; None at the end of the session."""
        await self._has_room()
        while not self._inbox:
            if self._hung_up or self._over:
                return None
            self._arrived.clear()
            self._silent_since = self._loop.time()
            if self._watching is None:
                self._watching = self._loop.call_later(self._idle, self._look)
            await self._arrived.wait()
        self._silent_since = None
        message = self._inbox.popleft()
        self._waiting_bytes -= len(message.data)
        self._text = message.text
        return message

    def _look(self) -> None:
        """Whether nothing has come for too long. One timer at a time: one for each message would cost more than it."""
        self._watching = None
        if self._hung_up or self._silent_since is None or self._inbox:
            return
        left = self._silent_since + self._idle - self._loop.time()
        if left > 0:
            self._watching = self._loop.call_later(left, self._look)
            return
        self._over = True
        if not self._signature.consumes:
            self._say_silent()
        self._arrived.set()

    def _say_silent(self) -> None:
        """That no message came for too long; behind what a function that iterates over the messages still sends."""
        # PROTOCOL 6.4: official clients know this one and do not show it as an error.
        self._complain("TIMEOUT", f"no message came for {self._idle:g} seconds")

    # ---- messages

    def _read(self, message: Message, check: Callable[[Any], Any]) -> Any:
        """A message as the function gets it; raises Misfit."""
        try:
            return check(self._decode(message))
        except (pydantic.ValidationError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Misfit(error) from error

    def _decode(self, message: Message) -> Any:
        if (decode := self._endpoint.declaration.decode_message) is not None:
            return decode(message.data.decode() if message.text else message.data)
        try:
            if message.text:
                return msgspec.json.decode(message.data)
            value = msgspec.msgpack.decode(message.data)
            odd = find_odd(value)
        except RecursionError as error:
            raise msgspec.DecodeError("it nests too deeply") from error
        except msgspec.DecodeError as error:
            if message.text and (odd := odd_in_text(message.data)) is not None:
                raise msgspec.DecodeError(f"{odd}, which JSON does not have") from error
            raise
        if odd is not None:  # msgpack has words for it, and the endpoint's type is that of JSON
            raise msgspec.ValidationError(f"{odd}, which JSON does not have")
        return value

    def _send(self, value: Any) -> None:
        """A result, in the kind of frame that the caller last used."""
        if value is None or self._hung_up:
            return
        if (encode := self._endpoint.declaration.encode_message) is not None:
            encoded = encode(self._signature.output.plain(value, nulls=True))
            text = isinstance(encoded, str)
            # A buffer of the author's own may change before it has left.
            data = encoded.encode() if isinstance(encoded, str) else bytes(memoryview(encoded))
        else:
            text = self._text
            plain = self._signature.output.plain(value, nulls=text)
            if (odd := find_odd(plain)) is not None:
                raise OutputError(f"the endpoint's output cannot be sent: {odd}, which JSON does not have")
            data = msgspec.json.encode(plain) if text else msgspec.msgpack.encode(plain)
        self.sent += 1
        self._put(data, text)

    def _put(self, data: bytes, text: bool) -> None:
        slices = -(-len(data) // SLICE) or 1
        with self._lock:
            self._unread += len(data) + slices * MESSAGE_COST
        for part in session_messages(self._id, data, text):
            self._send_frame(part)

    def _report(self, message: Message, error: BaseException) -> None:
        """Tell the caller what became of one message; the operator gets the traceback of what was not foreseen."""
        if isinstance(error, Misfit):
            self._complain("INVALID_INPUT", in_a_sentence(error.found, text=message.text), message)
        elif isinstance(error, FieldException):
            self._complain("INVALID_INPUT", text_of(error), message)
        elif isinstance(error, AppException | RequestCancelledException):
            self._complain("APP_ERROR", outcomes.sentence(error.message), message)
        elif isinstance(getattr(error, "status_code", None), int) and hasattr(error, "detail"):
            self._complain("APP_ERROR", outcomes.sentence(error.detail), message)
        else:
            self.attempt.log("ERROR", trace_of(error), "pondage")
            self._complain("INTERNAL_ERROR", in_one_line(error), message)

    def _complain(self, error: str, reason: str, message: Message | None = None) -> None:
        """A control message: JSON text, whatever the caller speaks (PROTOCOL 6.4)."""
        members: dict[str, Any] = {"type": "x-fal-error", "error": error, "reason": reason}
        if message is not None:
            members |= {"reason": f"message {message.number}: {reason}", "message": message.number}
        if not self._hung_up:
            self._put(msgspec.json.encode(members), True)

    def _close(self, code: int, reason: str) -> None:
        self._send_frame(SessionClose(self._id, code, reason))
