"""How an attempt ended, as the outcome that its caller gets. Pure; the one place where exceptions become answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pydantic

from pondage.app.exceptions import AppException, FieldException, RequestCancelledException, Retry
from pondage.app.outputs import OutputError, encode_plain
from pondage.errors import InvalidInput
from pondage.wire.events import Outcome
from pondage.wire.packets import MAX_PACKET
from pondage.wire.states import OutcomeKind

JSON = {"content-type": "application/json"}

REPEATED_STATUSES = frozenset({408, 409, 429, 502, 503})
"""Statuses on which fal's clients repeat a POST (PROTOCOL 9.4): a begun request never ends in one."""


MAX_BODY = MAX_PACKET // 2
"""Bytes of an output, or of one chunk: what a packet can carry; more belongs into a file."""


NOT_SAID = frozenset({"content-length", "content-type", "transfer-encoding", "connection"})
"""Headers of an author's that do not reach the caller: the answer has its own."""


class NoSuchPath(Exception):
    """The app has no endpoint at the request's path."""


def ok(body: bytes, seconds: float, headers: dict[str, str]) -> Outcome:
    """The outcome of a function that returned.

    Raises:
        OutputError: the body is too large.
    """
    check_size(body)
    return Outcome(OutcomeKind.OK, 200, body, headers, inference_time=seconds)


def check_size(body: bytes) -> None:
    """Raise OutputError for an output, or a chunk, that no packet can carry."""
    if len(body) > MAX_BODY:
        raise OutputError(f"the endpoint's output has {len(body)} bytes; at most {MAX_BODY} are taken: return a File")


def failed(error: BaseException, seconds: float) -> Outcome:
    """The outcome of an attempt that raised."""
    if isinstance(error, pydantic.ValidationError):
        return _answer(422, validation_detail(error), seconds)
    if isinstance(error, FieldException):
        return _answer(error.status_code, error.entries(), seconds, headers=error.headers())
    if isinstance(error, AppException | Retry):
        return _answer(error.status_code, error.message, seconds, headers=_headers_of(error))
    if isinstance(error, RequestCancelledException):
        return stopped("client_cancelled", seconds, error.message)
    if isinstance(error, NoSuchPath):
        return _answer(404, str(error), seconds)
    if isinstance(error, OutputError):
        return _answer(500, "Internal Server Error", seconds, error=str(error), payload_error=str(error))
    status, detail = getattr(error, "status_code", None), getattr(error, "detail", None)
    if isinstance(error, Exception) and isinstance(status, int) and hasattr(error, "detail"):
        # Starlette's and FastAPI's HTTPException
        return _answer(status, detail, seconds, headers=_headers_of(error))
    return _answer(500, "Internal Server Error", seconds, error=in_one_line(error))


def stopped(reason: str, seconds: float, detail: str | None = None, timeout: float | None = None) -> Outcome:
    """The outcome of an attempt that was stopped: by its caller, or by its time limit."""
    if reason == "request_timeout":
        text = (
            f"the request ran longer than its limit of {timeout:g} seconds" if timeout else "the request ran too long"
        )
        return Outcome(
            OutcomeKind.ERROR,
            504,
            msgspec.json.encode({"detail": [{"loc": ["body"], "msg": text, "type": "generation_timeout"}]}),
            JSON | {"x-fal-request-timeout-type": "user"},
            error=text,
            error_type="request_timeout",
            inference_time=seconds,
        )
    error_type = "client_disconnected" if reason == "client_disconnected" else "client_cancelled"
    text = detail or "the request was cancelled"
    return Outcome(
        OutcomeKind.CANCELLED,
        499,
        msgspec.json.encode({"detail": text, "error_type": error_type}),
        JSON | {"x-fal-error-type": error_type},
        error=text,
        error_type=error_type,
        inference_time=seconds,
    )


def validation_detail(error: pydantic.ValidationError) -> list[dict[str, Any]]:
    """Pydantic's findings in fal's shape: `loc` begins with `body`."""
    entries = []
    for found in error.errors(include_url=False):
        entry: dict[str, Any] = {"loc": ["body", *found["loc"]], "msg": found["msg"], "type": found["type"]}
        given = _json_or_text(found["input"])
        if given is not msgspec.UNSET:
            entry["input"] = given
        if context := found.get("ctx"):
            entry["ctx"] = {
                key: value if isinstance(value, str | int | float) else str(value) for key, value in context.items()
            }
        entries.append(entry)
    return entries


def in_one_line(error: BaseException) -> str:
    """`ValueError: it broke`."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def lasting(status: int) -> int:
    """The status with which a begun request may end (DESIGN: clients repeat the others)."""
    return 500 if status in REPEATED_STATUSES or not 400 <= status <= 599 else status


def _answer(
    status: int,
    detail: Any,
    seconds: float,
    *,
    error: str | None = None,
    payload_error: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Outcome:
    status = lasting(status)
    if status == 422 and (
        isinstance(detail, str) or (isinstance(detail, list) and all(isinstance(entry, dict) for entry in detail))
    ):
        body = InvalidInput(detail).body()
    else:
        body = _detail_body(detail)
    if error is None:
        error = sentence(detail)
    said = {**(headers or {}), **JSON, **({"x-fal-request-timeout-type": "user"} if status == 504 else {})}
    return Outcome(OutcomeKind.ERROR, status, body, said, error, None, seconds, payload_error)


def _detail_body(detail: Any) -> bytes:
    """The body of an answer whose detail the author made; as text where JSON has no words for it."""
    try:
        return encode_plain({"detail": detail})
    except OutputError:
        return encode_plain({"detail": str(detail).encode(errors="replace").decode()})


def _headers_of(error: BaseException) -> dict[str, str]:
    """The headers that an exception carries, but those that speak of the body."""
    headers = getattr(error, "headers", None)
    if not isinstance(headers, Mapping):
        return {}
    named = {str(name).lower(): str(value) for name, value in headers.items()}
    return {name: value for name, value in named.items() if name not in NOT_SAID}


def sentence(detail: Any) -> str:
    """A detail as one line for people."""
    return "; ".join(_sentence(entry) for entry in (detail if isinstance(detail, list) else [detail]))


def _sentence(entry: Any) -> str:
    if not isinstance(entry, dict) or "msg" not in entry:
        return entry if isinstance(entry, str) else _detail_body(entry)[len(b'{"detail":') : -1].decode()
    place = ".".join(str(part) for part in entry.get("loc", ()))
    return f"{place}: {entry.get('msg')}" if place else str(entry.get("msg"))


def _json_or_text(value: Any) -> Any:
    """The value where JSON can hold it and it is short; UNSET otherwise: an answer does not send pictures back."""
    try:
        encoded = msgspec.json.encode(value, enc_hook=str)
    except (TypeError, ValueError, RecursionError):
        return msgspec.UNSET
    return msgspec.Raw(encoded) if len(encoded) <= 1024 else msgspec.UNSET
