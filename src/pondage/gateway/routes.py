"""Every route on one screen: role, methods, path within the role, handler, and the scope that a key needs for it.

`{name}` is one segment, `{name:path}` the rest. Paths are matched without their trailing slash. What no fixed route
takes is an endpoint on the run host, or a submit on the queue host.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pondage.dashboard import pages
from pondage.errors import MethodNotAllowed, NotFound
from pondage.gateway import access, api, files, machines, openapi, requests, storage, streams, webhooks
from pondage.gateway.call import Call, Handler, Response, Role

RUN, QUEUE, REST, CDN = Role.RUN, Role.QUEUE, Role.REST, Role.CDN
GET = ("GET", "HEAD")
ENDS = "submit or operate"
"""One's own requests with the one, everybody's with the other."""


class Route(NamedTuple):
    role: Role
    methods: tuple[str, ...]
    pattern: str
    handler: Handler
    scope: str


async def _status(call: Call) -> Response:
    """Where a request is (PROTOCOL 4.1)."""
    return await requests.status(call)


async def _stream_status(call: Call) -> Response:
    """Where a request is, as it changes (PROTOCOL 4.6)."""
    return await streams.stream_status(call, await requests.visible(call), logs=requests.wants_logs(call))


async def _follow_chunks(call: Call) -> Response:
    """What a request yields, from the beginning or from where its reader left."""
    view = await requests.visible(call)
    return await streams.follow_chunks(call, view, own=requests.is_own(call.caller, view))


# fmt: off
ROUTES: list[Route] = [
    Route(QUEUE, GET,      "/{app:path}/requests/{request_id}/status",        _status,               "read"),
    Route(QUEUE, GET,      "/{app:path}/requests/{request_id}/status/stream", _stream_status,        "read"),
    Route(QUEUE, GET,      "/{app:path}/requests/{request_id}",               requests.result,       "read"),
    Route(QUEUE, GET,      "/{app:path}/requests/{request_id}/response",      requests.result,       "read"),
    Route(QUEUE, GET,      "/{app:path}/requests/{request_id}/stream",        _follow_chunks,        "read"),
    Route(QUEUE, ("PUT",), "/{app:path}/requests/{request_id}/cancel",        requests.cancel,       ENDS),
    Route(REST, ("POST",), "/tokens",                                         access.tokens,         "submit"),
    Route(REST, ("POST",), "/tokens/realtime",                                access.realtime_tokens, "submit"),
    Route(RUN, GET,        "/healthz",                                        machines.healthz,      ""),
    Route(RUN, GET,        "/readyz",                                         machines.readyz,       ""),
    Route(RUN, GET,        "/metrics",                                        machines.metrics,      "metrics"),
    Route(RUN, GET,        "/openapi.json",                                   openapi.openapi,       "read"),
    Route(RUN, GET,        "/api/v1/requests",                                api.list_requests,     "read"),
    Route(RUN, GET,        "/api/v1/requests/{request_id}",                   api.show_request,      "read"),
    Route(RUN, GET,        "/api/v1/requests/{request_id}/events",            api.list_events,       "read"),
    Route(RUN, ("POST",),  "/api/v1/requests/{request_id}/retry",             api.retry_request,     "submit"),
    Route(RUN, ("PUT",),   "/api/v1/requests/{request_id}/cancel",            requests.cancel,       ENDS),
    Route(RUN, GET,        "/api/v1/runners",                                 api.list_runners,      "read"),
    Route(RUN, GET,        "/api/v1/runners/logs",                            api.runner_log,        "operate"),
    Route(RUN, GET,        "/api/v1/apps",                                    api.list_apps,         "read"),
    Route(RUN, GET,        "/api/v1/apps/{app:path}",                         api.show_app,          "read"),
    *(Route(*route) for route in (*storage.ROUTES, *files.ROUTES, *webhooks.ROUTES, *pages.ROUTES)),
]
# fmt: on

OPEN = frozenset({"/healthz", "/readyz", "/.well-known/jwks.json", "/"})
"""Run-host paths that answer without a key."""


class Router:
    """Finds the route of a path: exact ones by look-up, the others in the order of the table."""

    def __init__(self, routes: list[Route]) -> None:
        self._exact: dict[tuple[Role, str], list[Route]] = {}
        self._first = {route.pattern.split("/", 2)[1] for route in routes if route.role is Role.RUN}
        self._patterns: dict[Role, list[tuple[re.Pattern[str], Route]]] = {role: [] for role in Role}
        for route in routes:
            if "{" in route.pattern:
                expression = re.sub(r"\{(\w+):path\}", r"(?P<\1>.+)", route.pattern)
                expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)
                self._patterns[route.role].append((re.compile(expression + r"\Z"), route))
            else:
                self._exact.setdefault((route.role, route.pattern), []).append(route)

    def find(self, role: Role, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and its parameters; None where no pattern fits.

        Raises:
            MethodNotAllowed: the path is known, but not with this method.
        """
        if role is Role.RUN and path.split("/", 2)[1] not in self._first:
            return None  # an endpoint, which is what most calls are for
        path = path.rstrip("/") or "/"
        allowed: set[str] = set()
        for route in self._exact.get((role, path), ()):
            if method in route.methods:
                return route, {}
            allowed.update(route.methods)
        for expression, route in self._patterns[role]:
            if (match := expression.match(path)) is not None:
                if method in route.methods:
                    return route, match.groupdict()
                allowed.update(route.methods)
        if allowed:
            raise wrong_method(method, path, allowed)
        return None


def wrong_method(method: str, path: str, allowed: set[str]) -> MethodNotAllowed:
    """405, with what is allowed."""
    names = ", ".join(sorted(allowed))
    return MethodNotAllowed(f"{method} is not for {path}; use {names}", headers={"allow": names})


async def endpoint(call: Call) -> Response:
    """What no fixed route took: an endpoint id.

    Raises:
        NotFound, MethodNotAllowed: it cannot be one.
    """
    if call.role in {Role.RUN, Role.QUEUE}:
        if call.method not in {"POST", "GET", "PUT", "DELETE"}:
            raise wrong_method(call.method, call.path, {"POST", "GET"})
        return await (requests.run(call) if call.role is Role.RUN else requests.submit(call))
    raise NotFound(f"there is nothing at {call.path}")
