"""Finds the route of a path."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pondage.errors import MethodNotAllowed
from pondage.gateway.call import Role
from pondage.gateway.route import Route


class Router:
    """Exact paths by look-up, the others in the order of the table."""

    def __init__(self, routes: Sequence[Route]) -> None:
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

        What the run host has and the REST and CDN hosts do not is asked of them as well, such as
        `/.well-known/jwks.json`.

        Raises:
            MethodNotAllowed: the path is known, but not with this method.
        """
        if role is Role.RUN:
            if path.split("/", 2)[1] not in self._first:
                return None  # an endpoint, which is what most calls are for
        elif role is not Role.QUEUE:
            return self._find(role, method, path) or self._find(Role.RUN, method, path)
        return self._find(role, method, path)

    def _find(self, role: Role, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
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
