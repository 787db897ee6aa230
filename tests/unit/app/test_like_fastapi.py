"""One table of methods and inputs, served by FastAPI and by us: the answers are the same."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import inspect
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import fastapi
import pydantic
import pytest
from fastapi import Body, Header, Query
from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel
from starlette.types import Message
from typing_extensions import TypeAliasType

from pondage.app.outputs import OutputError
from pondage.app.signature import Signature
from pondage.runner import outcomes
from pondage.runner.findings import Misfit


class Size(BaseModel):
    width: int = Field(8, ge=1)


class Order(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    file_name: str
    page_size: Annotated[int, Field(ge=1, le=9)] = 3
    size: Size = Size()


class Renamed(BaseModel):
    name: str = Field(validation_alias="in", serialization_alias="out")


class Numbers(RootModel[list[int]]):
    pass


@dataclasses.dataclass
class Plain:
    """Not `Order`, and with the same members."""

    fileName: str
    pageSize: int
    size: Any
    secret: str = "not for callers"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def model(order: Order) -> Order:
    return order


def model_of_body(order: Annotated[Order, Body()]) -> dict[str, Any]:
    return {"page": order.page_size}


def member(order: Annotated[Order, Body(embed=True)]) -> int:
    return order.page_size


def two(order: Order, size: Size) -> list[int]:
    return [order.page_size, size.width]


def renamed(given: Renamed) -> Renamed:
    return given


def other_class(order: Order) -> Order:
    return Plain(order.file_name, 5, Size(width=2))  # type: ignore[return-value]


def same_members(order: Order) -> Size:
    class Other(BaseModel):
        width: int = 4
        more: str = "left out"

    return Other()  # type: ignore[return-value]


def as_dict(order: Order) -> Order:
    return {"fileName": order.file_name, "pageSize": 2}  # type: ignore[return-value]


def numbers(numbers: Numbers) -> Numbers:
    return numbers


def scalar(steps: int = Body(4, ge=1, le=10)) -> int:
    return steps


def scalar_member(steps: Annotated[int, Body(ge=1, le=10, embed=True)] = 4) -> int:
    return steps


def aliased_member(steps: Annotated[int, Body(alias="stepCount", embed=True)] = 4) -> int:
    return steps


Limited = TypeAliasType("Limited", Annotated[int, Body(gt=1, embed=True)])


def by_alias_of_a_type(steps: Limited = 4) -> int:
    return steps


def made_defaults(
    tags: Annotated[list[str], Body(default_factory=lambda: ["a"])],
    more: list[str] = Body(default_factory=lambda: ["b"]),  # noqa: B008
) -> list[str]:
    return tags + more


def some_members(prompt: Annotated[str, Body(min_length=2)], steps: Annotated[int, Body(gt=1)] = 4) -> str:
    return prompt * steps


def bare_list(items: list[int]) -> int:
    return sum(items)


def bare_set(items: set[str] | None = None) -> list[str]:
    return sorted(items or [])


def bare_models(orders: Annotated[list[Order], Field(max_length=2)]) -> list[int]:
    return [order.page_size for order in orders]


def bare_choice(value: Order | int) -> str:
    return str(value)


class Sent(BaseModel):
    x_token: str
    x_tag: list[str] = []
    most: int = Field(7, alias="X-Max")


def model_of_headers(size: Size, sent: Annotated[Sent, Header()]) -> Sent:
    return sent


def headers(order: Order, x_token: Annotated[str, Header(min_length=3)], limit: int = Header(7, alias="X-Max")) -> str:
    return f"{order.file_name} {x_token} {limit}"


def many_headers(size: Size, x_tag: Annotated[list[str] | None, Header()] = None) -> Any:
    return x_tag


def keys(size: Size) -> dict[Color, Any]:
    return {Color.RED: {uuid.UUID(int=1): Color.BLUE}, Color.BLUE: {1: {2.5: True}}}


def loose_keys(size: Size) -> Any:
    return {Color.RED: {uuid.UUID(int=1): Color.BLUE}, Color.BLUE: {1: {2.5: True}}}


def untyped_model(order: Order):  # type: ignore[no-untyped-def]
    return {"order": order, "list": [order.size]}


def refused(order: Order) -> str:
    raise fastapi.HTTPException(418, {"code": order.page_size, "of": [1, None]}, headers={"X-Why": "tea"})


OBJECTS = [
    b'{"fileName": "a"}', b'{"file_name": "a", "pageSize": 10}', b'{"fileName": "a", "size": {"width": 0}}', b"{}",
    b'{"order": {"fileName": "b", "pageSize": 4}}', b'{"order": {"fileName": "b"}, "size": {"width": 5}}',
    b'{"order": {"fileName": "b"}, "size": {}}',
]  # fmt: skip
ANYTHING = [*OBJECTS, b"[]", b"null", b"3"]
MEMBERS = [b'{"steps": 3}', b'{"steps": 11}', b'{"stepCount": 5}', b'{"stepCount": "x"}', b'{"steps": null}', b"{}"]
WHOLE = (model, model_of_body, other_class, same_members, as_dict, untyped_model, refused)
TABLE = [
    *[(function, ANYTHING) for function in WHOLE],
    *[(function, OBJECTS) for function in (member, two)],
    (renamed, [b'{"in": "a"}', b'{"name": "a"}', b'{"out": "a"}']),
    (numbers, [b"[1, 2]", b'["x"]', b"{}"]),
    (scalar, [b"3", b"11", b'"4"', b"null", b"[]"]),
    *[(function, MEMBERS) for function in (scalar_member, aliased_member, by_alias_of_a_type)],
    (made_defaults, [b"{}", b'{"tags": []}', b'{"more": [1]}']),
    (some_members, [b'{"prompt": "ab"}', b'{"prompt": "a", "steps": 1}', b'{"steps": 2}', b"{}"]),
    *[(function, OBJECTS[:1]) for function in (headers, many_headers, model_of_headers, keys, loose_keys)],
    (bare_list, [b"[1, 2]", b"[]", b'[1, "x"]', b'["1"]']),
    (bare_set, [b'["b", "a"]', b"[1]", b""]),
    (bare_models, [b'[{"fileName": "a"}]', b"[{}]", b'[{"fileName": "a"}, {"fileName": "a"}, {"fileName": "a"}]']),
    (bare_choice, [b'{"fileName": "a"}', b"5"]),
]
HEADERS = [{}, {"x-token": "secret", "x-max": "9"}, {"x-token": "s", "x-max": "nine"}, {"x-tag": "a"}]


def theirs(function: Callable[..., Any], body: bytes, headers: Mapping[str, str]) -> tuple[int, Any, str | None]:
    app = fastapi.FastAPI(openapi_url=None)
    app.post("/")(function)
    sent: list[Message] = []
    scope = {
        "type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "http_version": "1.1",
        "headers": [(b"content-type", b"application/json"), *((k.encode(), v.encode()) for k, v in headers.items())],
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    said = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent[1:])), said.get("x-why")


def ours(function: Callable[..., Any], body: bytes, headers: Mapping[str, str]) -> tuple[int, Any, str | None]:
    @functools.wraps(function)
    def method(self: Any, **arguments: Any) -> Any:
        return function(**arguments)

    del method.__wrapped__  # type: ignore[attr-defined]  # with its self it has another signature
    method.__signature__ = _with_self(function)  # type: ignore[attr-defined]
    signature = Signature(method, "Of")
    try:
        try:
            arguments = signature.input.parse(body)
        except pydantic.ValidationError as error:
            raise Misfit(error) from error
        if signature.headers is not None:
            arguments |= signature.headers.take(headers)
        outcome = outcomes.ok(signature.output.encode(method(None, **arguments)), 0, {})
    except OutputError:
        raise
    except Exception as error:
        outcome = outcomes.failed(error, 0)
    return outcome.status, json.loads(outcome.body), outcome.headers.get("x-why")


def _with_self(function: Callable[..., Any]) -> Any:
    declared = inspect.signature(function)
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return declared.replace(parameters=[first, *declared.parameters.values()])


def _gist(answer: tuple[int, Any, str | None]) -> Any:
    """The answer without what fal's shape adds to FastAPI's. Pydantic words a few findings otherwise for JSON."""
    status, body, header = answer
    if status == 422 and isinstance(body["detail"], list):
        return status, [(entry["loc"], entry["type"].replace("_attributes", "")) for entry in body["detail"]]
    return status, body, header


@pytest.mark.parametrize(("function", "bodies"), TABLE, ids=[function.__name__ for function, _ in TABLE])
def test_the_answers_are_the_same(function: Callable[..., Any], bodies: list[bytes]) -> None:
    for body in bodies:
        for given in HEADERS if "headers" in function.__name__ else [{}]:
            assert _gist(ours(function, body, given)) == _gist(theirs(function, body, given)), (body, given)


@pytest.mark.parametrize(
    ("function", "body", "answer"),
    [
        (bare_list, b'{"items": [1, 2]}', 3),
        (bare_set, b'{"items": ["b"]}', ["b"]),
        (bare_set, b"{}", []),
        (bare_models, b'{"orders": [{"fileName": "a"}]}', [3]),
        (bare_choice, b'{"value": 5}', "5"),
    ],
)
def test_what_may_be_sent_bare_is_a_member_all_the_same(function: Callable[..., Any], body: bytes, answer: Any) -> None:
    assert ours(function, body, {})[:2] == (200, answer)


@pytest.mark.parametrize("body", [b"{}", b'{"items": "x"}', b'{"item": [1]}'])
def test_an_object_is_judged_by_its_members(body: bytes) -> None:
    status, answer, _ = ours(bare_list, body, {})
    assert (status, answer["detail"][0]["loc"]) == (422, ["body", "items"])


def test_a_message_may_be_bare_too() -> None:
    def run(self: Any, items: list[int]) -> None: ...

    read = Signature(run, "Run", session=True).input.arguments
    assert read([1]) == read({"items": [1]}) == {"items": [1]}
    with pytest.raises(pydantic.ValidationError):
        read(["x"])


def page(limit: Annotated[int, Query(ge=1, alias="max")] = 5, *, prompt: str = Query("x", max_length=3)) -> str:
    return prompt * limit


def beside(order: Order, limit: int = Query(5, ge=1)) -> list[int]:
    return [order.page_size, limit]


@pytest.mark.parametrize(
    ("function", "body", "status", "answer"),
    [
        (page, b"{}", 200, "xxxxx"),
        (page, b'{"max": 2, "prompt": "ab"}', 200, "abab"),
        (page, b'{"max": 0}', 422, ["body", "max"]),
        (page, b'{"prompt": "abcd"}', 422, ["body", "prompt"]),
        (beside, b'{"fileName": "a", "limit": 8}', 200, [3, 8]),
        (beside, b'{"fileName": "a"}', 200, [3, 5]),
        (beside, b'{"fileName": "a", "limit": 0}', 422, ["body", "limit"]),
    ],
)
def test_what_fastapi_reads_from_the_query_is_a_member(
    function: Callable[..., Any], body: bytes, status: int, answer: Any
) -> None:
    got, said, _ = ours(function, body, {})
    assert (got, said if got == 200 else said["detail"][0]["loc"]) == (status, answer)
