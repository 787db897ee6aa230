"""WebSocket frames are cut out of bytes as the library that is the standard here cuts them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]

from pondage.gateway.connections.frames import BINARY, TEXT, FrameCutter, outgoing_head

LIMIT = 100_000
PAYLOADS = st.binary(max_size=300) | st.sampled_from([125, 126, 5000, 65_535, 65_536, LIMIT]).map(bytes)
FRAMES = st.lists(
    st.builds(Frame, st.sampled_from(list(Opcode)), PAYLOADS, fin=st.booleans()).filter(
        lambda frame: frame.opcode < 8 or (frame.fin and len(frame.data) < 126)
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(FRAMES, st.lists(st.integers(1, 70_000), max_size=12))
def test_frames_come_out_as_the_library_made_them(sent: list[Frame], cuts: list[int]) -> None:
    data, at = b"".join(frame.serialize(mask=True) for frame in sent), 0
    cutter, got = FrameCutter(LIMIT), []
    for size in [*cuts, len(data)]:
        got += cutter.feed(data[at : at + size])
        at += size
    assert b"".join(frame.head + frame.masked for frame in got) == data
    assert [apply_mask(frame.masked, frame.mask) for frame in got] == [bytes(frame.data) for frame in sent]
    whole = [frame.fin and frame.opcode in (Opcode.TEXT, Opcode.BINARY) for frame in sent]
    assert [frame.is_message for frame in got] == whole


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_bytes_are_lost_or_break_it(data: bytes, size: int) -> None:
    cutter = FrameCutter(LIMIT)
    out = b""
    for at in range(0, len(data), size):
        for frame in cutter.feed(data[at : at + size]):
            out += frame.head + frame.masked
    assert data.startswith(out)


def test_a_frame_that_is_too_large_is_told_by_its_head() -> None:
    head = Frame(Opcode.BINARY, bytes(LIMIT + 1)).serialize(mask=True)[:14]
    (frame,) = FrameCutter(LIMIT).feed(head)
    assert frame.too_large and not frame.is_message and frame.head == head


def test_a_frame_that_is_not_masked_is_no_message() -> None:
    (frame,) = FrameCutter(LIMIT).feed(Frame(Opcode.TEXT, b"hello").serialize(mask=False))
    assert not frame.is_message


def test_heads_are_those_of_the_library() -> None:
    for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000):
        for first, opcode in ((TEXT, Opcode.TEXT), (BINARY, Opcode.BINARY)):
            assert outgoing_head(first, size) + bytes(size) == Frame(opcode, bytes(size)).serialize(mask=False)
