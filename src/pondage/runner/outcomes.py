"""How an attempt ended, as the outcome that its caller gets. Pure; the one place where exceptions become answers.

Nothing here trusts what an author's code raised or returned to have a text, or a size: `wire.text` bounds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pydantic

from pondage.app.exceptions import AppException, FieldException, RequestCancelledException, Retry
from pondage.app.outputs import OutputError, encode_plain
from pondage.errors import InvalidInput
from pondage.runner.findings import Misfit, validation_detail
from pondage.wire import outcomes
from pondage.wire.events import Outcome
from pondage.wire.packets import MAX_PACKET
from pondage.wire.states import OutcomeKind
from pondage.wire.text import MAX_DETAIL, MAX_ENTRIES, MAX_HEADER, MAX_SENTENCE, cut, fit_headers, in_one_line, text_of

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


def own_failure(error: BaseException, seconds: float) -> Outcome:
    """The outcome of an attempt under which the runner's own code failed."""
    why = f"the runner itself failed on this request: {in_one_line(error)}"
    return _answer(500, "Internal Server Error", seconds, error=why)


def device_failed(message: str, seconds: float) -> Outcome:
    """The outcome of an attempt under which a device failed, should it not run again: fal's name for a runner that
    failed outside of the app's function, and never 503, which clients answer with the same POST."""
    return msgspec.structs.replace(outcomes.device_failed(message), inference_time=seconds)


def fit(outcome: Outcome) -> tuple[Outcome, list[str]]:
    """The outcome with only such headers as HTTP can carry, and a sentence for each that was left out."""
    if outcome.headers is JSON:
        return outcome, []
    headers, left_out = fit_headers(_pairs(outcome.headers))
    return msgspec.structs.replace(outcome, headers=headers), left_out


def _pairs(headers: Mapping[Any, Any]) -> list[tuple[object, object]]:
    return [(name, value) for name, value in headers.items()]


def failed(error: BaseException, seconds: float) -> Outcome:
    """The outcome of an attempt that raised."""
    if isinstance(error, Misfit) and isinstance(error.found, pydantic.ValidationError):
        return _answer(422, validation_detail(error.found), seconds)
    if isinstance(error, FieldException):
        return _answer(error.status_code, error.entries(), seconds, headers=error.headers())
    if isinstance(error, AppException | Retry):
        return _answer(error.status_code, error.message, seconds, headers=_headers_of(error))
    if isinstance(error, RequestCancelledException):
        return stopped("client_cancelled", seconds, text_of(error.message))
    if isinstance(error, NoSuchPath):
        return _answer(404, str(error), seconds)
    if isinstance(error, OutputError):
        return _answer(500, "Internal Server Error", seconds, error=text_of(error), payload_error=text_of(error))
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
    detail = _bounded(detail)
    if error is None:
        error = _sentence_of(detail)
    entries = isinstance(detail, list) and all(isinstance(entry, dict) for entry in detail)
    if status == 422 and (entries or isinstance(detail, str)):
        body = InvalidInput(detail).body()
    else:
        body = msgspec.json.encode({"detail": detail})
    said = JSON
    if headers or status == 504:
        said = {**(headers or {}), **JSON, **({"x-fal-request-timeout-type": "user"} if status == 504 else {})}
    return Outcome(OutcomeKind.ERROR, status, body, said, cut(error, MAX_SENTENCE), None, seconds, payload_error)


def _bounded(detail: Any) -> Any:
    """The `detail` as JSON can say it and a caller can read it.

    Text is cut; a list ends with the count of what was cut; anything else that is too large, or no JSON, becomes text.
    """
    if isinstance(detail, str):
        return text_of(detail, MAX_DETAIL)
    if not isinstance(detail, list | tuple):
        encoded = _encoded(detail, MAX_DETAIL)
        return msgspec.json.decode(
            encoded if len(encoded) <= MAX_DETAIL * 4 else _encoded(text_of(encoded.decode(), MAX_DETAIL), 0)
        )
    kept: list[Any] = []
    size = 0
    for entry in detail[: MAX_ENTRIES + 1]:  # the entry that says how many there are may stand behind them
        encoded = _encoded(entry, MAX_SENTENCE)
        size += len(encoded)
        if size > MAX_DETAIL * 4:
            break
        kept.append(msgspec.json.decode(encoded))
    if (more := len(detail) - len(kept)) > 0:
        kept.append({"loc": ["body"], "msg": f"{more} more entries were cut", "type": "too_many_errors"})
    return kept


def _encoded(value: Any, limit: int) -> bytes:
    """The value as JSON, or its text where it is none."""
    try:
        return encode_plain(value)
    except Exception:
        return msgspec.json.encode(text_of(value, limit))


def _headers_of(error: BaseException) -> dict[str, str]:
    """The headers that an exception carries, but those that speak of the body."""
    headers = getattr(error, "headers", None)
    if not isinstance(headers, Mapping):
        return {}
    named = {text_of(name).lower(): text_of(value, MAX_HEADER + 1) for name, value in headers.items()}
    return {name: value for name, value in named.items() if name not in NOT_SAID}


def sentence(detail: Any) -> str:
    """A detail as one line for people, whatever it is."""
    return cut(_sentence_of(_bounded(detail)), MAX_SENTENCE)


def _sentence_of(detail: Any) -> str:
    if isinstance(detail, list):
        return "; ".join(_sentence(entry) for entry in detail)
    return detail if isinstance(detail, str) else msgspec.json.encode(detail).decode()


def _sentence(entry: Any) -> str:
    if not isinstance(entry, dict) or "msg" not in entry:
        return entry if isinstance(entry, str) else msgspec.json.encode(entry).decode()
    loc = entry.get("loc", ())
    place = ".".join(map(text_of, loc)) if isinstance(loc, list) else text_of(loc)
    return f"{place}: {entry['msg']}" if place else text_of(entry["msg"])
