"""What an app that calls another app passes on (PROTOCOL 4.3).

A process that serves an app names the running one with `set_get_current_app`; the headers of the request that it is
working on then travel along with its own calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

PASSED_ON = ("x-fal-cdn-token", "x-app-fal-can-disable-filter")

_get_current_app: Callable[[], Any] | None = None


def set_get_current_app(func: Callable[[], Any]) -> None:
    """Name the function that returns the app being served, whose `current_request` has `headers`."""
    global _get_current_app
    _get_current_app = func


def add_headers(headers: dict[str, str]) -> None:
    """Add what the request at hand passes on, if there is one."""
    if (request := _current_request()) is not None:
        for name in PASSED_ON:
            if value := request.headers.get(name):
                headers[name] = value


def take_headers(headers: Mapping[str, str]) -> None:
    """Keep what an answer says anew: the token of the storage, for the next call of the request at hand."""
    if (request := _current_request()) is not None and (token := headers.get("x-fal-cdn-token")):
        request.headers["x-fal-cdn-token"] = token


def _current_request() -> Any:
    return None if _get_current_app is None else getattr(_get_current_app(), "current_request", None)
