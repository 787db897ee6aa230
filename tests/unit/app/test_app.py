"""What an author declares: class keywords, endpoints, and the mistakes that are told at once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

import pondage
from pondage.app.app import KEYWORDS, App, endpoints_of, ignored_attributes
from pondage.app.served import app_info, compile_endpoints, near_paths
from pondage.wire.frames import AppInfo


class Input(BaseModel):
    prompt: str


class Output(BaseModel):
    text: str


def test_names_come_from_the_keyword_the_attribute_or_the_class() -> None:
    class MyTextToImageApp(pondage.App): ...

    class Named(pondage.App, name="acme/named"): ...

    class ByAttribute(pondage.App):
        app_name = "acme/attribute"

    class Child(Named): ...

    assert [c.app_name for c in (MyTextToImageApp, Named, ByAttribute, Child)] == [
        "my-text-to-image-app",
        "acme/named",
        "acme/attribute",
        "child",
    ]


def test_attributes_are_class_keywords_too() -> None:
    values: dict[str, Any] = {
        "max_multiplexing": 64,
        "min_concurrency": 1,
        "max_concurrency": 4,
        "concurrency_buffer": 1,
        "keep_alive": 300,
        "request_timeout": 10,
        "request_start_timeout": 20,
        "payload_ttl": 60.0,
        "startup_timeout": 30,
        "max_strikes": 2,
        "retry_streams": True,
        "on_fault": "fail",
        "num_gpus": 1,
        "version": "7",
    }
    environment: dict[str, Any] = {"env": "named", "pass_env": ["HF_TOKEN"]}

    class Full(pondage.App, name="acme/full", termination_grace_period_seconds=5, **values, **environment):
        """Says what it is."""

        @pondage.endpoint("/")
        def run(self) -> None: ...

    info = app_info(Full, "acme/full", compile_endpoints(Full))
    assert {name: getattr(info, name) for name in values} == values
    assert (info.termination_grace_period, info.description) == (5, "Says what it is.")
    assert {*values, *environment, "app_name", "termination_grace_period_seconds"} == KEYWORDS


def test_fals_own_attributes_are_accepted_and_named() -> None:
    class Ported(pondage.App, machine_type="GPU-H100", keep_alive=10, num_gpus=2):
        requirements = ["torch"]
        host_kwargs = {"keep_alive": 60, "resolver": "uv"}

        @pondage.endpoint("/", health_check=pondage.HealthCheck())
        def run(self) -> None: ...

    named = ["endpoint(health_check=…)", "machine_type", "num_gpus", "requirements", "resolver"]
    assert ignored_attributes(Ported) == named

    class Plain(pondage.App):
        @pondage.endpoint("/")
        def run(self) -> None: ...

    assert ignored_attributes(Plain) == []


def test_keep_alive_may_stand_in_fals_dictionary() -> None:
    class Ported(pondage.App):
        host_kwargs = {"keep_alive": 77}

        @pondage.endpoint("/")
        def run(self) -> None: ...

    assert app_info(Ported, "a/b", compile_endpoints(Ported)).keep_alive == 77


def test_an_unknown_keyword_names_a_near_one() -> None:
    with pytest.raises(TypeError, match="'max_multiplex'; did you mean 'max_multiplexing'"):

        class Wrong(pondage.App, max_multiplex=3): ...


def test_endpoints_keep_their_order_and_can_be_inherited() -> None:
    class Base(pondage.App):
        @pondage.endpoint("/b")
        def b(self) -> None: ...

    class Derived(Base):
        @pondage.endpoint("/a")
        def a(self) -> None: ...

    assert list(endpoints_of(Derived)) == ["/b", "/a"]


def test_two_endpoints_cannot_share_a_path() -> None:
    class Twice(pondage.App):
        @pondage.endpoint("/")
        def one(self) -> None: ...

        @pondage.endpoint("/")
        def two(self) -> None: ...

    with pytest.raises(TypeError, match="one and two both serve '/'"):
        endpoints_of(Twice)


def test_an_app_needs_an_endpoint() -> None:
    class Empty(pondage.App): ...

    with pytest.raises(TypeError, match="Empty has no endpoint"):
        endpoints_of(Empty)


@pytest.mark.parametrize("path", ["", "run", "/run/"])
def test_a_path_begins_with_a_slash(path: str) -> None:
    with pytest.raises(TypeError, match="begins with /"):
        pondage.endpoint(path)


def test_raw_websockets_lead_to_realtime() -> None:
    with pytest.raises(TypeError, match=r"use @pondage\.realtime"):
        pondage.endpoint("/ws", is_websocket=True)


def test_buffering_has_its_bounds() -> None:
    with pytest.raises(TypeError, match="1 to 60"):
        pondage.realtime("/realtime", buffering=61)


def test_kinds_and_schemas_come_from_the_types() -> None:
    class Kinds(pondage.App):
        @pondage.endpoint("/call", on_disconnect="cancel", retry_streams=True)
        def call(self, input: Input) -> Output:
            """Writes."""
            return Output(text=input.prompt)

        @pondage.endpoint("/plain")
        def plain(self, prompt: str, steps: int = 4) -> list[int]:
            return [steps]

        @pondage.endpoint("/loose")
        def loose(self, anything):  # type: ignore[no-untyped-def]
            return anything

        @pondage.endpoint("/sync")
        def sync(self, input: Input) -> Iterator[Output]:
            yield Output(text="")

        @pondage.endpoint("/stream")
        async def stream(self, input: Input) -> AsyncIterator[Output]:
            yield Output(text="")

        @pondage.endpoint("/batch", max_batch_size=4)
        def batch(self, inputs: list[Input]) -> list[Output | Exception]:
            return []

        @pondage.realtime("/realtime", session_timeout=9, buffering=3)
        async def realtime(self, input: Input) -> Output:
            return Output(text="")

    endpoints = compile_endpoints(Kinds)
    infos = {path: endpoint.info() for path, endpoint in endpoints.items()}
    assert {path: info.kind for path, info in infos.items()} == {
        "/call": "call",
        "/plain": "call",
        "/loose": "call",
        "/sync": "stream",
        "/stream": "stream",
        "/batch": "call",
        "/realtime": "realtime",
    }
    call = infos["/call"]
    assert (call.description, call.on_disconnect, call.retry_streams) == ("Writes.", "cancel", True)
    assert call.input_schema is not None and call.input_schema["title"] == "Input"
    plain = infos["/plain"].input_schema
    assert plain is not None and plain["required"] == ["prompt"]
    assert plain["properties"] == {
        "prompt": {"title": "Prompt", "type": "string"},
        "steps": {"default": 4, "title": "Steps", "type": "integer"},
    }
    loose = infos["/loose"].input_schema
    assert loose is not None and loose["required"] == ["anything"] and infos["/loose"].output_schema is None
    for path in ("/sync", "/stream", "/batch"):
        schema = infos[path].output_schema
        assert schema is not None and schema["title"] == "Output", path
    assert infos["/batch"].max_batch_size == 4
    realtime = infos["/realtime"]
    assert (realtime.session_timeout, realtime.buffering) == (9, 3)
    assert isinstance(app_info(Kinds, "a/b", endpoints), AppInfo)
    assert near_paths("/steam", endpoints) == ["/stream"]


def test_an_iterator_is_handed_in_by_realtime_only() -> None:
    class Wrong(pondage.App):
        @pondage.endpoint("/")
        async def run(self, inputs: AsyncIterator[Input]) -> Output: ...

    with pytest.raises(TypeError, match=r"test_app.py:\d+: .*only @pondage.realtime"):
        compile_endpoints(Wrong)


def test_a_batched_endpoint_takes_and_gives_lists() -> None:
    class Wrong(pondage.App):
        @pondage.endpoint("/", max_batch_size=2)
        def run(self, inputs: Input) -> list[Output]: ...

    with pytest.raises(TypeError, match=r"inputs must be a list"):
        compile_endpoints(Wrong)


def test_outside_of_a_request_there_is_none() -> None:
    assert not pondage.current_request
    assert App().current_request is None
    with pytest.raises(RuntimeError, match="no request is being served here"):
        pondage.current_request.log("x")


def test_defaults_of_the_hooks() -> None:
    app = App()
    assert app.health() == {"version": ""}
    assert app.provide_hints() == []
    assert app.setup() is app.teardown() is app.handle_exit() is None


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"env": "strict"}, "env is 'inherit' or 'named', got 'strict'"),
        ({"pass_env": "AWS_*"}, "pass_env is a list of names of variables, got 'AWS_*'"),
        ({"pass_env": [1]}, "pass_env is a list of names of variables"),
    ],
)
def test_a_misfit_about_the_environment_is_named(keywords: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=re.escape(text)):
        type("Bad", (pondage.App,), {}, **keywords)


def test_the_short_word_env_may_be_an_apps_own() -> None:
    class Ported(pondage.App):
        env = "prod"

    assert Ported.env == "prod"
    with pytest.raises(TypeError, match="env is 'inherit' or 'named', got 'nmaed'"):
        type("Misspelt", (pondage.App,), {"env": "nmaed"})


class Sized(BaseModel):
    steps: int = 4
    scale: float | None = None
    name: str = ""


@pytest.mark.parametrize("cost", ["steps", ("steps", "scale"), ["scale"]])
def test_a_cost_is_numeric_fields_of_the_input(cost: Any) -> None:
    class Good(pondage.App):
        @pondage.endpoint("/", cost=cost)
        def run(self, input: Sized) -> int:
            return 1

    (endpoint,) = compile_endpoints(Good).values()
    assert endpoint.info().cost == ((cost,) if isinstance(cost, str) else tuple(cost))


@pytest.mark.parametrize("field", ["name", "other"])
def test_a_cost_that_is_no_number_is_refused_at_load(field: str) -> None:
    class Bad(pondage.App):
        @pondage.endpoint("/", cost=(field,))
        def run(self, input: Sized) -> int:
            return 1

    with pytest.raises(TypeError, match=f"cost='{field}' is not a numeric field of its input"):
        compile_endpoints(Bad)


@pytest.mark.parametrize("cost", [7, (1,), ("a", "a"), ("",), {"a": 1}])
def test_a_cost_names_fields(cost: Any) -> None:
    with pytest.raises(TypeError, match="cost is names of fields of the input, each once"):
        pondage.endpoint("/", cost=cost)
