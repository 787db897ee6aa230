"""Dynamic batching: inputs of several requests, or of several sessions, in one call; a result or an error for each."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from pondage.app.context import RequestContext, _current
from pondage.app.outputs import natural
from pondage.app.served import Endpoint
from pondage.loop import apart
from pondage.runner.attempt import Attempt, Interrupted, carriable
from pondage.wire.text import name_of


class _Item(NamedTuple):
    attempt: Attempt
    value: Any
    result: asyncio.Future[Any]


class SharedSink:
    """The words of a batch go to every request in it."""

    def __init__(self, attempts: list[Attempt]) -> None:
        self._attempts = attempts

    @property
    def cancelled(self) -> bool:
        """Only when nobody waits any more."""
        return all(attempt.cancelled for attempt in self._attempts)

    def write(self, stream: Any, text: str | bytes) -> None:
        for attempt in self._attempts:
            attempt.write(stream, text)

    def log(self, level: str, message: str, source: str = "") -> None:
        for attempt in self._attempts:
            attempt.log(level, message, source)

    def progress(self, step: float, total: float | None, message: str) -> None:
        for attempt in self._attempts:
            attempt.progress(step, total, message)

    def takes_preview(self) -> bool:
        return any([attempt.takes_preview() for attempt in self._attempts])

    def preview(self, data: bytes) -> None:
        for attempt in self._attempts:
            attempt.preview(data)


class Batcher:
    """The batches of one endpoint, one after the other; while one runs the next gathers.

    Args:
        wait: seconds that the first of a batch waits for others.
        threaded: runs a function in a thread.
    """

    def __init__(
        self, app: Any, endpoint: Endpoint, wait: float, threaded: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._app = app
        self._endpoint = endpoint
        self._size = endpoint.declaration.max_batch_size
        self._wait = wait
        self._threaded = threaded
        self._waiting: list[_Item] = []
        self._full = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, attempt: Attempt, value: Any) -> Any:
        """The result for `value`.

        Raises:
            BaseException: what the function raised, or returned for this item.
        """
        item = _Item(attempt, value, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        if len(self._waiting) >= self._size:
            self._full.set()
        self._start()
        return await item.result

    def _start(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
            apart(self._worker)
            self._worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """Whatever ended the worker, those that still wait get another."""
        if not worker.cancelled() and (error := worker.exception()) is not None:
            waiting, self._waiting = self._waiting, []
            for item in waiting:
                if not item.result.done():
                    item.result.set_exception(_raisable(error))
        elif self._waiting:
            self._start()

    async def _work(self) -> None:
        while self._waiting:
            if len(self._waiting) < self._size and self._wait > 0:
                self._full.clear()
                try:
                    async with asyncio.timeout(self._wait):
                        await self._full.wait()
                except TimeoutError:
                    pass
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            batch = [item for item in batch if not item.result.done()]
            if batch:
                await self._run(batch)

    async def _run(self, batch: list[_Item]) -> None:
        first = batch[0].attempt.context
        _current.set(
            RequestContext(
                request_id=first.request_id,
                attempt=first.attempt,
                endpoint=first.endpoint,
                headers=first.headers,
                deadline=first.deadline,
                sink=SharedSink([item.attempt for item in batch]),
                files=first.files,
                lifecycle_preference=first.lifecycle_preference,
                caller=first.caller,
            )
        )
        (name,) = self._endpoint.signature.names
        arguments = {name: [item.value for item in batch]}
        try:
            if self._endpoint.signature.is_async:
                results = await self._endpoint.call(self._app, **arguments)
            else:
                results = await self._threaded(lambda: self._endpoint.call(self._app, **arguments))
                while inspect.isawaitable(results):  # as behind a decorator that is a plain function
                    results = await results
            if hasattr(type(results), "tolist") or hasattr(type(results), "numpy"):
                results = natural(results)  # an array of a result for each
            listed = isinstance(results, list | tuple)
            results = list(results) if listed else name_of(results)
            if not listed or len(results) != len(batch):
                count = len(results) if listed else f"a {results}"
                raise TypeError(f"a batch of {len(batch)} needs a list of {len(batch)} results, got {count}")
        except BaseException as error:
            results = [error] * len(batch)
        finally:
            _current.set(None)
        for item, result in zip(batch, results, strict=True):
            if item.result.done():
                continue
            if issubclass(type(result), BaseException):  # isinstance would ask the value itself
                item.result.set_exception(_raisable(result))
            else:
                item.result.set_result(result)


def _raisable(error: BaseException) -> BaseException:
    """What a future can carry; one that is cancelled would look like its waiter's own end."""
    if issubclass(type(error), asyncio.CancelledError):
        return Interrupted("the batch was cancelled").with_traceback(error.__traceback__)
    return carriable(error)
