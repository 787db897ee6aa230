"""What differs between the async and the blocking client by more than a word: pool, sleep, tasks, callbacks.

`pondage.client.blocking.flow` has the same names for threads; the other modules use only these.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pondage.client import limits
from pondage.client.core import USER_AGENT
from pondage.client.trust import certificates

if TYPE_CHECKING:
    import httpx2
    from websockets.asyncio.client import ClientConnection, connect

    Socket = ClientConnection

T = TypeVar("T")

Job = Callable[[], Awaitable[T]]
"""Something to do, not begun yet."""


class Pool:
    """The HTTP library's client, made when first used, and anew on each event loop."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._making: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def ready(self) -> httpx2.AsyncClient | None:
        """The client, if there is one for this loop.

        Connections belong to the loop that opened them; those of a loop that is gone cannot even be closed.
        """
        return self._client if self._loop is asyncio.get_running_loop() else None

    async def make(self) -> httpx2.AsyncClient:
        """The client, a new one if need be. Loading the library and the certificates blocks, hence the thread; it also
        costs some ten milliseconds of work, hence the lock: a hundred first calls at once make one client."""
        loop = asyncio.get_running_loop()
        if self._making is None or self._making[0] is not loop:
            self._making = loop, asyncio.Lock()
        async with self._making[1]:
            if (other := self.ready()) is not None:
                return other
            made = await asyncio.to_thread(_new_client)
            self._client, self._loop = made, loop
            return made

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()


def _new_client() -> httpx2.AsyncClient:
    import httpx2

    bounds = httpx2.Limits(
        max_connections=limits.MAX_CONNECTIONS,
        max_keepalive_connections=limits.MAX_CONNECTIONS,
        keepalive_expiry=limits.KEEP_ALIVE,
    )
    return httpx2.AsyncClient(verify=certificates(), limits=bounds, follow_redirects=False)


async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def call(function: Callable[..., Any] | None, *arguments: Any) -> None:
    """Call back, if there is a callback; it may be a coroutine function."""
    if function is None:
        return
    result = function(*arguments)
    if inspect.isawaitable(result):
        await result


async def gather(jobs: Sequence[Job[T]], at_once: int) -> list[T]:
    """Do all jobs, so many at a time; their results in order. The first error ends the others and is raised."""
    gate = asyncio.Semaphore(at_once)

    async def one(job: Job[T]) -> T:
        async with gate:
            return await job()

    def spawn(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        return asyncio.ensure_future(coroutine)

    tasks = [spawn(one(job)) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def together(jobs: Sequence[Job[None]]) -> None:
    """Do all jobs at the same time. The first error ends the others and is raised."""
    await gather(jobs, max(1, len(jobs)))


async def off_loop(function: Callable[..., T], *arguments: Any) -> T:
    """Call something that blocks, such as reading a file."""
    return await asyncio.to_thread(function, *arguments)


class Signal:
    """Something happened: `set` says so, `wait` is told once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Whether it happened within the time."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Channel:
    """A line of at most `size` items between two tasks; whoever puts waits for room."""

    def __init__(self, size: int) -> None:
        self._items: deque[Any] = deque()
        self._size = size
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, item: Any) -> None:
        async with self._changed:
            while len(self._items) >= self._size and not self._closed:
                await self._changed.wait()
            if not self._closed:
                self._items.append(item)
            self._changed.notify_all()

    async def get(self, end: Any) -> Any:
        """The next item, or `end` once the line is closed and empty."""
        async with self._changed:
            while not self._items and not self._closed:
                await self._changed.wait()
            item = self._items.popleft() if self._items else end
            self._changed.notify_all()
            return item

    async def close(self) -> None:
        async with self._changed:
            self._closed = True
            self._changed.notify_all()


class Background:
    """A job under way beside its owner, who must join it."""

    def __init__(self, job: Job[None]) -> None:
        async def run() -> None:
            await job()

        self._task = asyncio.get_running_loop().create_task(run())

    @property
    def current(self) -> bool:
        """Whether the caller is the job itself."""
        return asyncio.current_task() is self._task

    async def join(self) -> None:
        """Wait for its end; its error is raised."""
        if not self.current:
            await self._task

    async def leave(self) -> None:
        """End it, whatever it waits for."""
        self._task.cancel()
        await asyncio.wait([self._task])


class Alarm:
    """Call something after so many seconds, unless stopped before."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, function)

    def stop(self) -> None:
        self._timer.cancel()


def _connect() -> type[connect]:
    from websockets.asyncio.client import connect

    return connect


async def dial(url: str, headers: dict[str, str]) -> Socket:
    """Open a WebSocket.

    Raises:
        Exception: of the WebSocket library or of the system.
    """
    connect = await asyncio.to_thread(_connect)
    return await connect(
        url,
        additional_headers=headers,
        user_agent_header=USER_AGENT,
        compression=None,
        max_size=None,
        open_timeout=limits.REALTIME_OPEN_TIMEOUT,
        close_timeout=limits.REALTIME_CLOSE_TIMEOUT,
        ping_interval=limits.REALTIME_PING,
        ping_timeout=limits.REALTIME_PING,
    )
