"""fal's `retry`: call a function again when it fails."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

log = logging.getLogger("pondage.toolkit")
F = TypeVar("F", bound=Callable[..., Any])


def retry(
    max_retries: int = 3,
    base_delay: float = 1.0,
    max_delay: float = 60.0,
    backoff_type: Literal["exponential", "fixed"] = "exponential",
    jitter: bool = False,
    should_retry: Callable[[Exception], bool] | None = None,
) -> Callable[[F], F]:
    """Decorate a function, plain or `async`, that is called again when it raises. A cancellation is never tried again.

    Args:
        max_retries: calls in all, as fal counts them.
        base_delay: seconds before the second call; doubled for each further one where `backoff_type` is exponential.
        max_delay: most seconds between two calls.
        jitter: multiply each delay by a random number between 0.5 and 1.5.
        should_retry: whether an exception is worth another call; all are without it.

    Raises:
        ValueError: `max_retries` is below 1.
    """
    if max_retries < 1:
        raise ValueError(f"max_retries is at least 1, got {max_retries}")

    def delays() -> Iterator[float]:
        for n in range(max_retries - 1):
            delay = min(base_delay * 2**n if backoff_type == "exponential" else base_delay, max_delay)
            yield delay * random.uniform(0.5, 1.5) if jitter else delay  # noqa: S311 - no secret

    def next_delay(left: Iterator[float], error: Exception) -> float:
        delay = next(left, None)
        if delay is None or (should_retry is not None and not should_retry(error)):
            raise error
        log.warning("%s: %s; trying again in %.3g s", type(error).__name__, error, delay)
        return delay

    def decorate(function: F) -> F:
        @functools.wraps(function)
        async def later(*args: Any, **keywords: Any) -> Any:
            left = delays()
            while True:
                try:
                    return await function(*args, **keywords)
                except Exception as error:
                    await asyncio.sleep(next_delay(left, error))

        @functools.wraps(function)
        def now(*args: Any, **keywords: Any) -> Any:
            left = delays()
            while True:
                try:
                    return function(*args, **keywords)
                except Exception as error:
                    time.sleep(next_delay(left, error))

        return later if inspect.iscoroutinefunction(function) else now  # type: ignore[return-value]

    return decorate
