"""The gateway's own part of a trace: a span for each call, from the caller's `traceparent`, which it hands on.

It stands before the application where traces are asked for, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pondage.gateway.call import Call, read_headers

LEFT_OUT = ("/healthz", "/readyz", "/metrics", "/ui", "/favicon.ico")
"""What machines and pages ask for all the time, and what leads to no request."""


class CallSpan(Protocol):
    """A span that is under way."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the next one in line needs to go on with the trace."""
        ...

    def end(self, name: str, attributes: Mapping[str, str | int], *, failed: bool) -> None:
        """It is over."""
        ...


class CallSpans(Protocol):
    """Where the spans of calls begin."""

    def begin_call(self, headers: Mapping[str, str]) -> CallSpan: ...


class Traced:
    """An application with a span around each of its calls. `key`: where it leaves the `Call` in the scope."""

    def __init__(self, application: ASGIApp, spans: CallSpans, key: str) -> None:
        self._application = application
        self._spans = spans
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or scope["path"].startswith(LEFT_OUT):
            await self._application(scope, receive, send)
            return
        span = self._spans.begin_call(read_headers(scope))
        handed_on = {name.encode(): value.encode() for name, value in span.headers.items()}
        others = [(name, value) for name, value in scope["headers"] if name not in handed_on]
        scope = {**scope, "headers": [*others, *handed_on.items()], self._key: None}
        status = 101 if scope["type"] == "websocket" else 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, watched)
        finally:
            method = scope.get("method", "WEBSOCKET")
            call: Call | None = scope.pop(self._key)
            # The route's pattern, of which there are few, and not the path, of which there are many.
            route = call.route.pattern if call is not None and call.route is not None else scope["path"]
            span.end(f"{method} {route}", _attributes(method, route, status, call), failed=status >= 500)


def _attributes(method: str, route: str, status: int, call: Call | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {"http.request.method": method, "http.route": route}
    if status:
        attributes["http.response.status_code"] = status
    if call is not None and call.caller.key_id:
        attributes["pondage.key"] = call.caller.key_id
    if call is not None and call.request_id:
        attributes["pondage.request_id"] = call.request_id
    return attributes
