"""The client's decisions, without I/O: what to send, what an answer means, whether and when to send again.

A `Call` is one thing to ask; it may take several tries. `Idempotency-Key` is made once per call and kept over its
tries, so that a repeat never makes a second request (own header, not fal's).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import msgspec

from pondage import __version__
from pondage.client import context, errors, limits
from pondage.client.inputs import encode_input
from pondage.client.target import RequestUrls, Target, endpoint_path, request_urls

Priority = Literal["normal", "low"]
USER_AGENT = f"pondage-client/{__version__} (python)"


class Repeat(Enum):
    """When a call may be sent again."""

    FREELY = "freely"
    """It reads, or carries an idempotency key: also if the answer was lost or says to try later."""
    UNSENT = "unsent"
    """Only if it surely was not sent."""


class Failure(Enum):
    """Why no answer came."""

    UNSENT = "unsent"
    """No connection could be made."""
    LOST = "lost"
    """The connection broke, or stayed silent, after something was sent."""


class Call(NamedTuple):
    """One thing to ask of the server. A `body` that is a function gives the bytes piece by piece, anew for each try.
    `as_given`: the URL came from outside, and may be signed: path and query go out as they stand in it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | Callable[[], Any] | None = None
    repeat: Repeat = Repeat.FREELY
    as_given: bool = False


class Answer(NamedTuple):
    """What came back. `headers` has lower-case names, `response` is the HTTP library's object."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    response: Any = None


# -- what to send


def new_key() -> str:
    """A fresh idempotency key."""
    return os.urandom(16).hex()


def base_headers(target: Target) -> dict[str, str]:
    """What every call carries."""
    headers = {"accept": "application/json", "user-agent": USER_AGENT}
    if (authorization := target.authorization) is not None:
        headers["authorization"] = authorization
    return headers


def either(arguments: Any, input: Any) -> Any:
    """The input, whichever of its two names the caller used; none is `{}`.

    Raises:
        TypeError: both were used.
    """
    if arguments is None:
        return {} if input is None else input
    if input is not None:
        raise TypeError("give the input once: as arguments= or as input=")
    return arguments


class Options(NamedTuple):
    """What `run`, `submit` and `subscribe` may say of a request, besides its input."""

    path: str = ""
    method: str = "POST"
    hint: str | None = None
    priority: Priority | None = None
    start_timeout: float | None = None
    webhook_url: str | None = None
    idempotency_key: str | None = None
    on_disconnect: Literal["cancel", "keep"] | None = None
    headers: Mapping[str, str] = {}
    on_fault: Literal["wait", "fail"] | None = None
    start_at: datetime | float | None = None
    deadline: datetime | float | None = None
    payload_ttl: float | None = None


def run_call(target: Target, base: dict[str, str], endpoint: str, input: Any, options: Options) -> Call:
    """The direct call of an endpoint (PROTOCOL 5.1). A `GET` carries no input, as with fal's client."""
    url = target.run + endpoint_path(endpoint, options.path)
    call = _work(target, base, url, None if options.method == "GET" else encode_input(input), options)
    if not target.cloud:
        call.headers.setdefault("prefer", "respond-async")
    return call


def goes_on(answer: Answer) -> bool:
    """Whether the answer to a `run` is no result but the request's id, since the server stops meanwhile (RFC 7240)."""
    return answer.status == 202 and answer.headers.get("preference-applied") == "respond-async"


def submit_call(target: Target, base: dict[str, str], endpoint: str, input: Any, options: Options) -> Call:
    """Put a request into the queue (PROTOCOL 4.4)."""
    url = target.queue + endpoint_path(endpoint, options.path)
    if options.webhook_url:
        url += "?" + urlencode({"fal_webhook": options.webhook_url})
    return _work(target, base, url, encode_input(input), options)


def stream_call(target: Target, base: dict[str, str], endpoint: str, input: Any, options: Options) -> Call:
    """A direct call whose answer is an event stream (PROTOCOL 5.2)."""
    url = target.run + endpoint_path(endpoint, "" if endpoint.endswith(options.path) else options.path)
    call = _work(target, base, url, encode_input(input), options)
    call.headers.update({"accept": "text/event-stream", "cache-control": "no-store"})
    return call


def _work(target: Target, base: dict[str, str], url: str, body: bytes | None, options: Options) -> Call:
    headers = base.copy()
    if body is not None:
        headers["content-type"] = "application/json"
    if options.start_timeout is not None:
        headers |= start_timeout_headers(options.start_timeout)
    if options.hint is not None:
        headers["x-fal-runner-hint"] = check_header("hint", options.hint)
    if options.priority is not None:
        headers["x-fal-queue-priority"] = check_priority(options.priority)
    headers |= time_headers(target, options)
    context.add_headers(headers)
    if options.headers:
        headers.update({name.lower(): check_header(name, value) for name, value in options.headers.items()})
    if target.cloud:
        return Call(options.method, url, headers, body, Repeat.UNSENT)
    if options.idempotency_key is not None:
        headers["idempotency-key"] = check_header("idempotency_key", options.idempotency_key)
    elif "idempotency-key" not in headers:
        headers["idempotency-key"] = new_key()
    if options.on_disconnect is not None:
        headers["pondage-on-disconnect"] = options.on_disconnect
    if options.on_fault is not None:
        headers["pondage-on-fault"] = options.on_fault
    return Call(options.method, url, headers, body, Repeat.FREELY)


def start_timeout_headers(seconds: float) -> dict[str, str]:
    """Both names of the start limit (PROTOCOL 4.3).

    Raises:
        ValueError: not a number, or not more than `limits.MIN_START_TIMEOUT`, or no finite one.
    """
    value = float(seconds)
    if not limits.MIN_START_TIMEOUT < value < math.inf:
        raise ValueError(f"start_timeout must be more than {limits.MIN_START_TIMEOUT:g} second, got {seconds!r}")
    return {"x-fal-request-timeout": str(value), "x-fal-request-start-timeout": str(value)}


def time_headers(target: Target, options: Options) -> dict[str, str]:
    """When a request may start, by when it must have ended, and how long its payloads are kept.

    Raises:
        ValueError: one is no finite number, or the server is fal's cloud, which has none of them.
    """
    headers = {}
    for name, value in (
        ("start_at", options.start_at),
        ("deadline", options.deadline),
        ("payload_ttl", options.payload_ttl),
    ):
        if value is None:
            continue
        if target.cloud:
            raise ValueError(f"{name} is for Pondage's servers; fal's cloud has nothing like it")
        seconds = value.timestamp() if isinstance(value, datetime) else float(value)
        if not math.isfinite(seconds):
            raise ValueError(f"{name} must be finite, got {value!r}")
        headers[f"pondage-{name.replace('_', '-')}"] = str(seconds)
    return headers


def check_header(name: str, value: str) -> str:
    """The value of a header, if it is good.

    Raises:
        ValueError: it holds control characters.
    """
    if not value.isprintable() and any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError(f"{name} holds control characters: {value!r}")
    return value


def check_priority(priority: str) -> str:
    """The priority, if it is one.

    Raises:
        ValueError: it is not.
    """
    if priority not in ("normal", "low"):
        raise ValueError(f"priority is 'normal' or 'low', got {priority!r}")
    return priority


def start_limit(start_timeout: float | None, client_timeout: float | None) -> float | None:
    """The start limit of a `subscribe`: its own, else the limit of the whole, where that is long enough for one."""
    if start_timeout is None and client_timeout is not None and client_timeout > limits.MIN_START_TIMEOUT:
        return client_timeout
    return start_timeout


def status_call(base: dict[str, str], urls: RequestUrls, *, with_logs: bool) -> Call:
    """Ask for the status (PROTOCOL 4.5)."""
    return Call("GET", f"{urls.status}?logs={'true' if with_logs else 'false'}", base)


def status_stream_call(base: dict[str, str], urls: RequestUrls, *, with_logs: bool, last_id: str | None) -> Call:
    """Follow the status (PROTOCOL 4.6)."""
    headers = base | {"accept": "text/event-stream"}
    if last_id is not None:
        headers["last-event-id"] = last_id
    return Call("GET", f"{urls.status}/stream?logs={1 if with_logs else 0}", headers)


def chunk_stream_call(
    base: dict[str, str], urls: RequestUrls, *, last_id: str | None, on_disconnect: str | None = None
) -> Call:
    """Follow the partial output of a request from where `last_id` was."""
    headers = base | {"accept": "text/event-stream"}
    if on_disconnect is not None:
        headers["pondage-on-disconnect"] = on_disconnect
    if last_id is not None:
        headers["last-event-id"] = last_id
    return Call("GET", urls.response + "/stream", headers)


def result_call(base: dict[str, str], urls: RequestUrls, *, wait: float | None) -> Call:
    """Ask for the result; with `wait`, the answer may take so many seconds (RFC 7240)."""
    headers = base if wait is None else base | {"prefer": f"wait={math.ceil(wait)}"}  # whole seconds (RFC 7240)
    return Call("GET", urls.response, headers)


def cancel_call(base: dict[str, str], urls: RequestUrls) -> Call:
    """Cancel (PROTOCOL 4.7); it may be said twice."""
    return Call("PUT", urls.cancel, base)


def health_call(target: Target) -> Call:
    """Whether a server is there, and whose it is: everybody may ask."""
    return Call("GET", target.run + "/healthz", {})


def twin_call(call: Call, target: Target) -> Call:
    """The submit that names the same request as a direct call whose answer never came: same path, key and body."""
    return call._replace(url=target.queue + call.url.removeprefix(target.run))


# -- what an answer means


def raise_for_status(answer: Answer) -> None:
    """Nothing for a status below 300.

    Raises:
        HTTPError: of the kind that the status names.
    """
    if answer.status >= 300:
        raise errors.from_answer(answer.status, answer.headers, answer.body, answer.response)


class Ticket(msgspec.Struct):
    """The answer of a submit."""

    request_id: str
    response_url: str | None = None
    status_url: str | None = None
    cancel_url: str | None = None
    queue_position: int | None = None


_tickets = msgspec.json.Decoder(Ticket)


def read_ticket(target: Target, endpoint: str, answer: Answer) -> tuple[str, RequestUrls]:
    """The request's id, and its URLs: the server's own where they lie on the configured origin, else built ones.

    Raises:
        HTTPError: the request was refused.
        OutputMismatch: the answer is no submit's.
    """
    raise_for_status(answer)
    try:
        ticket = _tickets.decode(answer.body)
    except msgspec.DecodeError as error:
        raise errors.OutputMismatch(f"the server's answer to the submit is not understood: {error}") from error
    given = (ticket.response_url, ticket.status_url, ticket.cancel_url)
    if all(url is not None and target.owns(url) for url in given):
        return ticket.request_id, RequestUrls(*(url or "" for url in given))
    return ticket.request_id, request_urls(target, endpoint, ticket.request_id)


def is_pondage(headers: Mapping[str, str]) -> bool:
    """Whether the server says that it offers blocked reads and resumable streams."""
    return "pondage-version" in headers


def still_running(answer: Answer) -> bool:
    """Whether this answer to a result call says that there is none yet (PROTOCOL 4.7)."""
    return answer.status == 202 or (answer.status == 400 and b"still in progress" in answer.body[:500])


def cancel_refused(answer: Answer) -> bool:
    """Whether a cancel came too late; that is no error to a caller who wants it ended."""
    return answer.status == 400 and b"ALREADY_COMPLETED" in answer.body


# -- how long to wait, and whether to go on


def blocked_wait(remaining: float | None) -> float:
    """What to ask for in `Prefer: wait`, given the caller's time left."""
    return limits.BLOCKED_WAIT if remaining is None else max(0.0, min(limits.BLOCKED_WAIT, remaining))


LATER = frozenset({429, 502, 503, 504})
"""Statuses after which the same call may succeed."""


class Retries:
    """The tries of one call.

    Args:
        repeat: when the call may be sent again.
        attempts: how many tries there are in all.
        random: uniform in [0, 1).
    """

    def __init__(self, repeat: Repeat, attempts: int, random: Callable[[], float]) -> None:
        self._repeat = repeat
        self._attempts = attempts
        self._random = random
        self.made = 1

    def after_failure(self, failure: Failure) -> float | None:
        """Seconds until the next try, or None to give up."""
        if failure is Failure.LOST and self._repeat is not Repeat.FREELY:
            return None
        return self._next(0.0)

    def after_answer(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Seconds until the next try, or None where the answer stands."""
        if status not in LATER or self._repeat is not Repeat.FREELY:
            return None
        if "x-fal-request-timeout-type" in headers or headers.get("x-fal-retryable") == "false":
            return None
        asked = retry_after(headers)
        return None if asked > limits.RETRY_AFTER_MAX else self._next(asked)

    def _next(self, at_least: float) -> float | None:
        if self.made >= self._attempts:
            return None
        self.made += 1
        wait = min(limits.BACKOFF_MAX, limits.BACKOFF * 2.0 ** (self.made - 2))
        return max(at_least, wait * (1 - limits.JITTER * self._random()))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of the `Retry-After` header, 0 for none; dates are not read, since no clock can be trusted for them."""
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
