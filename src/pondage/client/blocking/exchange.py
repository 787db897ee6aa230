# Generated from pondage/client/aio/exchange.py by scripts/generate_sync_client.py: change that.
"""Sending calls: the thin loop around `pondage.client.core`."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pondage.client import context, core, limits
from pondage.client.blocking import flow
from pondage.client.core import Answer, Call, Failure, Repeat, Retries
from pondage.client.deadline import Deadline
from pondage.client.errors import ClientError, ConnectionError, TimeoutError
from pondage.client.target import Target, point
from pondage.clock import Clock, SystemClock
from pondage.wire.masking import masked
from pondage.wire.urls import request_target

if TYPE_CHECKING:
    import httpx2


class Exchange:
    """Sends calls to one target over one pool of connections.

    Args:
        base_url, key: as in `pondage.client.target.point`; the environment is read at the first call.
        default_timeout: seconds for one exchange that has no limit of its own.
        max_attempts: tries of a call that may be repeated.
        clock: time.
    """

    def __init__(
        self,
        base_url: str | None,
        key: str | None,
        default_timeout: float,
        *,
        max_attempts: int = limits.MAX_ATTEMPTS,
        clock: Clock | None = None,
    ) -> None:
        self._base_url = base_url
        self._key = key
        self._target: Target | None = None
        self._base: dict[str, str] = {}
        self._pool = flow.Pool()
        self._max_attempts = max_attempts
        self._met = False
        self.default_timeout = default_timeout
        self.clock = clock or SystemClock()
        self.pondage: bool | None = None
        """Whether the server has shown itself to be Pondage; None until it has answered."""

    @property
    def target(self) -> Target:
        if self._target is None:
            self._target = point(self._base_url, self._key)
            self._base = core.base_headers(self._target)
        return self._target

    @property
    def base(self) -> dict[str, str]:
        """The headers that every call carries; not to be changed."""
        if not self._base:
            self._base = core.base_headers(self.target)
        return self._base

    def deadline(self, seconds: float | None) -> Deadline:
        return Deadline(seconds, self.clock)

    def close(self) -> None:
        self._pool.close()

    def send(self, call: Call, *, timeout: float | None, deadline: Deadline | None = None) -> Answer:
        """Ask, again where that is right, and return the answer, whatever its status.

        Args:
            call: what to ask.
            timeout: seconds for one try, None for no limit.
            deadline: for all tries together.

        Raises:
            ConnectionError: no answer, and no further try.
            TimeoutError: no answer in time.
        """
        client = self._pool.ready() or self._pool.make()
        import httpx2  # after the pool has loaded it, where that blocks nobody

        if call.method == "POST" and self.target.cloud:
            call = call._replace(repeat=Repeat.UNSENT)  # fal knows no idempotency key
        retries: Retries | None = None
        while True:
            limit = timeout if deadline is None else deadline.bound(timeout)
            request = _request(call, limit)
            try:
                response = _asked(client, request)
            except httpx2.RequestError as error:
                if isinstance(error, httpx2.ReadTimeout | httpx2.WriteTimeout) and call.method != "GET":
                    raise TimeoutError(_limit(timeout, deadline)) from error
                if deadline is not None and deadline.over:
                    raise TimeoutError(_limit(timeout, deadline)) from error
                failure = failure_of(error)
                self._met = self._met or failure is Failure.LOST  # there was somebody at the other end
                retries = retries or self._retries(call.repeat)
                wait = retries.after_failure(failure)
                if wait is None:
                    if isinstance(error, httpx2.ReadTimeout):
                        raise TimeoutError(_limit(timeout, deadline)) from error
                    raise unreachable(call, error) from error
            else:
                self._met = True
                if not self.pondage:
                    self.pondage = core.is_pondage(response.headers)
                context.take_headers(response.headers)
                if response.status_code not in core.LATER:
                    return Answer(response.status_code, response.headers, response.content, response)
                retries = retries or self._retries(call.repeat)
                wait = retries.after_answer(response.status_code, response.headers)
                if wait is None:
                    return Answer(response.status_code, response.headers, response.content, response)
            if deadline is not None:
                deadline.check()
            flow.sleep(wait if deadline is None else deadline.bound(wait) or 0.0)

    def _retries(self, repeat: Repeat) -> Retries:
        attempts = self._max_attempts if self._met else min(self._max_attempts, limits.FIRST_CONTACT_ATTEMPTS)
        return Retries(repeat, attempts, random.random)

    def retries(self) -> Retries:
        """Tries for something that is repeated freely but not by `send`."""
        return self._retries(Repeat.FREELY)

    def cancel_named(self, twin: Call, endpoint: str) -> str | None:
        """Cancel the request of a call whose answer never came; its id, if it could be had.

        Args:
            twin: the submit that names the same request, see `core.twin_call`.
            endpoint: the endpoint's id.
        """
        limit = self.deadline(limits.CANCEL_TIMEOUT)
        try:
            if self.pondage is None:  # no server has answered yet; another than ours would take the twin for a new one
                self.send(core.health_call(self.target), timeout=limits.CANCEL_TIMEOUT, deadline=limit)
            if not self.pondage:
                return None
            answer = self.send(twin, timeout=limits.CANCEL_TIMEOUT, deadline=limit)
            request_id, urls = core.read_ticket(self.target, endpoint, answer)
            self.send(core.cancel_call(self.base, urls), timeout=limits.CANCEL_TIMEOUT, deadline=limit)
        except ClientError:
            return None
        return request_id

    @contextmanager
    def open(self, call: Call, *, idle: float | None, deadline: Deadline | None = None) -> Iterator[OpenAnswer]:
        """Ask once, and read the answer's body as it comes.

        Args:
            call: what to ask.
            idle: seconds without a byte after which the connection counts as broken.
            deadline: when the connection is cut in any case.

        Raises:
            Broken: no answer, or the connection broke.
        """
        client = self._pool.ready() or self._pool.make()
        import httpx2  # after the pool has loaded it, where that blocks nobody

        limit = idle if deadline is None else deadline.bound(idle)
        try:
            response = _asked(client, _request(call, limit), stream=True)
        except httpx2.RequestError as error:
            failure = failure_of(error)
            self._met = self._met or failure is Failure.LOST
            raise Broken(failure, unreachable(call, error)) from error
        self._met = True
        if not self.pondage:
            self.pondage = core.is_pondage(response.headers)
        left = None if deadline is None else deadline.remaining()
        alarm = None if left is None else flow.Alarm(left, partial(_cut, response))
        try:
            yield OpenAnswer(call, response)
        finally:
            if alarm is not None:
                alarm.stop()
            response.close()


class Broken(Exception):
    """A stream's connection could not be opened, or broke; `error` is what a caller would be told."""

    def __init__(self, failure: Failure, error: ConnectionError) -> None:
        super().__init__(str(error))
        self.failure = failure
        self.error = error


class OpenAnswer:
    """An answer whose body is still coming."""

    def __init__(self, call: Call, response: httpx2.Response) -> None:
        self._call = call
        self._response = response
        self.status = response.status_code
        self.headers = response.headers

    def whole(self) -> Answer:
        """The rest of the body at once.

        Raises:
            Broken: the connection broke.
        """
        import httpx2

        try:
            return Answer(self.status, self.headers, self._response.read(), self._response)
        except httpx2.RequestError as error:
            raise Broken(Failure.LOST, unreachable(self._call, error)) from error

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes.

        Raises:
            Broken: the connection broke.
        """
        import httpx2

        try:
            yield from self._response.iter_bytes()
        except httpx2.RequestError as error:
            raise Broken(Failure.LOST, unreachable(self._call, error)) from error


def _cut(response: httpx2.Response) -> None:
    """End a connection from outside: comments may keep a read from ever running out of time."""
    stream = response.extensions.get("network_stream")
    end = None if stream is None else stream.get_extra_info("socket")
    if end is not None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _asked(client: Any, request: httpx2.Request, *, stream: bool = False) -> httpx2.Response:
    import httpx2

    try:
        response: httpx2.Response = client.send(request, stream=stream)
        return response
    except AttributeError as error:
        # Under uvloop the library asks a connection that was reset as soon as it was open for its peer's name, and
        # finds no socket.
        if error.obj is not None:
            raise
        raise httpx2.ReadError("it was reset as soon as it was open", request=request) from error


def _request(call: Call, limit: float | None) -> httpx2.Request:
    import httpx2

    connect = limits.CONNECT_TIMEOUT if limit is None else min(limits.CONNECT_TIMEOUT, limit)
    timeouts = {"connect": connect, "read": limit, "write": limit, "pool": limit}
    body = call.body() if callable(call.body) else call.body
    # Bytes, since the library takes text in ASCII only; a file's name may have more.
    headers = [(name.encode(), value.encode()) for name, value in call.headers.items()]
    extensions: dict[str, Any] = {"timeout": timeouts}
    if call.as_given:
        extensions["target"] = request_target(call.url).encode()
    return httpx2.Request(call.method, call.url, headers=headers, content=body, extensions=extensions)


def failure_of(error: Exception) -> Failure:
    """Whether anything was sent before `error`, an exception of the HTTP library."""
    import httpx2

    unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
    return Failure.UNSENT if isinstance(error, unsent) else Failure.LOST


def unreachable(call: Call, error: Exception) -> ConnectionError:
    """What a caller is told when no answer came."""
    origin = masked("/".join(call.url.split("/", 3)[:3]))
    said: Any = str(error) or type(error).__name__
    broke = failure_of(error) is not Failure.UNSENT
    if broke:
        told = ConnectionError(f"the connection to {origin} broke before the answer came: {said}")
    else:
        told = ConnectionError(f"cannot reach {origin}: {said}; is the server running there? (PONDAGE_URL, base_url)")
    told.origin, told.broke = origin, broke
    return told


def _limit(timeout: float | None, deadline: Deadline | None) -> float:
    if deadline is not None and deadline.seconds is not None:
        return deadline.seconds
    return timeout or 0.0
