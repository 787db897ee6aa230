"""What an author's code may raise, and what its caller then gets (PROTOCOL 9.1, 11.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pondage.errors import PondageError

FalServerlessException = PondageError
"""fal's name for the root of what an app may raise and catch."""


class AppException(PondageError):
    """Ends the request with `status_code` and the body `{"detail": message}`.

    A status that clients answer by repeating the call (408, 409, 429, 502, 503, 504) becomes 500, because the work
    was begun; 504 is kept and says that it is final.

    Args:
        message: what the caller reads: a sentence, or anything that JSON has words for.
        headers: sent with the answer.
    """

    code: ClassVar[str] = "app.exception"

    def __init__(self, message: Any, status_code: int = 500, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.headers = dict(headers or {})


class FieldException(PondageError):
    """Ends the request as if the input's `field` had failed its check.

    Args:
        field: the name of the input's member; it appears as `["body", field]`.
        message: what is wrong with it.
        status_code: 422 unless the reason is another.
        type: a machine name, for example `image_too_small` (PROTOCOL 9.1 lists fal's).
        billable_units: sent as `x-fal-billable-units`; nothing is billed here.

    Raises:
        ValueError: `billable_units` is no number.
    """

    code: ClassVar[str] = "app.field"

    def __init__(
        self,
        field: str,
        message: str,
        status_code: int = 422,
        type: str = "value_error",
        billable_units: float | str | None = 0,
    ) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.status_code = status_code
        self.type = type
        self.billable_units = billable_units
        self._units = float(billable_units or 0)

    def entries(self) -> list[dict[str, Any]]:
        """The `detail` list of the answer."""
        return [{"loc": ["body", self.field], "msg": self.message, "type": self.type}]

    def to_pydantic_format(self) -> dict[str, list[dict[str, Any]]]:
        """The body of the answer, by fal's name."""
        return {"detail": self.entries()}

    def headers(self) -> dict[str, str]:
        """The headers of the answer: whole units without a point, others with eight digits behind it."""
        if not self._units:
            return {}
        whole = isinstance(self.billable_units, int)
        return {"x-fal-billable-units": format(self._units, ".0f" if whole else ".8f")}


class RequestCancelledException(PondageError):
    """The author's code has seen the cancellation and gives up; the caller gets 499."""

    code: ClassVar[str] = "app.cancelled"

    def __init__(self, message: str = "Request cancelled by the client.") -> None:
        super().__init__(message)
        self.message = message


class Retry(PondageError):
    """Ask for another attempt: this one was spoiled, and a strike is counted.

    When the strikes are used up the request ends with `status_code` and `{"detail": message}`.
    """

    code: ClassVar[str] = "app.retry"
    retryable: ClassVar[bool] = True

    def __init__(self, message: str, status_code: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code


class FileTooLargeError(PondageError):
    """fal's name for a file that an app will not take; for apps to raise and catch."""

    code: ClassVar[str] = "app.file_too_large"

    def __init__(self, message: str = "File is too large.") -> None:
        super().__init__(message)
        self.message = message


class AppFileUploadException(PondageError):
    """fal's name for a file of an app that could not be sent to its cloud; nothing here raises it."""

    code: ClassVar[str] = "app.file_upload"

    def __init__(self, message: str, relative_path: str) -> None:
        super().__init__(message)
        self.message = message
        self.relative_path = relative_path


class UnauthenticatedException(PondageError):
    """fal's name for a call of its cloud without a key; nothing here raises it."""

    code: ClassVar[str] = "app.unauthenticated"

    def __init__(self, message: str = "There is no key to call with.") -> None:
        super().__init__(message)
