"""What is called when a method is called, through decorators: `functools.wraps`, partials, objects that are called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any


def functions_in(function: Callable[..., Any]) -> Iterator[Any]:
    """What is called, from outside to inside."""
    seen: set[int] = set()
    inner: Any = function
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        yield inner
        inner = getattr(inner, "__wrapped__", None) or _within(inner)


def innermost(function: Callable[..., Any]) -> Any:
    """What is called in the end."""
    return list(functions_in(function))[-1]


def outermost(function: Callable[..., Any]) -> Any:
    """The function that runs first: whether it is `async` decides how it is called."""
    outer: Any = function
    while (inner := _within(outer)) is not None:
        outer = inner
    return outer


def place_of(function: Callable[..., Any]) -> str:
    """`file:line` of what is called in the end; empty where no source is known."""
    code = getattr(innermost(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def _within(function: Any) -> Any:
    """What a partial or an object calls; None for a function."""
    partial = getattr(function, "__partialmethod__", None) or getattr(function, "_partialmethod", None)
    if partial is not None:
        return partial.func
    if isinstance(function, functools.partial):
        return function.func
    if inspect.isroutine(function):
        return None
    called = inspect.getattr_static(type(function), "__call__", None)
    return called if inspect.isfunction(called) else None
