"""What differs between the async and the blocking client by more than a word: pool, sleep, tasks, callbacks.

`pondage.client.aio.flow` has the same names for an event loop; the other modules use only these.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from pondage.client import limits
from pondage.client.core import USER_AGENT
from pondage.client.trust import certificates

if TYPE_CHECKING:
    import httpx2
    from websockets.sync.client import ClientConnection

    Socket = ClientConnection

T = TypeVar("T")

Job = Callable[[], T]
"""Something to do, not begun yet."""


class Pool:
    """The HTTP library's client, made when first used, and anew in a forked process."""

    def __init__(self) -> None:
        self._client: httpx2.Client | None = None
        self._process = 0
        self._lock = threading.Lock()

    def ready(self) -> httpx2.Client | None:
        """The client, if there is one for this process."""
        return self._client if self._process == os.getpid() else None

    def make(self) -> httpx2.Client:
        """The client, a new one if need be."""
        with self._lock:
            if (other := self.ready()) is not None:
                return other
            self._client, self._process = _new_client(), os.getpid()
            return self._client

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()


def _new_client() -> httpx2.Client:
    import httpx2

    bounds = httpx2.Limits(
        max_connections=limits.MAX_CONNECTIONS,
        max_keepalive_connections=limits.MAX_CONNECTIONS,
        keepalive_expiry=limits.KEEP_ALIVE,
    )
    return httpx2.Client(verify=certificates(), limits=bounds, follow_redirects=False)


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
    with ThreadPoolExecutor(min(at_once, len(jobs)), thread_name_prefix="pondage-upload") as threads:
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

    threads = [threading.Thread(target=run, args=(job,), daemon=True, name="pondage-watch") for job in jobs[1:]]
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


class Signal:
    """Something happened: `set` says so, `wait` is told once."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it happened within the time."""
        if not self._event.wait(seconds):
            return False
        self._event.clear()
        return True


class Channel:
    """A line of at most `size` items between two threads; whoever puts waits for room."""

    def __init__(self, size: int) -> None:
        self._items: deque[Any] = deque()
        self._size = size
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Any) -> None:
        with self._changed:
            while len(self._items) >= self._size and not self._closed:
                self._changed.wait()
            if not self._closed:
                self._items.append(item)
            self._changed.notify_all()

    def get(self, end: Any) -> Any:
        """The next item, or `end` once the line is closed and empty."""
        with self._changed:
            while not self._items and not self._closed:
                self._changed.wait()
            item = self._items.popleft() if self._items else end
            self._changed.notify_all()
            return item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Background:
    """A job under way beside its owner, who must join it."""

    def __init__(self, job: Job[None]) -> None:
        self._error: BaseException | None = None

        def run() -> None:
            try:
                job()
            except BaseException as error:  # raised by whoever joins
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True, name="pondage-session")
        self._thread.start()

    @property
    def current(self) -> bool:
        """Whether the caller is the job itself."""
        return threading.current_thread() is self._thread

    def join(self) -> None:
        """Wait for its end; its error is raised."""
        if not self.current:
            self._thread.join()
            if self._error is not None:
                raise self._error

    def leave(self) -> None:
        """Leave it to itself: it is a daemon, and whatever it waits for ends by its own time limit."""


class Alarm:
    """Call something after so many seconds, unless stopped before."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self._timer = threading.Timer(seconds, function)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        self._timer.cancel()


def dial(url: str, headers: dict[str, str]) -> Socket:
    """Open a WebSocket.

    Raises:
        Exception: of the WebSocket library or of the system.
    """
    from websockets.sync.client import connect

    opening = connect(
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
    return opening.__enter__()  # what `with` would do; some versions of the library warn of anything else
