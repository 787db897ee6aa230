"""A method of an app as its endpoint calls it: what its signature and its type hints say. Read once, at the start."""

from __future__ import annotations

import inspect
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from types import CodeType, UnionType
from typing import Any, Literal

import pydantic

from pondage.app.callables import functions_in, innermost, outermost
from pondage.app.inputs import Input
from pondage.app.outputs import Output
from pondage.app.parameters import Headers, Parameter, given_class

Mode = Literal["call", "stream", "realtime"]
Batches = Literal["", "requests", "messages"]
"""What a method with `max_batch_size` is given at once: inputs of several requests, or messages of one session."""

_ASYNC_ITERATORS = (AsyncIterator, AsyncIterable, AsyncGenerator)
_ITERATORS = (*_ASYNC_ITERATORS, Iterator, Iterable, Generator)
STREAMING_RESPONSES = frozenset({"StreamingResponse", "EventSourceResponse"})
"""Starlette's responses, and its neighbour's, whose bodies are iterated."""


class Signature:
    """A method of an app as its endpoint calls it.

    Attributes:
        is_async: called on the loop; otherwise in a thread. What it returns may have to be awaited all the same.
        generates: its value is iterated.
        generates_async: with `async for`; such a method is called on the loop too.
        consumes: it takes an iterator of messages, one for `async for` where `consumes_async`.
        batches: what it is given at once, where it is batched.
        several: its last parameter is `*inputs`: it takes several messages of a session.
        given: parameters that are not of the input, with the class of Starlette's that each wants.
        headers: parameters that are headers of the request.

    Raises:
        TypeError: nobody could call it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        title: str,
        *,
        batched: bool = False,
        session: bool = False,
        message: Any = None,
        result: Any = None,
    ) -> None:
        """`message` and `result`: the types of a session's messages, where the hints say none."""
        self._name = getattr(innermost(function), "__qualname__", title)
        self.several = False
        declared = self._declared(function, session)
        hints = _hints(function, self._name)
        if message is not None and len(declared) == 1:
            hints.setdefault(next(iter(declared)), message)
        if result is not None:
            hints.setdefault("return", result)
        self.given: dict[str, type] = {n: cls for n in declared if (cls := given_class(hints.get(n))) is not None}
        for name in self.given:
            del declared[name]
        self._returned: Any = inspect.Parameter.empty
        self._read_return(function, hints)
        self.consumes = False
        self.batches: Batches = "messages" if self.several else "requests" if batched else ""
        if len(declared) == 1:
            self._read_only(next(iter(declared)), hints, session=session)
        if self.batches == "requests":
            self._returned = _list_item(self._name, "return", self._returned)
        self.names = tuple(declared)
        try:
            parameters = [Parameter(n, hints.get(n, Any), p.default, self._name) for n, p in declared.items()]
            headers = [parameter for parameter in parameters if parameter.kind == "header"]
            rest = [parameter for parameter in parameters if parameter.kind != "header"]
            self.headers = Headers(headers, f"{title}Headers") if headers else None
            self.input = Input(rest, f"{title}Input", message=session or batched)
            self.output = Output(self._returned)
        except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticUndefinedAnnotation) as error:
            raise TypeError(f"{self._name}: {str(error).splitlines()[0]}") from error

    @property
    def beside(self) -> list[str]:
        """The names of parameters that are not of the input."""
        return [*self.given, *(self.headers.names if self.headers is not None else ())]

    def _declared(self, function: Callable[..., Any], session: bool) -> dict[str, inspect.Parameter]:
        """The parameters but the first, which is the app, and but a session's `*inputs` behind another."""
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError as error:
            raise TypeError(f"{self._name}: {error}") from error
        if not parameters or parameters[0].kind in (parameters[0].KEYWORD_ONLY, parameters[0].VAR_KEYWORD):
            raise TypeError(f"{self._name} takes no self; an endpoint is a method of the app")
        if parameters[0].kind is parameters[0].VAR_POSITIONAL:
            raise TypeError(
                f"{self._name}(*{parameters[0].name}) does not say what it takes; "
                "let the decorator that made it use functools.wraps"
            )
        declared = {parameter.name: parameter for parameter in parameters[1:]}
        last = next((p.name for p in declared.values() if p.kind is p.VAR_POSITIONAL), "")
        if last and session and len(declared) <= 2:
            self.several = True
            if len(declared) == 2:
                del declared[last]
            return declared
        for name, parameter in declared.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(f"{self._name}: *{name} has no place in an endpoint's input")
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise TypeError(f"{self._name}: {name} is positional-only, and inputs have names; leave the / out")
        return declared

    def _read_return(self, function: Callable[..., Any], hints: dict[str, Any]) -> None:
        """What comes back: one value, or many one after the other."""
        returned = hint = hints.pop("return", inspect.Parameter.empty)
        called = list(functions_in(function))
        outer = outermost(function)
        self.is_async = inspect.iscoroutinefunction(outer) or inspect.isasyncgenfunction(outer)
        self.consumes_async = any(inspect.iscoroutinefunction(p) or inspect.isasyncgenfunction(p) for p in called)
        yields_async = any(inspect.isasyncgenfunction(part) for part in called)
        self.generates = yields_async or any(inspect.isgeneratorfunction(part) for part in called)
        if getattr(returned, "__name__", "") in STREAMING_RESPONSES or (
            (returned is inspect.Parameter.empty or returned is Any) and any(_names_a_stream(part) for part in called)
        ):
            # fal's way to stream: a response of Starlette's, whose body is iterated.
            self.generates, returned, hint = True, inspect.Parameter.empty, inspect.Parameter.empty
        if _origin_of(returned) in (Awaitable, Coroutine):
            returned = hint = (typing.get_args(returned) or (Any,))[-1]
        item = _item_of(returned)
        if item is not None:
            self.generates, returned = True, item
        elif self.generates:
            returned = inspect.Parameter.empty
        self.generates_async = yields_async or (self.generates and _origin_of(hint) in _ASYNC_ITERATORS)
        self._returned = inspect.Parameter.empty if returned is type(None) else returned

    def _read_only(self, name: str, hints: dict[str, Any], *, session: bool) -> None:
        """The one parameter: a value, an iterator of messages, or a list of several requests' inputs."""
        hint = hints.get(name, Any)
        message = _item_of(hint)
        if message is not None:
            self.consumes = True
            hints[name] = message
        elif self.batches == "requests" and session and hint is not Any and _origin_of(hint) is not list:
            self.batches = "messages"  # fal's shape for one message at a time
        elif self.batches == "requests":
            hints[name] = _list_item(self._name, name, hint)


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """The types by the names of the parameters, behind every decorator."""
    try:
        hints = typing.get_type_hints(innermost(function), include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise TypeError(f"the type hints of {name}: {error}") from error
    signature = inspect.signature(function)
    said = {p.name: p.annotation for p in signature.parameters.values()} | {"return": signature.return_annotation}
    for parameter, hint in said.items():
        if hint is not inspect.Parameter.empty and not isinstance(hint, str):
            hints.setdefault(parameter, hint)  # a decorator's own, by __signature__
    return hints


def _names_a_stream(function: Any) -> bool:
    """Whether a method without a type for what it returns speaks of a streaming response: it will return one."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return False
    known = getattr(function, "__globals__", {})
    meant = [getattr(known.get(name), "__mro__", ()) for name in code.co_names]
    said = {*code.co_names, *(cls.__name__ for classes in meant if isinstance(classes, tuple) for cls in classes)}
    return not STREAMING_RESPONSES.isdisjoint(said)


def _origin_of(hint: Any) -> Any:
    return typing.get_origin(hint) or hint


def _item_of(hint: Any) -> Any:
    """The item's type of an iterator's hint; None where it is no iterator."""
    if _origin_of(hint) not in _ITERATORS:
        return None
    return (typing.get_args(hint) or (Any,))[0]


def _list_item(function: str, name: str, hint: Any) -> Any:
    if hint is Any or hint is inspect.Parameter.empty:
        return hint
    if _origin_of(hint) is not list:
        raise TypeError(f"{function} is batched, so {name} must be a list[…]")
    (item,) = typing.get_args(hint) or (Any,)
    members = typing.get_args(item) if typing.get_origin(item) in (typing.Union, UnionType) else ()
    rest = [m for m in members if not (isinstance(m, type) and issubclass(m, BaseException))]
    return item if not members or len(rest) == len(members) else typing.Union[tuple(rest)]  # noqa: UP007
