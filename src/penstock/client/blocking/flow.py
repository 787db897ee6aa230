"""What differs between the async and the blocking client by more than a word: pool, sleep, tasks, callbacks.

`penstock.client.aio.flow` has the same names for an event loop; the other modules use only these.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.client import limits

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

Job = Callable[[], T]
"""Something to do, not begun yet."""


class Pool:
    """The HTTP library's client, made when first used, and anew in a forked process."""

    def __init__(self) -> None:
        self._client: httpx2.Client | None = None
        self._process = 0
        self._lock = threading.Lock()

    def get(self) -> httpx2.Client:
        client = self._client
        if client is not None and self._process == os.getpid():
            return client
        with self._lock:
            if self._client is None or self._process != os.getpid():
                import httpx2

                bounds = httpx2.Limits(
                    max_connections=limits.MAX_CONNECTIONS,
                    max_keepalive_connections=limits.MAX_CONNECTIONS,
                    keepalive_expiry=limits.KEEP_ALIVE,
                )
                self._client = httpx2.Client(limits=bounds, follow_redirects=False)
                self._process = os.getpid()
            return self._client

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def call(function: Callable[..., Any] | None, *arguments: Any) -> None:
    """Call back, if there is a callback."""
    if function is not None:
        function(*arguments)


def gather(jobs: Sequence[Job[T]], at_once: int) -> list[T]:
    """Do all jobs, so many at a time; their results in order. The first error ends the others and is raised."""
    if len(jobs) <= 1:
        return [job() for job in jobs]
    with ThreadPoolExecutor(min(at_once, len(jobs)), thread_name_prefix="penstock-upload") as threads:
        futures = [threads.submit(job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def together(jobs: Sequence[Job[None]]) -> None:
    """Do all jobs at the same time: the first in this thread, the others beside it. The first error is raised.

    An error of the first is raised at once, while the others end by themselves: they are daemons.
    """
    if not jobs:
        return
    errors: list[BaseException] = []

    def run(job: Job[None]) -> None:
        try:
            job()
        except BaseException as error:  # raised by whoever joins
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,), daemon=True, name="penstock-watch") for job in jobs[1:]]
    for thread in threads:
        thread.start()
    jobs[0]()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def off_loop(function: Callable[..., T], *arguments: Any) -> T:
    """Call something that blocks; here everything does."""
    return function(*arguments)
