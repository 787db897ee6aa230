"""Everything that Pondage raises, one tree.

::

    PondageError
    ├── SetupError                 a machine, a setting or a file is not as it must be (exit code 2)
    │   ├── ExtraMissing           an optional part is not installed; the message names the extra
    │   ├── DataFolderInUse        another gateway holds the data folder
    │   ├── DatabaseTooNew         the database was written by a newer version
    │   └── DatabaseDamaged        the database fails its integrity check; nothing is served from it
    ├── RequestError               an answer to a caller: HTTP status, body in fal's shape
    │   ├── InvalidInput       422 the input does not fit (also: a reused idempotency key with another body)
    │   ├── BadRequest         400
    │   ├── Unauthorized       401
    │   ├── Forbidden          403
    │   ├── NotFound           404
    │   ├── MethodNotAllowed   405
    │   ├── TooLarge           413
    │   ├── RangeNotSatisfiable 416
    │   ├── TooMany            429 a limit that the caller may wait for; nothing was begun
    │   ├── InternalError      500
    │   ├── Unavailable        503 nothing was begun, so that a repeat is safe
    │   ├── StorageFull        507 the disk is full; not repeated by fal's clients
    │   └── OutcomeDelayed     507 it was begun, and its outcome cannot be written yet
    ├── WebhookError               a delivery that `pondage.verify_webhook` refuses; answer it with its `status`
    │   ├── WebhookUnsigned    401 no signature of a scheme that a key was given for, or a header that cannot be read
    │   ├── WebhookForged      401 no signature fits the body and the keys
    │   ├── WebhookOutdated    401 signed too long ago, or in the future: perhaps a replay
    │   └── WebhookKeysMissing 503 the sender's public keys could not be fetched; it will try again
    └── ClientError                what the client library raises (pondage.client.errors)

`code` is a stable dotted name for programs and for `pondage explain`, `status` the HTTP status,
`error_type` fal's machine name for infrastructure errors (header `X-Fal-Error-Type`), `retryable` whether the
same call may succeed later without a change.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

INSTALLING = "docs/installing.md"
"""The page that error texts name: how Pondage and its extras are installed."""


class PondageError(Exception):
    """The root of the tree. `str(error)` is a sentence for people."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False


class SetupError(PondageError):
    """Something about this machine or its settings must be mended first; the message says what and how."""

    code = "setup"


class ExtraMissing(SetupError):
    """An optional part of Pondage is not installed."""

    code = "setup.extra_missing"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}] of Pondage; {INSTALLING} says how to install it")
        self.extra = extra


class DataFolderInUse(SetupError):
    code = "setup.data_in_use"


class DatabaseTooNew(SetupError):
    code = "setup.database_too_new"


class DatabaseLost(SetupError):
    code = "setup.database_lost"


class KeysLost(SetupError):
    code = "setup.keys_lost"


DAMAGED = "the server's database is damaged; its operator must stop it and restore a backup (pondage restore)"
"""What callers are told of a damaged database."""


class DatabaseDamaged(SetupError):
    code = "setup.database_damaged"


class RequestError(PondageError):
    """An answer to a caller.

    Args:
        detail: a sentence, or for 422 a list of entries `{"loc", "msg", "type"}`.
        error_type: fal's name of an infrastructure error, if it is one.
        headers: extra response headers.
        extra: further members of the body.
        inner: the same for operators, with the names and places of what is ours; it is `str(error)` then, and logged.
    """

    status: ClassVar[int] = 500
    error_type: str | None = None

    def __init__(
        self,
        detail: str | list[dict[str, Any]],
        *,
        error_type: str | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
        inner: str | None = None,
    ) -> None:
        self.told = detail if isinstance(detail, str) else "; ".join(str(d.get("msg")) for d in detail)
        """What a caller may read of it."""
        super().__init__(inner or self.told)
        self.inner = inner
        self.detail = detail
        self.error_type = error_type or type(self).error_type
        self.headers = headers or {}
        self.extra = extra or {}

    def body(self) -> bytes:
        """The JSON body: an object with `detail`, and what other clients than fal's first ones read."""
        members: dict[str, Any] = {"detail": self.detail, **self.extra}
        if self.error_type:
            members["error_type"] = self.error_type
        if self.status == 422:
            # PROTOCOL 9.3: Dart and JavaScript read these members of a 422.
            members |= {"status": 422, "message": self.told, "body": self.detail}
        return msgspec.json.encode(members)


class BadRequest(RequestError):
    code, status, error_type = "request.bad", 400, "bad_request"


class Unauthorized(RequestError):
    code, status = "auth.unauthorized", 401


class Forbidden(RequestError):
    code, status = "auth.forbidden", 403


class NotFound(RequestError):
    code, status = "request.not_found", 404


class MethodNotAllowed(RequestError):
    code, status = "request.method", 405


class TooLarge(RequestError):
    code, status = "input.too_large", 413


class RangeNotSatisfiable(RequestError):
    code, status = "files.range", 416


class InvalidInput(RequestError):
    """The input does not fit. `InvalidInput.field` makes the usual one-entry form."""

    code, status = "input.invalid", 422

    @classmethod
    def field(cls, loc: list[str | int], msg: str, type_: str = "value_error", **more: Any) -> InvalidInput:
        return cls([{"loc": loc, "msg": msg, "type": type_, **more}])


class TooMany(RequestError):
    code, status, retryable = "request.too_many", 429, True


class InternalError(RequestError):
    code, status, error_type = "internal", 500, "internal_error"


class Unavailable(RequestError):
    code, status, retryable = "server.unavailable", 503, True


class StorageFull(RequestError):
    code, status, retryable, error_type = "server.disk_full", 507, True, "disk_full"


class OutcomeDelayed(RequestError):
    """The request was begun, and what became of it cannot be written yet. 507, which no client repeats by itself."""

    code, status, error_type = "server.outcome_delayed", 507, "outcome_delayed"


class WebhookError(PondageError):
    """The signature check failed: reject this webhook. `status` is the HTTP status to answer it with."""

    code: ClassVar[str] = "webhook.refused"
    status: ClassVar[int] = 401


class WebhookUnsigned(WebhookError):
    code = "webhook.unsigned"


class WebhookForged(WebhookError):
    code = "webhook.forged"


class WebhookOutdated(WebhookError):
    code = "webhook.outdated"


class WebhookKeysMissing(WebhookError):
    code, status, retryable = "webhook.keys_missing", 503, True
