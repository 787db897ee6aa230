"""Frames that no client would send: each is answered or is an error in shape, and the connection goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection, connect

from pondage.testing import ServedApp, serve

BASIC = str(Path(__file__).parents[1] / "apps" / "basic.py")
BOUNDED = settings(
    max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "pad", "type"]), inner),
    max_leaves=8,
)
FRAMES = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    VALUES.map(msgspec.msgpack.encode),
    VALUES.map(lambda value: json.dumps(value)),
    st.sampled_from(
        ["[" * 50_000, '{"a":' * 50_000, b"\x91" * 100_000, b"\xdf\xff\xff\xff\xff", b"\xc7\xff\x01", "\x00"]
    ),
)


@pytest.fixture(scope="module")
def served() -> Iterator[ServedApp]:
    with serve(BASIC) as made:
        yield made


def _dial(served: ServedApp, path: str) -> ClientConnection:
    return connect(served.url.replace("http", "ws") + path, compression=None, proxy=None)


@pytest.fixture(scope="module")
def session(served: ServedApp) -> Iterator[ClientConnection]:
    with _dial(served, "/acme/echo/realtime") as socket:
        yield socket


@pytest.fixture(scope="module")
def bodies(served: ServedApp) -> Iterator[ClientConnection]:
    with _dial(served, "/acme/echo") as socket:
        yield socket


@BOUNDED
@given(FRAMES)
def test_a_session_outlives_any_frame(session: ClientConnection, frame: str | bytes) -> None:
    session.send(frame)
    told = session.recv(timeout=10)
    answer = json.loads(told) if isinstance(told, str) else msgspec.msgpack.decode(told)
    assert answer.keys() == {"y"} or (answer["type"] == "x-fal-error" and answer["error"] != "INTERNAL_ERROR"), told
    session.send('{"x": 1}')
    assert json.loads(session.recv(timeout=10)) == {"y": 2}


@BOUNDED
@given(FRAMES)
def test_any_body_over_a_websocket_is_answered_in_shape(bodies: ClientConnection, frame: str | bytes) -> None:
    bodies.send(frame)
    start = json.loads(bodies.recv(timeout=10))
    body = json.loads(bodies.recv(timeout=10))
    end = json.loads(bodies.recv(timeout=10))
    assert (start["type"], end["type"], end["status"]) == ("start", "end", start["status"])
    assert (start["status"] == 200 and "y" in body) or (start["status"] == 422 and "detail" in body), start
