"""`pondage.client` has every public name, parameter and default of the official Python client, and stays light."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from typing import Any

import pytest

import pondage.client as ours

theirs = pytest.importorskip("fal_client", reason="the official client is a development dependency")

MODULE_NAMES = [
    name
    for name, value in vars(theirs).items()
    if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
]
FUNCTIONS = [
    name
    for name in MODULE_NAMES
    if inspect.ismethod(getattr(theirs, name)) or inspect.isfunction(getattr(theirs, name))
]
CLASSES = [name for name in MODULE_NAMES if inspect.isclass(getattr(theirs, name))]


def same_call(theirs_: Any, ours_: Any) -> None:
    """Whatever may be written for theirs may be written for ours, and means the same."""
    wanted, given = inspect.signature(theirs_).parameters, inspect.signature(ours_).parameters
    positional = [n for n, p in wanted.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [n for n, p in given.items() if p.kind is p.POSITIONAL_OR_KEYWORD][: len(positional)] == positional
    for name, parameter in wanted.items():
        assert name in given
        if parameter.default is not parameter.empty:
            assert given[name].default == parameter.default, name
    for name, parameter in given.items():
        assert name in wanted or parameter.default is not parameter.empty, f"{name} is new and required"


@pytest.mark.parametrize("name", MODULE_NAMES)
def test_every_name_is_there(name: str) -> None:
    assert hasattr(ours, name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    same_call(getattr(theirs, name), getattr(ours, name))
    if not name.startswith(("stream", "realtime", "ws_connect")):
        assert inspect.iscoroutinefunction(getattr(ours, name)) == inspect.iscoroutinefunction(getattr(theirs, name))


@pytest.mark.parametrize("name", ["SyncClient", "AsyncClient"])
def test_clients(name: str) -> None:
    same_call(getattr(theirs, name), getattr(ours, name))
    their_client, our_client = getattr(theirs, name)(), getattr(ours, name)()
    for member in dir(getattr(theirs, name)):
        if not member.startswith("_"):
            their_member = getattr(their_client, member)
            if callable(their_member):
                same_call(their_member, getattr(our_client, member))
            else:
                assert getattr(our_client, member) == their_member


@pytest.mark.parametrize(
    "name", ["SyncRequestHandle", "AsyncRequestHandle", "RealtimeConnection", "AsyncRealtimeConnection"]
)
def test_handles_and_connections(name: str) -> None:
    for member in dir(getattr(theirs, name)):
        if not member.startswith("_"):
            same_call(getattr(getattr(theirs, name), member), getattr(getattr(ours, name), member))


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in CLASSES
        if dataclasses.is_dataclass(getattr(theirs, n)) and not n.startswith(("Fal", "Sync", "Async", "Realtime"))
    ],
)
def test_dataclasses(name: str) -> None:
    same_call(getattr(theirs, name), getattr(ours, name))


def test_errors() -> None:
    assert issubclass(ours.FalClientTimeoutError, TimeoutError) and issubclass(
        ours.FalClientTimeoutError, ours.FalClientError
    )
    assert issubclass(ours.FalClientHTTPError, ours.FalClientError)
    same_call(theirs.FalClientHTTPError, ours.FalClientHTTPError)
    same_call(theirs.FalClientTimeoutError, ours.FalClientTimeoutError)
    same_call(theirs.client.RealtimeError, ours.RealtimeError)
    assert ours.MissingCredentialsError is not None


def test_encode_gives_the_same() -> None:
    assert ours.encode(b"abc", "image/png") == theirs.encode(b"abc", "image/png")
    assert ours.encode("ö", "text/plain") == theirs.encode("ö", "text/plain")


LIGHT = """
import sys, pondage.client as fal_client
heavy = {"pydantic", "httpx2", "websockets", "PIL", "numpy", "starlette", "uvicorn", "apsw"}
print(sorted(heavy & set(sys.modules)))
rooms = {"gateway", "queue", "files", "fleet", "webhooks", "server", "database", "runner", "app", "settings"}
print(sorted(name for name in sys.modules if name.startswith("pondage.") and name.split(".")[1] in rooms))
"""


def test_importing_it_is_light() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"
