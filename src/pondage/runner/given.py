"""What a ported method asks for beside its input: Starlette's `Request` and `Response`, made of the attempt.

The classes are those that the method's own hints name, so that an app without them needs no Starlette.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pondage.runner.outcomes import NOT_SAID

if TYPE_CHECKING:
    from pondage.runner.attempt import Attempt

_LOOK = 0.05
"""Seconds between two looks whether the caller has cancelled."""


def given(wanted: Mapping[str, type], attempt: Attempt) -> dict[str, Any]:
    """The arguments by name. The attempt keeps its `Response`, whose headers go to the caller."""
    arguments: dict[str, Any] = {}
    for name, cls in wanted.items():
        if cls.__name__ == "Response":
            attempt.response = arguments[name] = cls()
        else:
            arguments[name] = _request(cls, attempt)
    return arguments


def said(response: Any) -> dict[str, str]:
    """The headers that the method has set on its `Response`."""
    if response is None:
        return {}
    return {name: value for name, value in response.headers.items() if name.lower() not in NOT_SAID}


def _request(cls: type, attempt: Attempt) -> Any:
    """A request with the caller's headers and body; its disconnect is the cancellation."""
    frame = attempt.frame
    scope = {
        "type": "http",
        "method": "POST",
        "path": frame.path,
        "query_string": b"",
        "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in _headers(attempt)],
    }

    async def receive() -> dict[str, Any]:
        while not attempt.cancelled:
            await asyncio.sleep(_LOOK)
        return {"type": "http.disconnect"}

    request = cls(scope, receive)
    request._body = frame.input  # where Starlette keeps a body that was read, as FastAPI has by then
    return request


def _headers(attempt: Attempt) -> list[tuple[str, str]]:
    return [("x-fal-request-id", attempt.frame.request_id), *attempt.frame.headers.items()]
