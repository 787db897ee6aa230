"""Answers that are written without ceremony: the routes that every request takes spend their time elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from pondage.errors import RequestError
from pondage.wire.events import Outcome
from pondage.wire.text import fit_headers

_encode = msgspec.json.Encoder().encode
_PLAIN = {"content-type": "application/json"}
"""What nearly every outcome has."""


PIECE = 256 * 1024
"""Bytes of a large body that are written at a time, so that no more of it lies in buffers of its own."""

Again = Callable[[], Awaitable["Answer"]]


class Answer:
    """A whole response with a body in memory. `again` makes it anew, where it can be read again."""

    __slots__ = ("again", "body", "headers", "status")

    def __init__(
        self, status: int, body: bytes, headers: list[tuple[bytes, bytes]], again: Again | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.again = again

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        body = b"" if scope.get("method") == "HEAD" else self.body
        if len(body) <= PIECE:
            await send({"type": "http.response.body", "body": body})
            return
        view, at = memoryview(body), 0
        while at < len(body):
            at += PIECE
            await send({"type": "http.response.body", "body": view[at - PIECE : at], "more_body": at < len(body)})


def json(content: Any, *, status: int = 200, request_id: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer. Structs, datetimes and bytes are encoded as msgspec does."""
    raw = [(b"content-type", b"application/json")]
    if request_id:
        raw.append((b"x-fal-request-id", request_id.encode()))
    if headers:
        raw += [(k.encode(), v.encode("latin-1", "replace")) for k, v in headers.items()]
    return Answer(status, _encode(content), raw)


_ACTIVE = ("text/html", "application/xhtml", "image/svg", "text/xml", "application/xml")
"""What a browser would run in our name, beside the pages for people; it gets an origin of its own instead."""


def outcome(result: Outcome, request_id: str, again: Again | None = None) -> Answer:
    """A request's outcome as its caller gets it: the app's status, headers and body."""
    raw = [(b"x-fal-request-id", request_id.encode())]
    headers = result.headers
    if headers != _PLAIN:
        # Looked at where the app hands them over; what was stored before that was done must be readable, too.
        headers, _ = fit_headers(headers.items())
    typed = False
    for name, value in headers.items():
        key = name.lower()
        typed = typed or key == "content-type"
        raw.append((key.encode(), value.encode("latin-1", "replace")))
        if key == "content-type" and value.lower().startswith(_ACTIVE):
            raw.append((b"content-security-policy", b"sandbox allow-scripts allow-forms"))
    if not typed:
        raw.append((b"content-type", b"application/json"))
    if result.error_type and "x-fal-error-type" not in headers:
        fitting, _ = fit_headers([("x-fal-error-type", result.error_type)])
        raw += [(b"x-fal-error-type", value.encode("latin-1", "replace")) for value in fitting.values()]
    return Answer(result.status if 200 <= result.status < 600 else 500, result.body, raw, again)


def error(problem: RequestError, request_id: str) -> Answer:
    """An error in fal's shape (PROTOCOL 9)."""
    raw = [(b"content-type", b"application/json"), (b"x-fal-request-id", request_id.encode())]
    if problem.error_type:
        raw.append((b"x-fal-error-type", problem.error_type.encode()))
    raw += [(k.lower().encode(), v.encode("latin-1", "replace")) for k, v in problem.headers.items()]
    return Answer(problem.status, problem.body(), raw)
