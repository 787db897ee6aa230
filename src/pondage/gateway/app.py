"""The gateway: one ASGI application. Address, who calls, route, handler, error: in this order, for every exchange."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import Counter
from collections.abc import Awaitable
from urllib.parse import unquote, urlsplit

from starlette.types import Message, Receive, Scope, Send

from pondage.dashboard.live import PATH as LIVE
from pondage.dashboard.live import live
from pondage.dashboard.pages import for_people
from pondage.dashboard.session import UI_HEADER, signed_in
from pondage.errors import (
    DAMAGED,
    BadRequest,
    DatabaseDamaged,
    Forbidden,
    InternalError,
    PondageError,
    RequestError,
    Unauthorized,
    Unavailable,
)
from pondage.gateway import answers
from pondage.gateway.access import ANYBODY, require
from pondage.gateway.address import Address, is_loopback, locate, prefixed, proxied
from pondage.gateway.audit import REFUSED, Audit
from pondage.gateway.budget import FREE
from pondage.gateway.call import Call, Response, Role, Rooms, read_headers
from pondage.gateway.crowd import PLACE, Place
from pondage.gateway.interrupted import NoAnswer
from pondage.gateway.realtime import TOKEN_PROTOCOL, realtime
from pondage.gateway.route import PUBLIC
from pondage.gateway.router import Router
from pondage.gateway.routes import ROUTES, endpoint
from pondage.wire.ids import new_request_id

log = logging.getLogger("pondage.gateway")

PROXY_PATH = "/api/fal/proxy"

CALL = "pondage.call"
"""Where the scope of an exchange has its call, once there is one."""

_CORS_HEADERS = (
    "authorization, content-type, accept, cache-control, last-event-id, idempotency-key, prefer, range, "
    "x-fal-target-url, x-fal-queue-priority, x-fal-runner-hint, x-fal-request-timeout, x-fal-request-start-timeout, "
    "x-fal-object-lifecycle, x-fal-object-lifecycle-preference, x-fal-user-agent, x-fal-file-name, x-fal-store-io, "
    "x-fal-no-retry, x-fal-retry-config, x-fal-tags, pondage-on-disconnect, pondage-on-fault, "
    "pondage-webhook-events, pondage-start-at, pondage-deadline, pondage-payload-ttl, pondage-sha256, content-md5, "
    "if-none-match, if-modified-since, if-range"
)
_CORS_NAMES = frozenset(_CORS_HEADERS.split(", "))
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_CORS_EXPOSED = (
    "x-fal-request-id, x-fal-request-timeout-type, x-fal-error-type, etag, content-range, accept-ranges, "
    "content-disposition, pondage-version, pondage-expected, preference-applied"
)


class Gateway:
    """The ASGI application over the rooms."""

    def __init__(self, rooms: Rooms, audit: Audit) -> None:
        self._audit = audit
        self._rooms = rooms
        self._access = rooms.access
        self._router = Router(ROUTES)
        self._origins = frozenset(o.strip().rstrip("/") for o in rooms.settings.cors.split(",") if o.strip())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["type"] == "http":
                if self._audit.access is None:
                    await self._http(scope, receive, send)
                else:
                    await self._http_on_record(scope, receive, send)
            elif scope["type"] == "websocket":
                await self._websocket(scope, receive, send)
        except asyncio.CancelledError:
            if not self._rooms.closing.is_set():
                raise
            # The stop waits for nobody any longer: what has no answer yet gets none.
            await NoAnswer()(scope, receive, send)

    # ---- HTTP

    async def _http_on_record(self, scope: Scope, receive: Receive, send: Send) -> None:
        """With a line in the access log, however it ends."""
        began, status, size = self._rooms.clock.monotonic(), 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        asked_for = CALL in scope
        scope.setdefault(CALL, None)
        try:
            await self._http(scope, receive, counted)
        finally:
            self._audit.answered(scope, scope[CALL] if asked_for else scope.pop(CALL), status, size, began)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope)
        sending = _Sending(send, self._rooms.answered)
        origin = headers.get("origin")
        if origin is not None:
            sending.cors = self._cors(origin, headers)
        call: Call | None = None
        refused = ""
        try:
            if origin is not None and not sending.cors and self._access.open:
                raise Forbidden(f"pages of {origin} may not call a server that asks for no key; allow it with --cors")
            if scope["method"] == "OPTIONS" and origin is not None:
                await _preflight(sending, headers, scope, receive)
                return
            call = self._call(scope, receive, sending, headers)
            if CALL in scope:  # somebody asks for it, and takes it out: held by one another, both outlive the answer
                scope[CALL] = call
            response = await self._answer(call)
        except RequestError as problem:
            refused = str(problem) if problem.status in REFUSED else ""
            if problem.inner is not None:
                log.error("%s %s: %s", scope["method"], scope["path"], problem)
            response = answers.error(problem, call.request_id if call and call.request_id else new_request_id())
        except Exception as problem:
            if sending.started:
                raise
            request_id = call.request_id if call and call.request_id else new_request_id()
            log.error("%s %s: %s", scope["method"], scope["path"], problem, exc_info=problem)
            response = answers.error(_unforeseen(problem), request_id)
        try:
            if call is not None and isinstance(response, answers.Answer) and len(response.body) > FREE:
                response = await _with_room(call, response)
            await response(scope, receive, sending)
        finally:
            if call is not None and call.held:
                call.let_go()
        if refused:
            self._audit.refused(scope, call, sending.status, refused)
        elif call is not None and call.route is not None and _is_act(call):
            self._audit.acted(scope, call, sending.status)

    def _call(self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]) -> Call:
        address = locate(scope, headers, self._rooms.settings, open_server=self._access.open)
        if address.path.rstrip("/") == PROXY_PATH:
            address = self._through_proxy(scope, headers, address)
        return Call(
            scope, receive, send, self._rooms, headers, role=address.role, path=address.path, origins=address.origins
        )

    def _through_proxy(self, scope: Scope, headers: dict[str, str], address: Address) -> Address:
        """The address that the proxy protocol carries. URLs in the answer lead straight to us (PROTOCOL 1.9)."""
        target = headers.get("x-fal-target-url")
        if target is None:
            raise BadRequest("the proxy takes calls with a header x-fal-target-url, as fal's clients send them")
        role, path, query = proxied(target, address.host, self._rooms.settings)
        scope["query_string"] = query.encode("latin-1", "replace")
        return Address(role, unquote(path), address.origins, address.host)

    async def _answer(self, call: Call) -> Response:
        found = self._router.find(call.role, call.method, call.path)
        if found is not None:
            route, call.params = found
            call.route = route
            self._identify(call, route.scope)
            return await route.handler(call)
        if call.method == "GET" and call.role is Role.RUN and (page := for_people(call)) is not None:
            return page
        self._identify(call, "submit")
        return await endpoint(call)

    def _identify(self, call: Call, needs: str) -> None:
        """Who calls, and that it has a scope that `needs` names."""
        authorization = call.headers.get("authorization")
        if needs == PUBLIC:
            # Who it is still decides what is shown, of a private file say.
            if authorization:
                with contextlib.suppress(Unauthorized):
                    call.caller = self._access.identify(authorization, None)
            return
        if self._access.open:
            if call.headers.get("sec-fetch-site") == "cross-site" and "origin" not in call.headers:
                # What a page embeds (an image, a form that is a GET) has no Origin, but the browser says where from.
                raise Forbidden("pages of other sites may not call a server that asks for no key")
            call.caller = ANYBODY  # with every scope
            _seat(call)
            return
        token = call.query.get("fal_jwt_token")
        by_cookie = None if authorization or token else signed_in(call)
        call.caller = by_cookie or self._access.identify(authorization, token)
        self._note_use(call)
        _seat(call)
        require(call.caller, needs)

    def _note_use(self, call: Call) -> None:
        """Remember that a key is used, and from where: once in a while is enough."""
        who = call.caller
        if who.key_id and not who.by_token and who.key_id not in self._rooms.keys.used:
            self._rooms.keys.note_use(who.key_id, self._audit.address_of(call.scope))

    def _cors(self, origin: str, headers: dict[str, str]) -> str:
        """The origin to allow, or nothing: any by `--cors *`, those it names, or pages of this machine."""
        if "*" in self._origins or origin.rstrip("/") in self._origins:
            return origin
        try:
            host = urlsplit(origin).hostname
        except ValueError:
            host = None
        return origin if host and is_loopback(host) else ""

    # ---- WebSocket

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope)
        call: Call | None = None
        began, status = self._rooms.clock.monotonic(), 101
        try:
            call = self._call(scope, receive, send, headers)
            if call.path == LIVE and call.role is Role.RUN:
                self._identify_socket(call, headers, "read")
                await live(call)
                return
            self._identify_socket(call, headers, "submit")
            await realtime(call)
        except RequestError as problem:
            request_id = call.request_id if call and call.request_id else new_request_id()
            status = problem.status
            await _deny(scope, send, problem, request_id)
            if status in REFUSED:
                self._audit.refused(scope, call, status, str(problem))
        except (asyncio.CancelledError, OSError):
            raise
        except Exception as problem:
            log.error("WebSocket %s: %s", scope["path"], problem, exc_info=problem)
            await send({"type": "websocket.close", "code": 1011, "reason": "Internal Server Error"})
        finally:
            self._audit.answered(scope, call, status, 0, began)

    def _identify_socket(self, call: Call, headers: dict[str, str], scope: str) -> None:
        """A token in the query, as fal's clients send it, or in a header or subprotocol as ours prefers."""
        token = call.query.get("fal_jwt_token") or call.query.get("token")
        authorization = headers.get("authorization")
        for offered in headers.get("sec-websocket-protocol", "").split(","):
            if offered.strip().startswith(TOKEN_PROTOCOL):
                token = offered.strip().removeprefix(TOKEN_PROTOCOL)
        origin = headers.get("origin")
        if self._access.open:
            if origin is not None and not self._cors(origin, headers):
                raise Forbidden(f"pages of {origin} may not connect to a server that asks for no key")
        by_cookie = None if authorization or token or self._access.open else signed_in(call, socket=True)
        call.caller = by_cookie or self._access.identify(authorization, token)
        self._note_use(call)
        if (
            origin is not None
            and by_cookie is None
            and not self._access.open
            and not call.caller.by_token
            and not self._cors(origin, headers)
        ):
            raise Forbidden(f"pages of {origin} need a token, or --cors {origin}")
        _seat(call)
        require(call.caller, scope)


async def _with_room(call: Call, answer: answers.Answer) -> Response:
    """A large answer is let go where there is no room for one more, and made anew once there is."""
    more = len(answer.body) - call.held
    if more <= 0 or call.budget.take(call.budget_key, more):
        call.held += max(more, 0)
        return answer
    if (again := answer.again) is None:
        call.budget.add(call.budget_key, more)
        call.held += more
        return answer
    size = len(answer.body)
    answer.body = b""
    call.let_go()  # what its input held
    try:
        await call.hold(size)
    except Unavailable as problem:
        # What was begun never ends as 503, which clients answer by sending it once more (DESIGN 5).
        why = InternalError(f"the request {call.request_id} has ended, and its result can be fetched: {problem}")
        return answers.error(why, call.request_id)
    return await again()


def _seat(call: Call) -> None:
    """From now on the connection is this caller's.

    Raises:
        TooMany: it has enough of them.
    """
    place: Place | None = call.scope.get(PLACE)
    if place is not None and place.key != call.caller.key_id:
        place.belongs_to(call.caller.key_id)


def _unforeseen(problem: Exception) -> RequestError:
    """What a caller hears of an error that no handler translated: never its text, which may name what is ours."""
    if isinstance(problem, DatabaseDamaged):
        return InternalError(DAMAGED)
    if isinstance(problem, OSError) and not isinstance(problem, ConnectionError | PondageError) and problem.strerror:
        return Unavailable(f"the server's disk cannot be used just now: {problem.strerror}")
    return InternalError("Internal Server Error")


def _is_act(call: Call) -> bool:
    """Whether it took an operator's key: a change that others may not make, or a look at the server's secrets."""
    scope = call.route.scope if call.route is not None else ""
    if not call.caller.key_id or not call.caller.may("operate"):
        return False
    return scope == "admin" or (call.method not in {"GET", "HEAD"} and "operate" in scope)


class _Sending:
    """`send`, which remembers whether the answer has begun, counts it, and adds CORS where a page asks."""

    __slots__ = ("_answered", "_send", "cors", "started", "status")

    def __init__(self, send: Send, answered: Counter[int]) -> None:
        self._send = send
        self._answered = answered
        self.started = False
        self.status = 0
        self.cors = ""

    def __call__(self, message: Message) -> Awaitable[None]:
        if not self.started and message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            self._answered[self.status] += 1
            if self.cors:
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"access-control-allow-origin", self.cors.encode("latin-1", "replace")),
                    (b"access-control-expose-headers", _CORS_EXPOSED.encode()),
                    (b"access-control-allow-credentials", b"true"),
                    (b"vary", b"origin"),
                ]
        return self._send(message)


async def _preflight(sending: _Sending, headers: dict[str, str], scope: Scope, receive: Receive) -> None:
    """An origin that may call may send whatever headers it asks for: apps have their own. Only our pages' is theirs."""
    asked = [name.strip().lower() for name in headers.get("access-control-request-headers", "").split(",")]
    known = _CORS_NAMES | {UI_HEADER}
    more = sorted(name for name in asked if _TOKEN.fullmatch(name) and name not in known)
    allowed = {
        "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
        "access-control-allow-headers": ", ".join([_CORS_HEADERS, *more]),
        "access-control-max-age": "600",
    }
    if headers.get("access-control-request-private-network") == "true":
        allowed["access-control-allow-private-network"] = "true"
    if not sending.cors:
        raise Forbidden("this origin may not call; allow it with --cors")
    raw = [(name.encode(), value.encode()) for name, value in allowed.items()]
    await answers.Answer(204, b"", raw)(scope, receive, sending)


async def _deny(scope: Scope, send: Send, problem: RequestError, request_id: str) -> None:
    """Refuse a handshake with an HTTP status where the server can, else by closing."""
    if "websocket.http.response" in scope.get("extensions", {}):
        answer = answers.error(problem, request_id)
        headers = [(b"content-length", b"%d" % len(answer.body)), *answer.headers]
        await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": answer.body})
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": str(problem)[:120]})


__all__ = ["PROXY_PATH", "Gateway", "prefixed"]
