"""The decorators that make a method of an `App` an endpoint. They only declare; `signature` reads the types."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import msgspec

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__pondage_endpoint__"
"""The attribute by which a decorated function carries its declaration."""

OnDisconnect = Literal["keep", "cancel"]


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """fal's health check of an endpoint. Accepted; nobody calls it: the runner's own heartbeats decide here."""

    start_period_seconds: int | None = 30
    timeout_seconds: int | None = 5
    failure_threshold: int | None = 3
    call_regularly: bool | None = True
    method: str | None = "GET"


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What a decorator says of a function. Durations in seconds."""

    path: str
    realtime: bool = False
    on_disconnect: OnDisconnect | None = None
    retry_streams: bool | None = None
    health_check: HealthCheck | None = None
    max_batch_size: int = 1
    batch_wait: float = 0.01
    cost: tuple[str, ...] = ()
    billing: dict[str, Any] | None = None
    buffering: int | None = None
    session_timeout: float | None = None
    input_modal: Any = None
    output_modal: Any = None
    content_type: str = "application/msgpack"
    encode_message: Callable[[Any], bytes | str] | None = None
    decode_message: Callable[[Any], Any] | None = None


def endpoint(
    path: str,
    *,
    is_websocket: bool = False,
    health_check: HealthCheck | None = None,
    billing: Any = None,
    on_disconnect: OnDisconnect | None = None,
    retry_streams: bool | None = None,
    max_batch_size: int = 1,
    batch_wait: float = 0.01,
    cost: str | Sequence[str] = (),
) -> Callable[[F], F]:
    """Make a method answer `POST {app}{path}`. A generator streams its chunks.

    Args:
        path: begins with `/`; `/` is the app's own address.
        is_websocket: fal's raw WebSocket endpoints are not supported; use `pondage.realtime`.
        health_check: accepted for fal's sake, and never called: a runner is known to live by its heartbeats.
        billing: an object whose `declaration()` says what the endpoint bills by; it is checked, and shown with the app.
            Nothing is billed here: units are what `x-fal-billable-units` says.
        on_disconnect: what becomes of a direct call whose caller hangs up and did not say itself: `cancel` or `keep`.
            None: a `run` without an idempotency key is cancelled, since nobody can come back for its result; every
            other call goes on.
        retry_streams: whether a stream may run again after its caller has seen chunks; None: as the app says.
        max_batch_size: above 1 the method gets a list of up to so many inputs, of several requests, and returns a
            list with a result, or an exception, for each.
        batch_wait: how long the first of a batch waits for others, in seconds.
        cost: numeric fields of the input whose product says how dear a request is, such as `("steps", "num_images")`.
            The server learns how long a unit takes; callers are told when they will be served, and fair order goes
            by it.

    Raises:
        TypeError: a value that does not fit.
        ValueError: `billing` declares what is no `BillingComponents`.
    """
    if is_websocket:
        raise TypeError(f"endpoint({path!r}, is_websocket=True): raw WebSockets are not served; use @pondage.realtime")
    return _mark(
        Declaration(
            path=path,
            on_disconnect=on_disconnect,
            retry_streams=retry_streams,
            health_check=health_check,
            max_batch_size=max_batch_size,
            billing=_billing(path, billing),
            batch_wait=batch_wait,
            cost=_names(path, cost),
        )
    )


def _billing(path: str, billing: object) -> dict[str, Any] | None:
    if billing is None:
        return None
    from pondage.app.billing import declared

    return declared(path, billing)


def _names(path: str, cost: Any) -> tuple[str, ...]:
    names = (cost,) if isinstance(cost, str) else tuple(cost) if isinstance(cost, list | tuple) else None
    if names is None or not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        raise TypeError(f"endpoint({path!r}, cost={cost!r}): cost is names of fields of the input, each once")
    return names


def realtime(
    path: str,
    *,
    buffering: int | None = None,
    session_timeout: float | None = None,
    input_modal: Any = None,
    output_modal: Any = None,
    max_batch_size: int = 1,
    content_type: str = "application/msgpack",
    encode_message: Callable[[Any], bytes | str] | None = None,
    decode_message: Callable[[Any], Any] | None = None,
) -> Callable[[F], F]:
    """Make a method serve a WebSocket session. The type hints choose the mode: one message in and one out, an
    asynchronous iterator in, a generator out, or both.

    Args:
        path: begins with `/`, usually `/realtime`.
        buffering: most unprocessed messages of a session; beyond it the oldest are dropped. 1 to 60.
        session_timeout: a session without a message for so many seconds is ended; None: the server's default.
        input_modal: the type of a message, where the hints do not say it.
        output_modal: the type of a result, where the hints do not say it.
        max_batch_size: above 1 a method that takes a `list[…]` gets the messages that wait, of several sessions, and
            returns a list of as many results; one that takes `(self, input, *inputs)`, fal's shape, gets those of
            one session, and returns one result.
        content_type: accepted for fal's sake; the caller's frames decide.
        encode_message: makes the bytes (or text) of a result instead of msgpack or JSON; it gets what the result is
            made of: dicts, lists, strings, numbers and bytes.
        decode_message: makes the value of a message from its bytes or text.

    Raises:
        TypeError: a value that does not fit.
    """
    if buffering is not None and not 1 <= buffering <= 60:
        raise TypeError(f"realtime({path!r}): buffering is 1 to 60 messages, got {buffering}")
    return _mark(
        Declaration(
            path=path,
            realtime=True,
            buffering=buffering,
            session_timeout=session_timeout,
            input_modal=input_modal,
            output_modal=output_modal,
            max_batch_size=max_batch_size,
            content_type=content_type,
            encode_message=encode_message,
            decode_message=decode_message,
        )
    )


def _mark(declaration: Declaration) -> Callable[[F], F]:
    path = declaration.path
    if not path.startswith("/") or (path != "/" and path.endswith("/")):
        raise TypeError(f"an endpoint's path begins with / and does not end with it, got {path!r}")
    if declaration.max_batch_size < 1:
        raise TypeError(f"endpoint {path!r}: max_batch_size is at least 1, got {declaration.max_batch_size}")

    def mark(function: F) -> F:
        method: Any = function
        callable_here = callable(method) and not isinstance(method, type | staticmethod | classmethod)
        if not (callable_here or isinstance(method, functools.partialmethod)):
            raise TypeError(f"endpoint {path!r}: decorate a method of the app's class, got {function!r}")
        try:
            setattr(function, MARK, declaration)
        except AttributeError as error:
            raise TypeError(f"endpoint {path!r}: decorate a function, got {function!r}") from error
        return function

    return mark
