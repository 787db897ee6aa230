"""Names of fal's SDK that an app written for it may use, and that have little or no meaning on one's own machines."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

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
