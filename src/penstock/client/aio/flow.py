"""What differs between the async and the blocking client by more than a word: pool, sleep, tasks, callbacks.

`penstock.client.blocking.flow` has the same names for threads; the other modules use only these.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.client import limits

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

Job = Callable[[], Awaitable[T]]
"""Something to do, not begun yet."""


class Pool:
    """The HTTP library's client, made when first used, and anew on each event loop."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Connections belong to the loop that opened them; those of a loop that is gone cannot even be closed.
            import httpx2

            bounds = httpx2.Limits(
                max_connections=limits.MAX_CONNECTIONS,
                max_keepalive_connections=limits.MAX_CONNECTIONS,
                keepalive_expiry=limits.KEEP_ALIVE,
            )
            self._client = httpx2.AsyncClient(limits=bounds, follow_redirects=False)
            self._loop = loop
        return self._client

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()


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
