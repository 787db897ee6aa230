"""What the client raises, one small tree.

::

    pondage.errors.PondageError
    └── ClientError                    (FalClientError)
        ├── MissingCredentials         no key for fal's hosts
        ├── HTTPError                  (FalClientHTTPError) the server answered with an error
        │   ├── BadRequest             400
        │   ├── Unauthorized           401
        │   ├── Forbidden              403
        │   ├── NotFound               404
        │   ├── TooLarge               413
        │   ├── InvalidInput           422 `fields` says which; (ValidationError)
        │   ├── TooMany                429
        │   ├── Cancelled              499 the request was cancelled
        │   └── ServerError            5xx
        │       └── StartTimeout       504 no runner started within `start_timeout`
        ├── ConnectionError            no answer: unreachable, or the connection broke
        ├── TimeoutError               (FalClientTimeoutError) a time limit of the caller's
        ├── NotFinite                  an input holds NaN or an infinity; also a ValueError
        ├── OutputMismatch             the answer does not fit `output_type`, or is no JSON
        ├── UploadInterrupted          a big upload stopped halfway; its `session` takes it up again
        └── RealtimeError              a session ended, or an input of it failed

The original exception is kept as the cause. No exception of the HTTP library gets out.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec

from pondage.errors import PondageError


class ClientError(PondageError):
    """The root of what the client raises."""

    code: ClassVar[str] = "client"
    request_id: str | None = None
    """The request that it is about, if it is about one and its id is known."""


class MissingCredentials(ClientError):
    """fal's hosts are addressed and there is no key: pass `key=`, or set `FAL_KEY`."""

    code = "client.credentials"


class HTTPError(ClientError):
    """The server answered with an error.

    Args:
        message: the `detail` of the body (a sentence, or a list of entries), else its text.
        status_code: the HTTP status.
        response_headers: the headers of the answer.
        response: the answer as the HTTP library has it, if there was one.
        error_type: fal's machine name of an infrastructure error (PROTOCOL 9.2).
    """

    code = "client.http"

    def __init__(
        self,
        message: Any,
        status_code: int,
        response_headers: Mapping[str, str] | None = None,
        response: Any = None,
        error_type: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.response_headers: dict[str, str] = dict(response_headers or {})
        self.response = response
        self.error_type = error_type
        self.request_id = self.response_headers.get("x-fal-request-id")

    @property
    def detail(self) -> Any:
        """The body's `detail`, as it came."""
        return self.message

    def __str__(self) -> str:
        if isinstance(self.message, list):
            return f"{self.status_code}: " + "; ".join(str(field) for field in _fields(self.message))
        return f"{self.status_code}: {self.message}" if self.message else f"HTTP status {self.status_code}"


class BadRequest(HTTPError):
    code = "client.bad_request"


class Unauthorized(HTTPError):
    code = "client.unauthorized"


class Forbidden(HTTPError):
    code = "client.forbidden"


class NotFound(HTTPError):
    code = "client.not_found"


class TooLarge(HTTPError):
    code = "client.too_large"


class FieldError(NamedTuple):
    """One entry of a 422: where (`("body", "prompt")`), what is wrong, and its machine name."""

    loc: tuple[str | int, ...]
    msg: str
    type: str

    @property
    def path(self) -> str:
        """The place within the input, dotted: `images.0.url`."""
        return ".".join(str(part) for part in (self.loc[1:] if self.loc[:1] == ("body",) else self.loc))

    def __str__(self) -> str:
        return f"{self.path}: {self.msg}" if self.path else self.msg


def _fields(detail: Any) -> list[FieldError]:
    if not isinstance(detail, list):
        return []
    entries = [entry for entry in detail if isinstance(entry, dict)]
    return [
        FieldError(tuple(entry.get("loc") or ()), str(entry.get("msg", "")), str(entry.get("type", "")))
        for entry in entries
    ]


class InvalidInput(HTTPError):
    """The input does not fit the endpoint's type (PROTOCOL 9.1)."""

    code = "client.invalid_input"

    @property
    def fields(self) -> list[FieldError]:
        """What is wrong, field by field; empty where the server said a mere sentence."""
        return _fields(self.message)


class TooMany(HTTPError):
    code, retryable = "client.too_many", True


class Cancelled(HTTPError):
    code = "client.cancelled"


class ServerError(HTTPError):
    code = "client.server"


class StartTimeout(ServerError):
    code = "client.start_timeout"


class ConnectionError(ClientError, builtins.ConnectionError):
    """No answer came: the server cannot be reached, or the connection broke and the call may not be repeated."""

    code, retryable = "client.connection", True
    origin: str | None = None
    """Scheme, host and port that gave no answer, where they are known."""
    broke: bool = False
    """Whether a connection was there and broke; else none came about, and nothing was sent."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TimeoutError(ClientError, builtins.TimeoutError):
    """A time limit of the caller's is over. Where the limit was on a request, the request was cancelled.

    Args:
        timeout: the limit in seconds.
        request_id: the request, if it is known.
    """

    code, retryable = "client.timeout", True

    def __init__(self, timeout: float, request_id: str | None = None) -> None:
        super().__init__(timeout, request_id)
        self.timeout = timeout
        self.request_id = request_id

    def __str__(self) -> str:
        about = f" (request {self.request_id})" if self.request_id else ""
        return f"not done within {self.timeout:g} seconds{about}"


class NotFinite(ClientError, ValueError):
    """An input holds NaN or an infinity, which JSON does not have; the message says where. Nothing was sent."""

    code = "client.not_finite"


class OutputMismatch(ClientError):
    """The answer is not what the caller asked for: no JSON, or not of the `output_type`."""

    code = "client.output"


class UploadInterrupted(ClientError):
    """A big upload stopped halfway. `upload_file(path, resume=error.session)` sends only what is missing."""

    code, retryable = "client.upload", True

    def __init__(self, message: str, session: Any) -> None:
        super().__init__(message)
        self.session = session


class RealtimeError(ClientError):
    """A realtime session failed, or an input of it did.

    Args:
        error: a machine name, such as `INTERNAL_ERROR` or `CONNECTION_CLOSED`.
        reason: a sentence.
        payload: the whole control message, if one came.
    """

    code = "client.realtime"

    def __init__(self, error: str, reason: str | None = None, payload: dict[str, Any] | None = None) -> None:
        super().__init__(f"{error}: {reason}" if reason else error)
        self.error = error
        self.reason = reason
        self.payload = payload or {}


_BY_STATUS: dict[int, type[HTTPError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
    422: InvalidInput,
    429: TooMany,
    499: Cancelled,
}


def from_answer(status: int, headers: Mapping[str, str], body: bytes, response: Any = None) -> HTTPError:
    """The error that an answer of 300 or more stands for (PROTOCOL 9.3)."""
    detail: Any = body.decode("utf-8", "replace")[:2000]
    error_type = headers.get("x-fal-error-type")
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        pass
    else:
        if isinstance(document, dict):
            detail = document.get("detail", document.get("error", document.get("status", detail)))
            error_type = document.get("error_type") or error_type
    return make(status, detail, error_type, headers, response)


def make(
    status: int, detail: Any, error_type: str | None, headers: Mapping[str, str] | None = None, response: Any = None
) -> HTTPError:
    """The error of the right kind for a status."""
    kind = _BY_STATUS.get(status)
    if kind is None:
        user_limit = (headers or {}).get("x-fal-request-timeout-type") == "user"
        started_late = status == 504 and (user_limit or error_type in ("request_timeout", "startup_timeout"))
        kind = StartTimeout if started_late else ServerError if status >= 500 else HTTPError
    return kind(detail, status, headers, response, error_type)


FalClientError = ClientError
FalClientHTTPError = HTTPError
FalClientTimeoutError = TimeoutError
ValidationError = InvalidInput
MissingCredentialsError = MissingCredentials
