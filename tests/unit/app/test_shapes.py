"""Shapes of methods: behind decorators, and those that nobody could call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator
from typing import Annotated, Any

import fastapi
import numpy
import pytest
from fastapi import BackgroundTasks, Body, Cookie, Depends, Form, Header, Path, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, StreamingResponse

import pondage
from pondage.app.served import app_info, compile_endpoints
from pondage.app.signature import Signature


class In(BaseModel):
    text: str = ""


class Streams(StreamingResponse):
    """A streaming response by another name."""


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **more: Any) -> Any:
        return function(*args, **more)

    return wrapper


class Called:
    """A decorator that is a class."""

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    def __call__(self, *args: Any, **more: Any) -> Any:
        return self.function(*args, **more)


class Object:
    async def __call__(self, app: Any, text: str, times: int = 2) -> str:
        return text * times


async def later(self: Any, text: str, times: int = 2) -> str: ...
async def yielding(self: Any, text: str, times: int = 2) -> AsyncIterator[str]:
    yield text


@pytest.mark.parametrize(
    ("function", "is_async", "generates"),
    [
        (later, True, False),
        (wrapped(later), False, False),
        (wrapped(wrapped(yielding)), False, True),
        (functools.partial(later, times=3), True, False),
        (wrapped(functools.partial(yielding, times=3)), False, True),
        (Called(later), False, False),
        (Object(), True, False),
        (functools.partial(Object(), times=1), True, False),
        (functools.partialmethod(later, times=3).__get__(None, object), True, False),
    ],
)
def test_a_decorated_method_has_the_signature_of_what_it_calls(function: Any, is_async: bool, generates: bool) -> None:
    signature = Signature(function, "Of")
    assert (signature.is_async, signature.generates) == (is_async, generates)
    assert signature.names == ("text", "times")
    schema: Any = signature.input.schema
    assert schema["properties"]["text"] == {"title": "Text", "type": "string"} and schema["required"] == ["text"]
    assert signature.output.schema == {"type": "string"}


class Decorated(pondage.App):
    by_partial = pondage.endpoint("/partial")(functools.partialmethod(later, times=3))
    by_object = pondage.endpoint("/object")(Object())
    by_class = pondage.endpoint("/class")(Called(later))


def test_what_is_called_may_be_no_function() -> None:
    assert set(compile_endpoints(Decorated)) == {"/partial", "/object", "/class"}


def test_a_response_that_streams_needs_no_type() -> None:
    def bare(self, input: In):  # type: ignore[no-untyped-def]
        return StreamingResponse(iter([input.text]))

    def hinted(self: Any, input: In) -> StreamingResponse: ...
    def module(self, input: In):  # type: ignore[no-untyped-def]
        return fastapi.responses.StreamingResponse(iter([]))

    def renamed(self, input: In):  # type: ignore[no-untyped-def]
        return Streams(iter([]))

    def not_one(self, input: In):  # type: ignore[no-untyped-def]
        return {}

    streams = (bare, hinted, module, renamed, wrapped(bare))
    assert all(Signature(function, "Of").generates for function in streams)
    assert not Signature(not_one, "Of").generates


def positional(self: Any, prompt: str, /) -> str: ...
def stars(self: Any, *prompts: str) -> str: ...
def keywords(self: Any, **prompts: str) -> str: ...
def no_self() -> str: ...
def lost(*args: Any, **more: Any) -> Any: ...
def tensor(self: Any, x: numpy.random.Generator, y: int) -> str: ...
def response(self: Any, prompt: str) -> JSONResponse: ...
def path(self: Any, prompt: Annotated[str, Path()]) -> str: ...
def cookie(self: Any, prompt: str = Cookie()) -> str: ...
def form(self: Any, prompt: Annotated[str, Form()]) -> str: ...
def upload(self: Any, prompt: UploadFile) -> str: ...
def depends(self: Any, prompt: str = Depends(no_self)) -> str: ...
def tasks(self: Any, prompt: str, tasks: BackgroundTasks) -> str: ...
def unknown(self: Any, prompt: "Missing") -> str: ...  # type: ignore[name-defined]  # noqa: F821, UP037


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (positional, "prompt is positional-only"),
        (stars, r"\*prompts has no place"),
        (keywords, r"\*prompts has no place"),
        (no_self, "takes no self"),
        (lost, "functools.wraps"),
        (tensor, "Generator"),
        (response, "JSONResponse"),
        (path, "cannot be a Path"),
        (cookie, "cannot be a Cookie"),
        (form, "cannot be a Form"),
        (upload, "cannot be a UploadFile"),
        (depends, "cannot be a Depends"),
        (tasks, "cannot be a BackgroundTasks"),
        (unknown, "Missing"),
    ],
)
def test_what_nobody_could_call_is_refused_with_its_place(function: Any, words: str) -> None:
    class Wrong(pondage.App):
        run = pondage.endpoint("/")(function)

    line = inspect.getsourcelines(function)[1]
    with pytest.raises(TypeError, match=rf"test_shapes\.py:{line}: .*{words}"):
        compile_endpoints(Wrong)


def test_an_endpoint_is_a_method() -> None:
    for kind in (staticmethod, classmethod):
        with pytest.raises(TypeError, match="decorate a method"):
            pondage.endpoint("/")(kind(later))

        class Wrong(pondage.App):
            run = kind(pondage.endpoint("/")(wrapped(later)))

        with pytest.raises(TypeError, match="method with self"):
            compile_endpoints(Wrong)
    with pytest.raises(TypeError, match="decorate a method"):
        pondage.endpoint("/")(In)


# ---- batches


def slots(cls: type[pondage.App]) -> int:
    return app_info(cls, "a/b", compile_endpoints(cls)).max_multiplexing


def test_as_many_requests_run_at_once_as_the_largest_batch_has() -> None:
    class Batched(pondage.App):
        @pondage.endpoint("/four", max_batch_size=4)
        def four(self, inputs: list[In]) -> list[str]: ...

        @pondage.endpoint("/eight", max_batch_size=8)
        def eight(self, inputs: list[In]) -> list[str]: ...

    class Said(Batched):
        max_multiplexing = 9

    class Plain(pondage.App):
        @pondage.realtime("/realtime", max_batch_size=8)
        def messages(self, input: In, *inputs: In) -> In: ...

    assert (slots(Batched), slots(Said), slots(Plain)) == (8, 9, 1)

    class TooFew(Batched):
        max_multiplexing = 7

    with pytest.raises(TypeError, match=r"test_shapes\.py:\d+: /eight has max_batch_size=8, TooFew has .*=7"):
        compile_endpoints(TooFew)


def test_shapes_that_no_batch_can_have() -> None:
    class Streams(pondage.App):
        @pondage.endpoint("/", max_batch_size=2)
        def run(self, inputs: list[In]):  # type: ignore[no-untyped-def]
            yield ""

    class Two(pondage.App):
        @pondage.endpoint("/", max_batch_size=2)
        def run(self, inputs: list[In], more: list[In]) -> list[str]: ...

    for wrong, words in ((Streams, "it cannot stream"), (Two, "takes one parameter")):
        with pytest.raises(TypeError, match=words):
            compile_endpoints(wrong)


def test_fals_shapes_of_sessions() -> None:
    def several(self: Any, input: In, *inputs: In) -> In: ...
    def only(self: Any, *inputs: In) -> In: ...
    def one(self: Any, input: In) -> In: ...
    def listed(self: Any, inputs: list[In]) -> list[In]: ...
    def untyped(self, inputs): ...  # type: ignore[no-untyped-def]

    found = [Signature(f, "Of", batched=True, session=True) for f in (several, only, one, listed, untyped)]
    assert [signature.batches for signature in found] == ["messages"] * 3 + ["requests"] * 2
    assert [signature.several for signature in found] == [True, True, False, False, False]
    for signature in found[:4]:
        assert next(iter(signature.input.arguments({"text": "a"}).values())) == In(text="a")


# ---- headers


def test_headers_are_beside_the_input() -> None:
    def run(
        self: Any, input: In, x_max: int = Header(3, le=9), token: Annotated[str, Header(alias="X-T")] = ""
    ) -> str: ...

    signature = Signature(run, "Of")
    assert signature.input.whole == "input" and signature.headers is not None
    assert signature.headers.take({"x-max": "4", "x-t": "t"}) == {"x_max": 4, "token": "t"}
    assert signature.headers.take({}) == {"x_max": 3, "token": ""}

    class Wrong(pondage.App):
        @pondage.realtime("/realtime")
        def live(self, input: In, token: str = Header("")) -> In: ...

    with pytest.raises(TypeError, match="token has no place here"):
        compile_endpoints(Wrong)


def test_a_default_is_never_shared() -> None:
    def run(self: Any, input: In = In(text="a")) -> str: ...  # noqa: B008
    def body(self: Any, input: In = Body(In(text="b"))) -> str: ...  # noqa: B008
    def made(self: Any, input: In = Field(default_factory=lambda: In(text="c"))) -> str: ...  # noqa: B008
    def annotated(self: Any, input: Annotated[In, Field(default_factory=lambda: In(text="d"))]) -> str: ...

    def member(
        self: Any,
        tags: Annotated[list[str], Field(default_factory=list)],
        more: list[str] = Field(default_factory=list),  # noqa: B008
        size: Annotated[int, Field(default=3)] = 4,
        least: Annotated[int, Field(default=3)] = Field(ge=1),
    ) -> str: ...

    read = Signature(member, "Of").input
    assert read.parse(b"{}") == {"tags": [], "more": [], "size": 4, "least": 3}
    assert read.parse(b"{}")["tags"] is not read.parse(b"{}")["tags"]

    for function, text in ((run, "a"), (body, "b"), (made, "c"), (annotated, "d")):
        read = Signature(function, "Of").input
        first = read.parse(b"{ }")["input"]
        assert first == In(text=text) and read.arguments({}) == {"input": In(text=text)}
        first.text = "changed"
        assert read.parse(b"") == {"input": In(text=text)}
