"""Names of fal's SDK that an app written for it may use, and that have little or no meaning on one's own machines."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, Protocol, TypedDict, TypeVar, runtime_checkable

P = ParamSpec("P")
T = TypeVar("T")


def cached(function: Callable[P, T]) -> Callable[P, T]:
    """Remember the results of a function in this process, by its arguments, which must be hashable."""
    remembered: Callable[..., T] = functools.lru_cache(maxsize=None)(function)

    @functools.wraps(function)
    def call(*args: P.args, **keywords: P.kwargs) -> T:
        return remembered(*args, **keywords)

    return call


class ContainerImage:
    """fal's container image. Accepted, and not built: a runner executes in the environment that it was started in."""

    def __init__(self, dockerfile_str: str = "", **options: Any) -> None:
        self.dockerfile_str = dockerfile_str
        self.options = options

    @classmethod
    def from_dockerfile_str(cls, text: str, **options: Any) -> ContainerImage:
        """From the text of a Dockerfile."""
        return cls(text, **options)

    @classmethod
    def from_dockerfile(cls, path: str | Path, **options: Any) -> ContainerImage:
        """From a Dockerfile.

        Raises:
            OSError: it cannot be read.
        """
        return cls(Path(path).read_text("utf-8"), **options)

    def add_dockerignore(self, patterns: list[str] | None = None, path: str | Path | None = None) -> None:
        """Accepted: nothing is built, so nothing is left out."""


@dataclass
class ApplicationHealthCheckConfig:
    """fal's health check as its platform has it. Accepted where a `HealthCheck` is, and as little called."""

    path: str
    start_period_seconds: int | None = None
    timeout_seconds: int | None = None
    failure_threshold: int | None = None
    call_regularly: bool | None = None
    method: str | None = None


@dataclass
class RetryConfig:
    """fal's retries by reason. Accepted: here `max_strikes`, `Retry` and the caller's `X-Fal-No-Retry` decide."""

    timeout: int | None = None
    server_error: int | None = None
    connection_error: int | None = None

    def to_dict(self) -> dict[str, dict[str, int]]:
        """The reasons that are set, each with its retries.

        Raises:
            ValueError: none is set.
        """
        said = {name: {"retries": max(int(n), 0)} for name, n in vars(self).items() if n is not None}
        if not said:
            raise ValueError("RetryConfig needs at least one of timeout, server_error, connection_error")
        return said


class BillingComponents(TypedDict):
    """What an endpoint says it bills by: the JSON schema of its report. Nothing is billed here."""

    version: Literal[1]
    schema_id: str
    app: dict[str, Any]


@runtime_checkable
class BillingDeclaration(Protocol):
    """What `endpoint(billing=…)` is given. It is asked once, as the endpoint is declared."""

    def declaration(self) -> BillingComponents:
        """What is billed."""
        ...
