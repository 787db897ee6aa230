"""What is read from a wire either is something or raises the one error that its reader expects."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondage.wire import frames, sse
from pondage.wire.ids import app_name_of, check_app_name, legacy_endpoint, parse_endpoint

BOUNDED = settings(max_examples=300, deadline=None, derandomize=True, database=None)

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
TAGS = [
    "hello",
    "ready",
    "finished",
    "entries",
    "beat",
    "put",
    "slice",
    "more",
    "smsg",
    "sclose",
    "exec",
    "cancel",
    "welcome",
]
NEARLY = st.lists(
    st.builds(lambda tag, rest: [tag, *rest], st.sampled_from(TAGS), st.lists(PLAIN, max_size=6)), max_size=3
)


@BOUNDED
@given(st.binary(max_size=200) | PLAIN.map(msgspec.msgpack.encode) | NEARLY.map(msgspec.msgpack.encode))
def test_a_packet_is_frames_or_a_msgspec_error(packet: bytes) -> None:
    for read in (frames.from_runner, frames.from_gateway):
        with contextlib.suppress(msgspec.MsgspecError):
            for frame in read(packet):
                assert isinstance(frame, frames.Frame)


@pytest.mark.parametrize(
    "packet", [b"\x91" * 100_000, b"\x91\x92\xa5hello" + b"\x91" * 100_000, b"\x91\x92\xa2\xff\xff\x01"]
)
def test_packets_that_nest_or_are_no_text_are_msgspec_errors(packet: bytes) -> None:
    for read in (frames.from_runner, frames.from_gateway):
        with pytest.raises(msgspec.MsgspecError):
            read(packet)


@BOUNDED
@given(st.text(max_size=40) | st.builds("{}-{}".format, st.integers(), st.integers()) | st.none())
def test_an_id_of_a_stream_fits_a_database_or_is_refused(text: str | None) -> None:
    with contextlib.suppress(ValueError):
        attempt, n = sse.parse_chunk_id(text)
        assert 0 <= attempt < 2**63 and 0 <= n < 2**63


@BOUNDED
@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1))
def test_an_id_of_a_stream_is_read_as_it_was_written(attempt: int, n: int) -> None:
    assert sse.parse_chunk_id(f"{attempt}-{n}") == (attempt, n)


SEGMENTS: Any = st.lists(
    st.text(max_size=10) | st.sampled_from(["acme", "flux", "12-a", "workflows", ".", ".."]), max_size=5
)


@BOUNDED
@given(st.text(max_size=60) | SEGMENTS.map("/".join))
def test_an_endpoint_is_named_or_a_value_error(text: str) -> None:
    for read in (parse_endpoint, legacy_endpoint):
        with contextlib.suppress(ValueError):
            endpoint = read(text)
            if endpoint is not None:
                assert parse_endpoint(str(endpoint)) == endpoint
                assert endpoint.owner and endpoint.alias and endpoint.path.startswith("/")
    with contextlib.suppress(ValueError):
        assert check_app_name(text) == parse_endpoint(text).app
    app_name_of(text)
