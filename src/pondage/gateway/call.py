"""One HTTP exchange, as the route modules see it.

A handler is `async def name(call: Call) -> Response`. It raises `RequestError` for whatever the caller did wrong; the
application adds CORS, `x-fal-request-id` and the error's body. The answers are in `answers`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qs

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from pondage.clock import Clock
from pondage.errors import BadRequest, InvalidInput, TooLarge
from pondage.files.interface import Files, Uploads
from pondage.fleet.interface import Fleet
from pondage.gateway.budget import FREE, Budget, Key
from pondage.gateway.crowd import PLACE, Place
from pondage.queue.interface import Queue
from pondage.settings import Settings
from pondage.webhooks.interface import WebhooksRoom
from pondage.wire.scopes import opened_by

T = TypeVar("T")

if TYPE_CHECKING:
    from pondage.gateway.access import Access, Keys
    from pondage.gateway.route import Route


class Role(StrEnum):
    """What part of fal's cloud a path plays (PROTOCOL 1.1)."""

    RUN = "run"
    QUEUE = "queue"
    REST = "rest"
    CDN = "cdn"


class Origins(NamedTuple):
    """The absolute URL before the path for each role, in the way this caller came. No trailing slash."""

    run: str
    queue: str
    rest: str
    cdn: str


class Caller(NamedTuple):
    """Who calls. `key_id` is empty where no key was needed; `scopes` then holds all of them.

    `apps` limits the caller to these apps (`owner/alias`, or the bare alias as fal's tokens name it); None: any.
    """

    key_id: str
    scopes: frozenset[str]
    apps: frozenset[str] | None = None
    by_token: bool = False
    """Came with a short-lived token, which never begets another."""
    subject: str | None = None
    """Whom the token was made for: it sees and makes requests of this subject alone. None: a key, or no subject."""
    highest: int = 0
    """The highest priority that its requests may have: 0 normal, 1 low."""

    def may_call(self, app: str) -> bool:
        """Whether the key or token is for this app (`owner/alias`)."""
        return self.apps is None or app in self.apps or app.rpartition("/")[2] in self.apps

    def may(self, scope: str) -> bool:
        """Whether the scopes open what needs `scope`; of several with ` or ` between them, one is enough."""
        return not opened_by(scope).isdisjoint(self.scopes)


class Disk(Protocol):
    """Bytes of the disk with the data folder, and of the database with its log."""

    @property
    def free(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def database(self) -> int: ...


class Health(Protocol):
    """What is wrong with the server."""

    @property
    def disk(self) -> Disk | None:
        """The disk as it was looked at last."""
        ...

    def wrong(self) -> dict[str, str]:
        """The reason for each part that cannot be used just now."""
        ...


class Rooms(NamedTuple):
    """What the gateway stands on; `server.py` fills it."""

    settings: Settings
    clock: Clock
    queue: Queue
    fleet: Fleet
    files: Files
    uploads: Uploads
    webhooks: WebhooksRoom
    access: Access
    keys: Keys
    health: Health
    budget: Budget
    """The bytes that all connections may hold."""
    closing: asyncio.Event
    """Set when the drain is over: streams break off, and their callers come back."""
    answered: Counter[int]
    """Answers by HTTP status, since the start."""
    sessions: Counter[str]
    """Open sessions by key."""
    live: dict[Any, Any]
    """What the sockets of the pages share, by topic."""
    setting_sources: Mapping[str, str]
    """Where each setting comes from, as far as it is known."""
    page_sessions: Any
    """Who is signed in on the pages: a `pondage.dashboard.session.Store`."""

    def apps_of(self, caller: Caller) -> tuple[str, ...] | None:
        """The apps that a caller is limited to, under their whole names; None: any."""
        if caller.apps is None:
            return None
        return tuple(name for name in self.fleet.app_names() if caller.may_call(name))


def read_headers(scope: Scope) -> dict[str, str]:
    """The headers by lower-case name; of several with one name the last counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


class Call:
    """One exchange: the request's parts, who sent it, and how URLs in the answer must begin."""

    __slots__ = (
        "_query",
        "caller",
        "headers",
        "held",
        "method",
        "origins",
        "params",
        "path",
        "receive",
        "request_id",
        "role",
        "rooms",
        "route",
        "scope",
        "send",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        rooms: Rooms,
        headers: dict[str, str],
        *,
        role: Role,
        path: str,
        origins: Origins,
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.rooms = rooms
        self.role = role
        self.path = path
        self.origins = origins
        self.method: str = scope.get("method", "GET")
        self.headers = headers
        self.caller = Caller("", frozenset())
        self.params: dict[str, str] = {}
        self.request_id = ""
        """The request that this exchange is about; answered as `x-fal-request-id`."""
        self.route: Route | None = None
        """Its row of the table; an endpoint has none."""
        self.held = 0
        """Bytes of the budget that this call has; whoever made the call gives them back at its end."""
        self._query: dict[str, str] | None = None

    @property
    def budget(self) -> Budget:
        return self.rooms.budget

    @property
    def budget_key(self) -> Key:
        """Whose share of the budget is used."""
        place: Place | None = self.scope.get(PLACE)
        return self.caller.key_id if place is None else place.key

    async def hold(self, size: int) -> None:
        """Wait for room for so many bytes in all, where they are many.

        Raises:
            Unavailable: there was none for too long.
        """
        if size > self.held and size > FREE:
            await self.budget.wait(self.budget_key, size - self.held)
            self.held = size

    def let_go(self) -> None:
        """Give back what the call holds."""
        if self.held:
            self.budget.give(self.budget_key, self.held)
            self.held = 0

    @property
    def query(self) -> Mapping[str, str]:
        """The query's parameters; the last of several wins."""
        if self._query is None:
            text = self.scope["query_string"].decode("latin-1")
            self._query = {k: v[-1] for k, v in parse_qs(text, keep_blank_values=True).items()} if text else {}
        return self._query

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            TooLarge: more than `limit` bytes, as announced or as they come.
            BadRequest: the caller went away in the middle.
            Unavailable: there was no memory for it for too long.
        """
        announced = self.headers.get("content-length")
        if announced is not None and announced.isdigit():
            if int(announced) > limit:
                raise TooLarge(f"the body has {announced} bytes; at most {limit} are taken (setting max_input_bytes)")
            if int(announced) > FREE:
                await self.hold(int(announced))
        message = await self.receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            whole: bytes = message.get("body", b"")
            if len(whole) > limit:
                raise TooLarge(f"the body has more than {limit} bytes (setting max_input_bytes)")
            return whole
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise BadRequest("the caller went away before the whole body was here")
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise TooLarge(f"the body has more than {limit} bytes (setting max_input_bytes)")
            if size > self.held:  # it did not say how long it is
                await self.hold(min(4 * size, limit))
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
            message = await self.receive()

    async def json(self, shape: type[T], limit: int = 64 * 1024, *, hint: str = "") -> T:
        """The body as `shape`; an empty one is an object without members.

        Raises:
            InvalidInput: it is not JSON or does not fit; `hint` is said after it.
            TooLarge, BadRequest: as `body`.
        """
        try:
            return msgspec.json.decode(await self.body(limit) or b"{}", type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput.field(["body"], f"{error}{hint and '; send '}{hint}") from None

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces as they come.

        Raises:
            BadRequest: the caller went away in the middle.
        """
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("the caller went away before the whole body was here")
            if part := message.get("body", b""):
                yield part
            more = message.get("more_body", False)


async def until_gone(receive: Receive) -> None:
    """Wait until the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


Response = ASGIApp
"""What a handler returns: any ASGI callable that answers the exchange, such as those of `answers`."""

Handler = Callable[[Call], Awaitable[Response]]
