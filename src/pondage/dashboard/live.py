"""`WS /api/v1/live`: what a page shows, as it changes. One socket for each visible tab.

A client says `{"sub": topic, "after": n}` and `{"unsub": topic}`. Topics are of two kinds:

- Lists (`apps`, `summary`, `runners`, `requests?…`, `deliveries?…`) are the first page of the same route of the API.
  They are read for all sockets at once, at most every `PAUSE`; a socket that reads slowly gets fewer, larger changes.
  Messages: `{"topic", "n", "keys": […], "rows": [those that changed]}`.
- `request:<id>` follows a request's log from event `after` on and leaves none out.
  Messages: `{"topic", "n", "request", "events", "end"}`, and `{"topic", "preview"}` with a picture of its work.

What cannot be followed is answered with `{"topic", "error"}`. The first message is `{"hello": …}`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

import msgspec

from pondage.dashboard.assets import built
from pondage.errors import BadRequest, NotFound, RequestError
from pondage.gateway import api, webhooks
from pondage.gateway.access import require
from pondage.gateway.answers import Answer
from pondage.gateway.call import Call, Caller, Handler, Role
from pondage.gateway.realtime import accept
from pondage.gateway.requests import visible
from pondage.gateway.status import picture_url
from pondage.queue.interface import RequestView
from pondage.wire.states import State

log = logging.getLogger("pondage.dashboard")

PATH = "/api/v1/live"
PAUSE = 0.25
"""Seconds between two readings of a list: at most four changes a second."""
MOST_TOPICS = 32
"""Topics that one socket may follow."""
_EVENTS = 500
_MESSAGE = 4096
_ID = "request:"


class _Row(msgspec.Struct):
    id: str = ""
    name: str = ""


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]


_COUNTS = frozenset({"queued", "running", "free"})
"""What of an app changes with every request: the topic `summary`; the rest is the topic `apps`."""


class _List(NamedTuple):
    """A list that can be followed: its route, what is always asked, and which members of a row are sent, or not."""

    handler: Handler
    scope: str
    always: str = ""
    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()


LISTS = {
    "apps": _List(api.list_apps, "read", "schemas=0", without=_COUNTS),
    "summary": _List(api.list_apps, "read", "schemas=0", only=_COUNTS | {"name"}),
    "runners": _List(api.list_runners, "read"),
    "requests": _List(api.list_requests, "read"),
    "deliveries": _List(webhooks.list_deliveries, "read"),
}


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    sub: str | None = None
    unsub: str | None = None
    after: int = 0


Rows = dict[str, bytes]


def _asked(call: Call, path: str, query: str, params: dict[str, str] | None = None) -> Call:
    """A call of the same caller for another route, as a reading of it."""
    scope = {**call.scope, "method": "GET", "query_string": query.encode("latin-1", "replace")}
    asked = Call(
        scope, call.receive, call.send, call.rooms, call.headers, role=Role.RUN, path=path, origins=call.origins
    )
    asked.caller = call.caller
    asked.params = params or {}
    return asked


def _rows(body: bytes, known: _List) -> Rows:
    rows: Rows = {}
    for raw in msgspec.json.decode(body, type=_Page).items:
        key = msgspec.json.decode(raw, type=_Row)
        rows[key.id or key.name] = _part(bytes(raw), known)
    return rows


def _part(row: bytes, known: _List) -> bytes:
    """What of a row is sent."""
    if known.only is None and not known.without:
        return row
    members = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
    kept = members.keys() - known.without if known.only is None else members.keys() & known.only
    return msgspec.json.encode({name: value for name, value in members.items() if name in kept})


class Shared:
    """A list that is read once for all who follow it and may see the same."""

    def __init__(self, read: Callable[[], Awaitable[Rows]], ended: Callable[[], None]) -> None:
        self.n = 0
        self.rows: Rows = {}
        self.problem: RequestError | None = None
        self.readers: set[asyncio.Event] = set()
        self._read = read
        self._ended = ended
        self._task: asyncio.Task[None] | None = None

    def join(self) -> asyncio.Event:
        """Begin to follow; the event is set when there is something new."""
        news = asyncio.Event()
        self.readers.add(news)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="live list")
        elif self.n:
            news.set()
        return news

    def leave(self, news: asyncio.Event) -> None:
        self.readers.discard(news)
        if not self.readers and self._task is not None:
            self._task.cancel()
            self._ended()

    async def _run(self) -> None:
        while True:
            try:
                rows = await self._read()
            except RequestError as problem:
                self.problem = problem
            except Exception as error:
                log.error("live list: %s", error, exc_info=error)
                self.problem = BadRequest("this list cannot be read just now")
            else:
                if self.n and rows == self.rows and list(rows) == list(self.rows):
                    await asyncio.sleep(PAUSE)
                    continue
                self.rows = rows
                self.n += 1
            for news in self.readers:
                news.set()
            if self.problem is not None:
                self._ended()
                return
            await asyncio.sleep(PAUSE)


Shares = dict[tuple[str, Caller], Shared]


class Socket:
    """One tab."""

    def __init__(self, call: Call, shares: Shares) -> None:
        self._call = call
        self._shares = shares
        self._following: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Serve the socket until the tab leaves or the server stops."""
        from pondage import __version__

        build = await asyncio.to_thread(built)
        rooms, caller = self._call.rooms, self._call.caller
        hello = {
            "build": build.id,
            "version": __version__,
            "now": rooms.clock.wall(),
            "open": rooms.access.open,
            "scopes": sorted(caller.scopes),
        }
        await self._say({"hello": hello})
        closing = asyncio.ensure_future(self._call.rooms.closing.wait())
        coming: asyncio.Future[Any] | None = None
        try:
            while True:
                coming = asyncio.ensure_future(cast(Awaitable[Any], self._call.receive()))
                await asyncio.wait([coming, closing], return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    await self._call.send({"type": "websocket.close", "code": 1012, "reason": "the server stops"})
                    return
                message = coming.result()
                if message["type"] == "websocket.disconnect":
                    return
                await self._hear(message)
        finally:
            tasks = [closing, *self._following.values(), *([coming] if coming else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, message: dict[str, Any]) -> None:
        text = message.get("text") or ""
        try:
            if len(text) > _MESSAGE:
                raise BadRequest(f"a message of more than {_MESSAGE} characters")
            ask = msgspec.json.decode(text, type=Ask)
        except (msgspec.MsgspecError, BadRequest) as error:
            await self._say({"error": {"status": 400, "detail": f"{error}; send {{'sub': topic}}"}})
            return
        if ask.unsub is not None and (task := self._following.pop(ask.unsub, None)) is not None:
            task.cancel()
        if ask.sub is not None:
            if (old := self._following.pop(ask.sub, None)) is not None:
                old.cancel()
            if len(self._following) >= MOST_TOPICS:
                await self._refuse(ask.sub, BadRequest(f"a socket follows at most {MOST_TOPICS} topics"))
                return
            self._following[ask.sub] = asyncio.create_task(self._follow(ask.sub, ask.after), name=f"live {ask.sub}")

    async def _follow(self, topic: str, after: int) -> None:
        try:
            if topic.startswith(_ID):
                await self._follow_request(topic, after)
            else:
                await self._follow_list(topic)
        except RequestError as problem:
            await self._refuse(topic, problem)
        except OSError:
            return  # the tab has left
        except Exception as error:
            log.error("live %s: %s", topic, error, exc_info=error)
            await self._refuse(topic, BadRequest("this cannot be followed just now"))

    async def _follow_list(self, topic: str) -> None:
        name, _, query = topic.partition("?")
        if (known := LISTS.get(name)) is None:
            raise NotFound(f"there is no topic {name}; there are {', '.join(LISTS)} and {_ID}<id>")
        require(self._call.caller, known.scope)
        key = (topic, self._call.caller)
        asked = _asked(self._call, f"/api/v1/{name}", "&".join(filter(None, (known.always, query))))

        async def read() -> Rows:
            answer = cast(Answer, await known.handler(asked))
            return _rows(answer.body, known)

        def ended() -> None:
            self._shares.pop(key, None)

        if (shared := self._shares.get(key)) is None:
            shared = self._shares[key] = Shared(read, ended)
        news = shared.join()
        sent: Rows = {}
        try:
            while True:
                await news.wait()
                news.clear()
                if shared.problem is not None:
                    raise shared.problem
                rows = shared.rows
                changed = [msgspec.Raw(data) for at, data in rows.items() if sent.get(at) != data]
                sent = rows
                await self._say({"topic": topic, "n": shared.n, "keys": list(rows), "rows": changed})
        finally:
            shared.leave(news)

    async def _follow_request(self, topic: str, after: int) -> None:
        request_id = topic.removeprefix(_ID)
        require(self._call.caller, "read")
        view = await visible(_asked(self._call, PATH, "", {"request_id": request_id}))
        pictures = asyncio.create_task(self._show_pictures(topic, view.id), name=f"live pictures {view.id}")
        try:
            await self._follow_log(topic, view, after)
        finally:
            pictures.cancel()
            await asyncio.gather(pictures, return_exceptions=True)

    async def _show_pictures(self, topic: str, request_id: str) -> None:
        """What a running request shows of its work: the newest picture, as often as the tab takes one."""
        came = asyncio.Event()
        newest = [self._call.rooms.fleet.preview(request_id)]

        def hear(data: bytes) -> None:
            newest[0] = data
            came.set()

        stop = self._call.rooms.fleet.live_previews(request_id, hear)
        try:
            while True:
                if newest[0]:
                    await self._say({"topic": topic, "preview": picture_url(newest[0])})
                await came.wait()
                came.clear()
        finally:
            stop()

    async def _follow_log(self, topic: str, view: RequestView, after: int) -> None:
        queue = self._call.rooms.queue
        said: Any = None
        async with queue.watch(view.id) as watch:
            while True:
                view = await queue.get(view.id) or view
                events = await queue.events(view.id, after=after, limit=_EVENTS)
                after = events[-1].n if events else after
                more = len(events) == _EVENTS
                end = view.state is State.DONE and not more
                if events or view != said:
                    said = view
                    shown = [api.event_object(event) for event in events]
                    await self._say(
                        {"topic": topic, "n": after, "request": api.shown(view), "events": shown, "end": end}
                    )
                if end:
                    return
                if not more:
                    # While it waits, its position moves without an event of its own.
                    await watch.changed(1.0 if view.state is State.QUEUED else 15.0)

    async def _refuse(self, topic: str, problem: RequestError) -> None:
        self._following.pop(topic, None)
        error = {"status": problem.status, "detail": problem.told}
        await self._say({"topic": topic, "error": error})

    async def _say(self, members: dict[str, Any]) -> None:
        text = msgspec.json.encode(members).decode()
        async with self._sending:
            await self._call.send({"type": "websocket.send", "text": text})


async def live(call: Call) -> None:
    """Accept a tab's socket and serve it."""
    if await accept(call):
        await Socket(call, call.rooms.live).run()
