"""Realtime without I/O: what a frame means, which message goes next, what a handshake's failure means (PROTOCOL 6)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from pondage.client import core, errors, limits
from pondage.client.core import Answer, Call
from pondage.client.inputs import check_finite, foreign
from pondage.client.target import Target, endpoint_path
from pondage.wire.ids import parse_endpoint

CANCELLED = "client_cancelled"
"""The reason with which the server closes a session that was cancelled."""

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]

_encoder = msgspec.msgpack.Encoder(enc_hook=foreign)
_decoder = msgspec.msgpack.Decoder()


def encode_message(value: Any) -> bytes:
    """An input as msgpack; bytes stay bytes.

    Raises:
        TypeError: something in it cannot be sent.
        NotFinite: it holds NaN or an infinity, which the same endpoint would not take as JSON.
    """
    check_finite(value)
    return _encoder.encode(value)


def decode_message(data: bytes) -> Any:
    """A msgpack result."""
    return _decoder.decode(data)


class Result(NamedTuple):
    """A result of the app."""

    value: Any


class Notice(NamedTuple):
    """A control message that is no error, such as the place in the line for a slot."""

    payload: dict[str, Any]


class Fault(NamedTuple):
    """An error that the server reports; the session may go on."""

    error: errors.RealtimeError


class Quiet(NamedTuple):
    """The server is about to close because nothing came for long; no error to anybody."""


class Stranger(NamedTuple):
    """The server does not accept our token any more."""


Frame = Result | Notice | Fault | Quiet | Stranger


def read_frame(message: str | bytes, decode: Decode | None = None) -> Frame:
    """What a frame means: control messages are JSON text, results come in either kind.

    Raises:
        OutputMismatch: a binary frame that is no msgpack, or that the caller's own `decode` does not take.
    """
    if not isinstance(message, str):
        try:
            return Result((decode or decode_message)(bytes(message)))
        except Exception as error:  # a caller's own decoder may raise anything
            reader = "msgpack" if decode is None else "message for decode_message"
            raise errors.OutputMismatch(f"a message is no {reader}: {error}") from error
    try:
        payload = json.loads(message)
    except ValueError:
        return Result({"type": "text", "payload": message})
    if not isinstance(payload, dict):
        return Result(payload)
    kind = payload.get("type")
    if kind == "x-fal-message":
        return Notice(payload)
    if kind == "x-fal-error":
        if payload.get("error") == "TIMEOUT":
            return Quiet()
        return Fault(errors.RealtimeError(str(payload.get("error", "UNKNOWN_ERROR")), payload.get("reason"), payload))
    if payload.get("status") == "error" and payload.get("error") == "Unauthorized":
        return Stranger()
    return Result(payload)


class Outbox:
    """What waits to be sent.

    With a throttle, at most one message goes per interval and only the newest waits, so that the last one of a burst
    always goes. Without one, up to `size` messages wait, and of more the oldest are dropped.

    Args:
        throttle: seconds between two messages; 0 for none.
        size: messages that wait at most, without a throttle.
    """

    def __init__(self, throttle: float, size: int) -> None:
        self._throttle = throttle
        self._waiting: deque[Any] = deque(maxlen=1 if throttle > 0 else size)
        self._next_at = 0.0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Any) -> None:
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(message)

    def put_back(self, message: Any) -> None:
        """A message that could not be sent; it is dropped if newer ones have taken its place."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        else:
            self._waiting.appendleft(message)

    def take(self, now: float, *, flush: bool = False) -> tuple[Any, float | None]:
        """`(message, None)` to send now; `(None, seconds)` until there is one; `(None, None)` while nothing waits.

        Args:
            now: monotonic seconds.
            flush: whether the interval no longer matters, because the session ends.
        """
        if not self._waiting:
            return None, None
        if now < self._next_at and not flush:
            return None, self._next_at - now
        self._next_at = now + self._throttle
        return self._waiting.popleft(), None


def check_max_buffering(value: int | None) -> int | None:
    """`max_buffering`, if it is good.

    Raises:
        ValueError: not from 1 to 60.
    """
    if value is not None and not 1 <= value <= limits.MAX_BUFFERING:
        raise ValueError(f"max_buffering is from 1 to {limits.MAX_BUFFERING}, got {value!r}")
    return value


def socket_url(target: Target, endpoint: str, path: str, max_buffering: int | None, token: str | None) -> str:
    """The URL of a session. fal takes the token in the query; ours goes in a header, where no log shows it."""
    path = path.strip("/")
    ends_so = bool(path) and endpoint.rstrip("/").endswith("/" + path)
    url = target.websocket + endpoint_path(endpoint, "" if ends_so else path)
    query: dict[str, Any] = {}
    if token is not None and target.cloud:
        query["fal_jwt_token"] = token
    if check_max_buffering(max_buffering) is not None:
        query["max_buffering"] = max_buffering
    return f"{url}?{urlencode(query)}" if query else url


def socket_headers(target: Target, token: str | None) -> dict[str, str]:
    """The headers of the handshake."""
    if token is not None:
        return {} if target.cloud else {"authorization": f"Bearer {token}"}
    authorization = target.authorization
    return {} if authorization is None else {"authorization": authorization}


def token_call(target: Target, base: dict[str, str], endpoint: str, seconds: int) -> Call:
    """Ask for a short-lived token (PROTOCOL 2.1). fal wants the alias alone."""
    parsed = parse_endpoint(endpoint)
    body = {"allowed_apps": [parsed.alias if target.cloud else parsed.app], "token_expiration": seconds}
    headers = base | {"content-type": "application/json"}
    return Call("POST", target.rest + "/tokens/", headers, msgspec.json.encode(body))


def read_token(answer: Answer) -> str:
    """The token: a bare JSON string, or a member of an object.

    Raises:
        HTTPError: it was refused.
        OutputMismatch: the answer holds none.
    """
    core.raise_for_status(answer)
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        document = None
    token = document.get("token", document.get("detail")) if isinstance(document, dict) else document
    if not isinstance(token, str) or not token:
        raise errors.OutputMismatch("the server's answer to the token call holds no token")
    return token


def socket_error(url: str, error: Exception) -> errors.ClientError:
    """What a caller is told of an exception of the WebSocket library or of the system."""
    response = getattr(error, "response", None)
    origin = url.partition("?")[0]
    if response is not None:
        headers = {name.lower(): value for name, value in response.headers.raw_items()}
        return errors.from_answer(response.status_code, headers, bytes(response.body or b""), response)
    if isinstance(error, TimeoutError):
        return errors.TimeoutError(limits.REALTIME_OPEN_TIMEOUT)
    return errors.ConnectionError(f"cannot open {origin}: {str(error) or type(error).__name__}")


def closing(error: Exception) -> tuple[int, str]:
    """Code and reason of a closed socket; 1006 where the connection broke without a word."""
    received = getattr(error, "rcvd", None)
    return (1006, str(error)) if received is None else (int(received.code), str(received.reason))
